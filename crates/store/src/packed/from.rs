//! Taking over entries that somebody else has encoded.

use super::{Encoded, Inner, Packed, PackedValue, parse_int};

impl Packed {
    /// A copy of encoded entries (no header, no end mark), which are `values` and nothing else. `None` unless each is
    /// encoded as it would be here: entries are found by comparing what they are encoded as.
    pub fn from_encoded(entries: &[u8], values: &[PackedValue<'_>]) -> Option<Packed> {
        let mut at = 0;
        for value in values {
            let entry = match value {
                PackedValue::Int(int) => Encoded::int(*int),
                PackedValue::Bytes(text) if parse_int(text).is_some() => return None,
                PackedValue::Bytes(text) => Encoded::bytes(text),
            };
            let found = entries.get(at..at + entry.len())?;
            let (head, rest) = found.split_at(entry.head_len as usize);
            let back = &rest[entry.payload.len()..];
            if head != &entry.head[..head.len()] || back != &entry.back[..back.len()] {
                return None;
            }
            at += entry.len();
        }
        let count = u32::try_from(values.len()).ok()?;
        (at == entries.len())
            .then(|| Packed { inner: Box::new(Inner { buf: entries.to_vec(), start: 0, count }) })
    }
}
