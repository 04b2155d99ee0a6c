//! Sets against a plain model.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn limits() -> EncodingLimits {
    EncodingLimits {
        set_intset_entries: 16,
        set_listpack_entries: 8,
        set_listpack_value: 16,
        ..EncodingLimits::default()
    }
}

fn contents(set: &Set) -> BTreeSet<Vec<u8>> {
    let all: Vec<Vec<u8>> = set.iter().map(|member| member.to_vec()).collect();
    assert_eq!(all.len(), set.len());
    let unique: BTreeSet<Vec<u8>> = all.into_iter().collect();
    assert_eq!(unique.len(), set.len());
    unique
}

#[test]
fn the_handle_is_small() {
    assert!(size_of::<Set>() <= 24);
}

#[test]
fn encodings_follow_what_is_added() {
    let mut set = Set::new();
    for value in [3, -1, 70_000, 1i64 << 40] {
        assert!(set.insert(value.to_string().as_bytes(), &limits()));
    }
    assert_eq!(set.encoding(), "intset");
    let order: Vec<_> = set.iter().map(|member| member.as_int().unwrap()).collect();
    assert_eq!(order, [-1, 3, 70_000, 1 << 40]);
    set.insert(b"word", &limits());
    assert_eq!(set.encoding(), "listpack");
    set.insert(&[b'x'; 17], &limits());
    assert_eq!(set.encoding(), "hashtable");
    assert_eq!(set.len(), 6);

    let mut ints = Set::new();
    (0..17).for_each(|value| assert!(ints.insert(value.to_string().as_bytes(), &limits())));
    assert_eq!(ints.encoding(), "hashtable");

    let mut prepared = Set::new();
    prepared.prepare(b"1", 17, &limits());
    assert_eq!(prepared.encoding(), "hashtable");
    prepared.prepare(b"1", 9, &limits());
    assert_eq!(prepared.encoding(), "intset");
    prepared.prepare(b"a", 8, &limits());
    assert_eq!(prepared.encoding(), "listpack");
}

#[test]
fn a_table_scan_meets_every_member_that_stays() {
    let mut set = Set::new();
    for at in 0..500 {
        set.insert(format!("stay{at}").as_bytes(), &limits());
        set.insert(format!("go{at}").as_bytes(), &limits());
    }
    let mut seen = BTreeSet::new();
    let (mut cursor, mut step) = (0, 0);
    loop {
        cursor = set.scan(cursor, 5, |member| {
            seen.insert(member.to_vec());
        });
        for _ in 0..3 {
            set.remove(format!("go{step}").as_bytes());
            set.insert(format!("new{step}").as_bytes(), &limits());
            step += 1;
        }
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.iter().filter(|member| member.starts_with(b"stay")).count(), 500);
}

#[test]
fn memory_of_a_million_members() {
    let mut set = Set::new();
    for at in 0..1_000_000u32 {
        set.insert(format!("m{at:012}").as_bytes(), &limits());
    }
    let each = set.mem_usage() as f64 / 1e6;
    assert!(each < 36.0, "{each} bytes per member");
}

fn name(seed: u16) -> Vec<u8> {
    match seed % 4 {
        0 | 1 => (i64::from(seed) - 100).to_string().into_bytes(),
        2 => format!("m{seed}").into_bytes(),
        _ => format!("a long member number {seed}").into_bytes(),
    }
}

proptest! {
    #[test]
    fn operations_agree_with_an_ordered_set(
        operations in prop::collection::vec((0u8..10, 0u16..400), 0..600), kinds in 1u16..5
    ) {
        let mut set = Set::new();
        let mut model = BTreeSet::new();
        for (kind, seed) in operations {
            // With few kinds of members a case stays in one encoding for longer.
            let member = name(if kinds < 4 { seed / 4 * 4 + seed % kinds } else { seed });
            match kind {
                0..=6 => prop_assert_eq!(set.insert(&member, &limits()), model.insert(member.clone())),
                _ => prop_assert_eq!(set.remove(&member), model.remove(&member)),
            }
            prop_assert_eq!(set.contains(&member), model.contains(&member));
        }
        prop_assert_eq!(contents(&set), model.clone());
        prop_assert_eq!(contents(&set.clone()), model.clone());
        let by_position: BTreeSet<Vec<u8>> = (0..set.len()).filter_map(|at| set.nth(at)).map(|m| m.to_vec()).collect();
        prop_assert_eq!(by_position, model.clone());
        let mut compacted = set.clone();
        compacted.compact_ints(&limits());
        prop_assert_eq!(contents(&compacted), model);
    }
}

#[test]
fn members_are_taken_by_position_in_every_encoding() {
    for (count, encoding, word) in
        [(16, "intset", ""), (8, "listpack", "m"), (17, "hashtable", "m"), (9000, "hashtable", "m")]
    {
        let mut set = Set::new();
        for number in 0..count {
            set.insert(format!("{word}{number}").as_bytes(), &limits());
        }
        assert_eq!(set.encoding(), encoding);
        let mut left = contents(&set);
        let mut rng = fastrand::Rng::with_seed(5);
        while !set.is_empty() {
            let len = set.len();
            set.look_ahead_at([1, 2, 3].map(|gone| rng.usize(..len.saturating_sub(gone).max(1))));
            let at = rng.usize(..len);
            let expected = set.nth(at).map(|member| member.to_vec());
            let taken = set.take(at);
            assert_eq!(taken, expected);
            assert!(left.remove(&taken.unwrap()));
            assert!(set.take(set.len()).is_none());
        }
        assert!(left.is_empty());
    }
}
