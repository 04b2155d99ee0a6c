//! Small collections of a file taken over as they are: their listpacks are what the store keeps, where nothing speaks
//! against it.

use redoubt_store::packed::{Packed, PackedValue};
use redoubt_store::{EncodingLimits, Hash, List, Set, SortedSet};

/// Bytes before and after the entries of a listpack.
const HEAD: usize = 6;
const END: usize = 1;
/// Entries beyond which a collection is not looked through for equal ones here.
const ENTRIES_MAX: usize = 512;

/// The entries of a listpack that holds these values.
fn packed(blob: &[u8], values: &[PackedValue<'_>]) -> Option<Packed> {
    Packed::from_encoded(blob.get(HEAD..blob.len() - END)?, values)
}

/// Whether no two are equal, as far as hashes tell: false may be wrong, true is not.
fn differ<'v, 'a: 'v>(values: impl Iterator<Item = &'v PackedValue<'a>>) -> bool {
    let mut seen = [0u64; ENTRIES_MAX * 2];
    for value in values {
        let mut buffer = itoa::Buffer::new();
        // FNV-1a; 0 is free.
        let hash = value.as_bytes(&mut buffer).iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }) | 1;
        let mut at = (hash >> 32) as usize % seen.len();
        while seen[at] != 0 {
            if seen[at] == hash {
                return false;
            }
            at = (at + 1) % seen.len();
        }
        seen[at] = hash;
    }
    true
}

fn longest(values: &[PackedValue<'_>]) -> usize {
    values.iter().map(PackedValue::len).max().unwrap_or(0)
}

/// A hash of the pairs of a listpack.
pub(super) fn hash(blob: &[u8], values: &[PackedValue<'_>], limits: &EncodingLimits) -> Option<Hash> {
    let fields = values.len() / 2;
    let fits = fields <= limits.hash_listpack_entries.min(ENTRIES_MAX)
        && longest(values) <= limits.hash_listpack_value;
    (fits && differ(values.iter().step_by(2))).then(|| packed(blob, values).map(Hash::from_packed))?
}

/// A set of the members of a listpack.
pub(super) fn set(blob: &[u8], values: &[PackedValue<'_>], limits: &EncodingLimits) -> Option<Set> {
    let fits = values.len() <= limits.set_listpack_entries.min(ENTRIES_MAX)
        && longest(values) <= limits.set_listpack_value;
    (fits && differ(values.iter())).then(|| packed(blob, values).map(Set::from_packed))?
}

/// A sorted set of members and scores that come in order.
pub(super) fn sorted_set(pairs: &[(PackedValue<'_>, f64)], limits: &EncodingLimits) -> Option<SortedSet> {
    let fits = pairs.len() <= limits.zset_listpack_entries.min(ENTRIES_MAX)
        && pairs.iter().all(|(member, _)| member.len() <= limits.zset_listpack_value);
    let (mut a, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
    let ordered = fits
        && pairs.windows(2).all(|pair| {
            let ((left, low), (right, high)) = (pair[0], pair[1]);
            low < high || low == high && left.as_bytes(&mut a) < right.as_bytes(&mut b)
        });
    (ordered && differ(pairs.iter().map(|(member, _)| member)))
        .then(|| SortedSet::from_ordered(pairs.iter().copied()))
}

/// Adds the elements of a listpack to a list; false if they must be added one by one.
pub(super) fn append(
    list: &mut List,
    blob: &[u8],
    values: &[PackedValue<'_>],
    limits: &EncodingLimits,
) -> bool {
    let node = packed(blob, values).filter(|node| List::takes_node(node, limits));
    match node {
        Some(node) => list.append_node(node, limits),
        None => return false,
    }
    true
}
