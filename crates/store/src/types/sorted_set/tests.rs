//! Sorted sets against a plain model.

use super::*;
use proptest::prelude::*;

const LIMITS: EncodingLimits = EncodingLimits {
    list_listpack_size: -2,
    hash_listpack_entries: 128,
    hash_listpack_value: 64,
    set_intset_entries: 512,
    set_listpack_entries: 128,
    set_listpack_value: 64,
    zset_listpack_entries: 8,
    zset_listpack_value: 16,
    stream_node_bytes: 4096,
    stream_node_entries: 100,
};

type Model = Vec<(f64, Vec<u8>)>;

fn model_insert(model: &mut Model, member: &[u8], score: f64) -> Option<f64> {
    let before = model_remove(model, member);
    let at = model.partition_point(|(s, m)| compare((*s, m), (score, member)).is_lt());
    model.insert(at, (score, member.to_vec()));
    before
}

fn model_remove(model: &mut Model, member: &[u8]) -> Option<f64> {
    let at = model.iter().position(|(_, m)| m == member)?;
    Some(model.remove(at).0)
}

fn contents(set: &SortedSet) -> Model {
    set.iter().map(|(member, score)| (score, member.to_vec())).collect()
}

fn check(set: &SortedSet, model: &Model) {
    assert_eq!(set.len(), model.len());
    assert_eq!(&contents(set), model);
    let mut back: Model = set.range(0..model.len(), true).map(|(m, s)| (s, m.to_vec())).collect();
    back.reverse();
    assert_eq!(&back, model);
    for (rank, (score, member)) in model.iter().enumerate().step_by(7) {
        assert_eq!(set.rank(member), Some((rank, *score)));
        assert_eq!(set.score(member), Some(*score));
        let (found, _) = set.range(rank..rank + 1, true).next().unwrap();
        assert_eq!(&found.to_vec(), member);
    }
}

fn name(seed: u16) -> Vec<u8> {
    // Numbers, texts, and some longer than a packed member may be.
    match seed % 3 {
        0 => seed.to_string().into_bytes(),
        1 => format!("m{seed}").into_bytes(),
        _ => format!("a long member number {seed}").into_bytes(),
    }
}

#[test]
fn the_handle_is_small() {
    assert!(size_of::<SortedSet>() <= 24);
}

#[test]
fn scores_keep_every_bit_in_the_packed_form() {
    for score in [0.0, 1.0, -7.0, 1.5, 0.1, 1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY, 3e15, 1e16] {
        let mut set = SortedSet::new();
        set.insert(b"m", score, &LIMITS);
        assert_eq!(set.score(b"m").map(f64::to_bits), Some(score.to_bits()), "{score}");
    }
}

#[test]
fn encodings_change_at_the_limits() {
    let mut set = SortedSet::new();
    for at in 0..8 {
        set.insert(&name(at * 3), 0.0, &LIMITS);
        assert_eq!(set.encoding(), "listpack");
    }
    set.insert(&name(0), 1.0, &LIMITS);
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"x", 1.0, &LIMITS);
    assert_eq!(set.encoding(), "skiplist");
    let mut long = SortedSet::new();
    long.insert(&[b'x'; 17], 1.0, &LIMITS);
    assert_eq!(long.encoding(), "skiplist");
}

#[test]
fn many_members_up_and_down() {
    let mut set = SortedSet::new();
    let mut model = Model::new();
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..20_000u32 {
        let member = format!("m{}", rng.u32(0..6000)).into_bytes();
        // Grow, then shrink to nothing.
        if rng.u32(0..20_000) > round {
            let score = f64::from(rng.i32(-50..50)) / 4.0;
            assert_eq!(set.insert(&member, score, &LIMITS), model_insert(&mut model, &member, score));
        } else {
            assert_eq!(set.remove(&member), model_remove(&mut model, &member));
        }
        if round.is_multiple_of(2000) {
            check(&set, &model);
        }
    }
    check(&set, &model);
    while let Some((member, score)) = set.pop(model.len().is_multiple_of(2)) {
        let expected = if model.len().is_multiple_of(2) { model.pop().unwrap() } else { model.remove(0) };
        assert_eq!((score, member), expected);
        if model.len().is_multiple_of(500) {
            check(&set, &model);
        }
    }
    assert!(model.is_empty() && set.is_empty());
}

#[test]
fn ascending_inserts_fill_the_leaves() {
    let mut set = SortedSet::new();
    for at in 0..100_000u32 {
        set.insert(format!("m{at:012}").as_bytes(), f64::from(at), &LIMITS);
    }
    assert!(set.mem_usage() / 100_000 < 56, "{}", set.mem_usage() / 100_000);
}

#[test]
fn memory_of_a_million_members_stays_below_the_target() {
    let mut set = SortedSet::new();
    let mut rng = fastrand::Rng::with_seed(1);
    for at in 0..1_000_000u32 {
        set.insert(format!("m{at:012}").as_bytes(), rng.f64(), &LIMITS);
    }
    let each = set.mem_usage() as f64 / 1e6;
    assert!(each < 64.0, "{each} bytes per member");
    // What is left pays for what has gone, but not much.
    for (left, most) in [(300_000, 130.0), (50_000, 155.0)] {
        while set.len() > left {
            set.pop(false);
        }
        let each = set.mem_usage() as f64 / left as f64;
        assert!(each < most, "{each} bytes per member when {left} are left");
    }
    while set.pop(false).is_some() {}
    assert!(set.mem_usage() < 1_000_000, "an emptied set keeps {} bytes", set.mem_usage());
}

#[test]
fn a_scan_meets_every_member_that_stays() {
    let mut set = SortedSet::new();
    for at in 0..1000u32 {
        set.insert(format!("stay{at}").as_bytes(), 1.0, &LIMITS);
        set.insert(format!("go{at}").as_bytes(), 1.0, &LIMITS);
    }
    let mut seen = std::collections::BTreeSet::new();
    let (mut cursor, mut step) = (0, 0u32);
    loop {
        cursor = set.scan(cursor, 10, |member, _| {
            seen.insert(member.to_vec());
        });
        for _ in 0..7 {
            set.remove(format!("go{step}").as_bytes());
            step += 1;
        }
        set.insert(format!("new{step}").as_bytes(), 2.0, &LIMITS);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.iter().filter(|member| member.starts_with(b"stay")).count(), 1000);
}

proptest! {
    #[test]
    fn operations_agree_with_a_sorted_vector(
        operations in prop::collection::vec((0u8..10, 0u16..400, -6i8..6), 0..600)
    ) {
        let mut set = SortedSet::new();
        let mut model = Model::new();
        for (kind, seed, score) in operations {
            let member = name(seed);
            match kind {
                0..=6 => {
                    let score = f64::from(score) * 0.5;
                    prop_assert_eq!(
                        set.insert(&member, score, &LIMITS),
                        model_insert(&mut model, &member, score)
                    );
                }
                7 | 8 => prop_assert_eq!(set.remove(&member), model_remove(&mut model, &member)),
                _ => {
                    let start = (seed as usize / 2).min(model.len());
                    let end = (start + score.unsigned_abs() as usize).min(model.len());
                    prop_assert_eq!(set.remove_ranks(start..end), end - start);
                    model.drain(start..end);
                }
            }
        }
        check(&set, &model);
        check(&set.clone(), &model);
    }

    #[test]
    fn ranges_agree_with_filters(
        members in prop::collection::vec((0u16..300, -6i8..6), 0..200),
        ends in (-7i8..7, -7i8..7, any::<bool>(), any::<bool>()),
        names in (0u16..300, 0u16..300),
    ) {
        let (mut set, mut flat) = (SortedSet::new(), SortedSet::new());
        for (seed, score) in members {
            set.insert(&name(seed), f64::from(score), &LIMITS);
            flat.insert(&name(seed), 0.0, &LIMITS);
        }
        let (min, max, min_exclusive, max_exclusive) = ends;
        let range = ScoreRange { min: min.into(), max: max.into(), min_exclusive, max_exclusive };
        let found: Model = set.range(set.score_ranks(&range), false).map(|(m, s)| (s, m.to_vec())).collect();
        let mut expected = contents(&set);
        expected.retain(|(score, _)| range.reaches_min(*score) && range.reaches_max(*score));
        prop_assert_eq!(found, expected);

        let (low, high) = (name(names.0), name(names.1));
        let bound = |text, exclusive| if exclusive { LexBound::Exclusive(text) } else { LexBound::Inclusive(text) };
        let range = LexRange { min: bound(&low[..], min_exclusive), max: bound(&high[..], max_exclusive) };
        let found: Model = flat.range(flat.lex_ranks(&range), false).map(|(m, s)| (s, m.to_vec())).collect();
        let mut expected = contents(&flat);
        expected.retain(|(_, member)| range.reaches_min(member) && range.reaches_max(member));
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn walks_begin_at_any_score_in_either_encoding() {
    let mut rng = fastrand::Rng::with_seed(3);
    for entries in [1, 40, 1000] {
        let limits = EncodingLimits { zset_listpack_entries: 50, ..Default::default() };
        let mut set = SortedSet::new();
        for number in 0..entries {
            set.insert(number.to_string().as_bytes(), f64::from(rng.u32(0..300)), &limits);
        }
        let all: Vec<(Vec<u8>, f64)> = set.iter().map(|(member, score)| (member.to_vec(), score)).collect();
        let walks = set.by_score();
        for least in [-1.0, 0.0, 7.5, 100.0, 299.0, 300.0, f64::INFINITY] {
            let walked: Vec<(Vec<u8>, f64)> =
                walks.from(least).map(|(member, score)| (member.get().to_vec(), score)).collect();
            let first = all.partition_point(|(_, score)| *score < least);
            assert_eq!(walked, all[first..]);
        }
    }
}
