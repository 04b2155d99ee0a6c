//! Digest of values and of the whole data set, for DEBUG DIGEST: equal data gives equal digests, however it is encoded
//! and in whatever order it is held. The numbers are our own, not Redis's; they hold within one version of Redoubt.

use redoubt_store::types::stream::Group;
use redoubt_store::{Stream, StreamId, ValueRef};
use std::hash::{DefaultHasher, Hasher};

/// A sum of hashes of 192 bits: independent of the order of its terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u64; 3]);

impl Digest {
    /// Hash of a tuple of byte strings.
    fn of(parts: &[&[u8]]) -> Digest {
        Digest(std::array::from_fn(|lane| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(lane as u8);
            for part in parts {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
            hasher.finish()
        }))
    }

    fn add(&mut self, other: Digest) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, term)| *sum = sum.wrapping_add(term));
    }

    /// Adds a key with its value; whether it expires counts, not when.
    pub(crate) fn add_key(&mut self, db: usize, key: &[u8], value: ValueRef<'_>, expires: bool) {
        let value = Digest::of_value(value).bytes();
        self.add(Digest::of(&[&(db as u64).to_le_bytes(), key, &value, &[u8::from(expires)]]));
    }

    /// Digest of a value.
    pub fn of_value(value: ValueRef<'_>) -> Digest {
        let (mut a, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
        let mut sum = Digest::default();
        match value {
            ValueRef::Str(text) => sum = Digest::of(&[b"string", text.as_bytes(&mut a)]),
            ValueRef::List(list) => {
                for (index, element) in list.iter().enumerate() {
                    let index = (index as u64).to_le_bytes();
                    sum.add(Digest::of(&[b"list", &index, element.as_bytes(&mut a)]));
                }
            }
            ValueRef::Set(set) => {
                set.iter().for_each(|member| sum.add(Digest::of(&[b"set", member.as_bytes(&mut a)])));
            }
            ValueRef::Hash(hash) => {
                // As with keys: whether a field expires counts, not when.
                for (field, value, at) in hash.timed_fields() {
                    let kind: &[u8] = if at.is_some() { b"hash, expires" } else { b"hash" };
                    sum.add(Digest::of(&[kind, field.as_bytes(&mut a), value.as_bytes(&mut b)]));
                }
            }
            ValueRef::SortedSet(set) => {
                for (member, score) in set.iter() {
                    sum.add(Digest::of(&[b"zset", member.as_bytes(&mut a), &score.to_le_bytes()]));
                }
            }
            ValueRef::Stream(stream) => sum = Digest::of_stream(stream),
        }
        sum
    }

    fn of_stream(stream: &Stream) -> Digest {
        let (mut a, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
        let ids = [stream.last_id(), stream.max_deleted_id()].map(id_bytes);
        let mut sum = Digest::of(&[b"stream", &ids[0], &ids[1], &stream.entries_added().to_le_bytes()]);
        for entry in stream.iter() {
            let id = id_bytes(entry.id);
            for (index, (name, value)) in entry.fields.enumerate() {
                let index = (index as u64).to_le_bytes();
                sum.add(Digest::of(&[b"entry", &id, &index, name.as_bytes(&mut a), value.as_bytes(&mut b)]));
            }
        }
        stream.groups().for_each(|group| sum.add_group(group));
        sum
    }

    /// Adds a consumer group; when its consumers were last seen does not count.
    fn add_group(&mut self, group: &Group) {
        let read = group.entries_read().map_or(-1, |read| read as i64).to_le_bytes();
        self.add(Digest::of(&[b"group", group.name(), &id_bytes(group.last_id()), &read]));
        for consumer in group.consumers() {
            self.add(Digest::of(&[b"consumer", group.name(), consumer.name()]));
        }
        for (id, pending) in group.pending_from(StreamId::MIN) {
            let consumer = group.consumer(pending.consumer()).name();
            let (time, count) = (pending.delivered_ms.to_le_bytes(), pending.deliveries.to_le_bytes());
            self.add(Digest::of(&[b"pending", group.name(), consumer, &id_bytes(id), &time, &count]));
        }
    }

    fn bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes
            .chunks_exact_mut(8)
            .zip(self.0)
            .for_each(|(chunk, lane)| chunk.copy_from_slice(&lane.to_le_bytes()));
        bytes
    }

    /// 40 hex digits, as Redis's digests have.
    pub fn hex(self) -> String {
        self.bytes()[..20].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn id_bytes(id: StreamId) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use redoubt_store::Str;

    fn digest(keys: &[(&str, &str, bool)]) -> String {
        let mut sum = Digest::default();
        for (key, value, expires) in keys {
            sum.add_key(0, key.as_bytes(), ValueRef::Str(Str::Bytes(value.as_bytes())), *expires);
        }
        sum.hex()
    }

    #[test]
    fn order_does_not_matter_content_does() {
        assert_eq!(digest(&[]), "0".repeat(40));
        assert_eq!(
            digest(&[("a", "1", false), ("b", "2", false)]),
            digest(&[("b", "2", false), ("a", "1", false)])
        );
        assert_ne!(digest(&[("a", "1", false)]), digest(&[("a", "2", false)]));
        assert_ne!(digest(&[("a", "1", false)]), digest(&[("a", "1", true)]));
        assert_ne!(digest(&[("ab", "c", false)]), digest(&[("a", "bc", false)]));
    }

    #[test]
    fn encoding_does_not_matter() {
        let of = |text| Digest::of_value(ValueRef::Str(text));
        assert_eq!(of(Str::Int(12)), of(Str::Bytes(b"12")));
    }
}
