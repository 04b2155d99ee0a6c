//! Streams against a plain ordered map of entries.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Pairs = Vec<Vec<u8>>;
type Model = BTreeMap<StreamId, Pairs>;

#[derive(Clone, Debug)]
enum Step {
    /// Appends that far above the last id.
    Add(u64, u64, usize),
    Delete(usize),
    Trim(usize, bool, bool),
    /// Deletes a run of neighbours, as a consumer that cleans up does.
    DeleteRun(usize, usize),
}

fn texts(shape: usize) -> Pairs {
    let text = |text: &str| text.as_bytes().to_vec();
    match shape % 6 {
        0..=2 => vec![text("field"), text("12"), text("name"), vec![b'x'; shape % 90]],
        3 => vec![text("field"), text("-5000"), text("other"), text("")],
        4 => vec![text(""), vec![b'y'; 200]],
        _ => vec![text("7"), text("9223372036854775807"), text("7"), text("007"), text("field"), text("a")],
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop_oneof![Just(0), Just(1), Just(200), Just(1 << 40)], 1u64..300, 0usize..120)
            .prop_map(|(ms, seq, shape)| Step::Add(ms, seq, shape)),
        3 => any::<prop::sample::Index>().prop_map(|at| Step::Delete(at.index(1000))),
        1 => (0usize..60, any::<bool>(), any::<bool>()).prop_map(|(keep, id, about)| Step::Trim(keep, id, about)),
        1 => (any::<prop::sample::Index>(), 1usize..40).prop_map(|(at, len)| Step::DeleteRun(at.index(1000), len)),
    ]
}

fn owned(entry: Entry<'_>) -> (StreamId, Pairs) {
    assert_eq!(entry.fields.len(), entry.fields.clone().count());
    (entry.id, entry.fields.flat_map(|(name, value)| [name.to_vec(), value.to_vec()]).collect())
}

fn nth(model: &Model, at: usize) -> Option<StreamId> {
    if model.is_empty() { None } else { model.keys().nth(at % model.len()).copied() }
}

fn delete(stream: &mut Stream, model: &mut Model, id: StreamId) {
    assert_eq!(stream.delete(id), model.remove(&id).is_some());
    assert!(!stream.delete(id));
}

fn trim(stream: &mut Stream, model: &mut Model, keep: usize, by_id: bool, approximate: bool) {
    let first_kept = model.keys().rev().nth(keep).copied().unwrap_or(StreamId::MIN);
    let to = if by_id { TrimTo::MinId(first_kept) } else { TrimTo::MaxLen(keep as u64) };
    let before = model.len();
    let trim = Trim { to, approximate, limit: 0, references: References::Keep };
    let removed = stream.trim(&trim) as usize;
    let wanted = match to {
        TrimTo::MaxLen(_) => before.saturating_sub(keep),
        TrimTo::MinId(id) => model.range(..id).count(),
    };
    assert!(removed == wanted || approximate && removed < wanted, "{removed} of {wanted}");
    (0..removed).for_each(|_| {
        model.pop_first();
    });
}

fn check(stream: &Stream, model: &Model) {
    let expected: Vec<_> = model.iter().map(|(id, pairs)| (*id, pairs.clone())).collect();
    assert_eq!(stream.iter().map(owned).collect::<Vec<_>>(), expected);
    let reversed: Vec<_> = stream.rev_range(StreamId::MIN, StreamId::MAX).map(owned).collect();
    assert!(reversed.into_iter().eq(expected.iter().rev().cloned()));
    assert_eq!(stream.len() as usize, model.len());
    assert_eq!(stream.is_empty(), stream.blocks() == 0);
    assert_eq!(stream.first_id(), model.keys().next().copied().unwrap_or(StreamId::MIN));
    assert!(stream.mem_usage() > 0);
    for (at, (id, pairs)) in expected.iter().enumerate() {
        assert_eq!(stream.get(*id).map(owned).as_ref().map(|entry| &entry.1), Some(pairs));
        if at % 7 == 0 {
            let to = expected[(at + 20).min(expected.len() - 1)].0;
            let inner: Vec<_> = stream.range(*id, to).map(|entry| entry.id).collect();
            assert_eq!(inner, model.range(*id..=to).map(|(id, _)| *id).collect::<Vec<_>>());
            let inner: Vec<_> = stream.rev_range(*id, to).map(|entry| entry.id).collect();
            assert_eq!(inner, model.range(*id..=to).rev().map(|(id, _)| *id).collect::<Vec<_>>());
            // Ends between entries.
            let (from, to) = (id.next().unwrap(), to.previous().unwrap());
            let inner: Vec<_> = stream.range(from, to).map(|entry| entry.id).collect();
            let model = model.keys().copied().filter(|id| (from..=to).contains(id));
            assert_eq!(inner, model.collect::<Vec<_>>());
        }
    }
}

fn run(steps: Vec<Step>, limits: &EncodingLimits) {
    let (mut stream, mut model) = (Stream::new(), Model::new());
    for step in steps {
        match step {
            Step::Add(ms, seq, shape) => {
                let last = stream.last_id();
                let base = if ms == 0 { last.seq } else { 0 };
                let (id, pairs) = (StreamId::new(last.ms + ms, base + seq), texts(shape));
                let words: Vec<&[u8]> = pairs.iter().map(Vec::as_slice).collect();
                assert!(stream.add(id, &words, limits));
                assert!(!stream.add(id, &words, limits));
                model.insert(id, pairs);
            }
            Step::Delete(at) => {
                if let Some(id) = nth(&model, at) {
                    delete(&mut stream, &mut model, id);
                }
            }
            Step::Trim(keep, by_id, approximate) => trim(&mut stream, &mut model, keep, by_id, approximate),
            Step::DeleteRun(at, len) => {
                let from = nth(&model, at).unwrap_or(StreamId::MAX);
                let run: Vec<_> = model.range(from..).take(len).map(|(id, _)| *id).collect();
                run.into_iter().for_each(|id| delete(&mut stream, &mut model, id));
            }
        }
    }
    check(&stream, &model);
    check(&stream.clone(), &model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn does_what_an_ordered_map_does(steps in prop::collection::vec(step(), 0..500)) {
        run(steps, &EncodingLimits::default());
    }

    #[test]
    fn small_and_unbounded_blocks_hold_the_same(steps in prop::collection::vec(step(), 0..300)) {
        let of = |bytes, entries| EncodingLimits {
            stream_node_bytes: bytes,
            stream_node_entries: entries,
            ..EncodingLimits::default()
        };
        run(steps.clone(), &of(0, 3));
        run(steps.clone(), &of(300, 0));
        run(steps, &of(0, 0));
    }
}

fn numbered(entries: u64) -> Stream {
    let mut stream = Stream::new();
    for ms in 1..=entries {
        stream.add(StreamId::new(ms, 0), &[b"a", b"1", b"b", b"2"], &EncodingLimits::default());
    }
    stream
}

#[test]
fn entries_that_share_their_fields_are_small() {
    let stream = numbered(100_000);
    let each = stream.mem_usage() as f64 / 100_000.0;
    assert!(each < 9.0, "{each} bytes per entry");
}

#[test]
fn blocks_that_lose_most_entries_give_their_bytes_back() {
    let mut stream = numbered(1000);
    let before = stream.mem_usage();
    (1..=1000).filter(|ms| ms % 10 != 0).for_each(|ms| assert!(stream.delete(StreamId::new(ms, 0))));
    assert!(stream.mem_usage() < before * 3 / 5, "{} of {before}", stream.mem_usage());
    assert_eq!(stream.blocks(), 10);
}

#[test]
fn groups_deliver_and_remember() {
    let mut stream = numbered(5);
    assert!(stream.create_group(b"g", StreamId::MIN, None));
    assert!(!stream.create_group(b"g", StreamId::MIN, None));
    let group = stream.group_mut(b"g").unwrap();
    let (ann, made) = group.create_consumer(b"ann", 10);
    let (bob, _) = group.create_consumer(b"bob", 10);
    assert!(made && group.create_consumer(b"ann", 11) == (ann, false));
    let mut seen = Vec::new();
    assert_eq!(stream.deliver(b"g", ann, 2, Some(20), |entry| seen.push(entry.id.ms)), 2);
    assert_eq!(stream.deliver(b"g", bob, 0, Some(30), |entry| seen.push(entry.id.ms)), 3);
    assert_eq!(stream.deliver(b"g", bob, 0, Some(40), |_| unreachable!()), 0);
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    let group = stream.group(b"g").unwrap();
    assert_eq!((group.entries_read(), stream.lag(group)), (Some(5), Some(0)));
    assert_eq!(group.pending_bounds(), Some((StreamId::new(1, 0), StreamId::new(5, 0))));
    assert_eq!((group.consumer(ann).pending_len(), group.consumer(bob).pending_len()), (2, 3));

    let group = stream.group_mut(b"g").unwrap();
    group.assign(StreamId::new(4, 0), ann, Pending::new(50));
    assert!(group.acknowledge(StreamId::new(1, 0)) && !group.acknowledge(StreamId::new(1, 0)));
    assert_eq!((group.consumer(ann).pending_len(), group.consumer(bob).pending_len()), (2, 2));
    assert_eq!(group.remove_consumer(b"bob"), Some(2));
    assert_eq!(group.pending_len(), 2);
    // The place of a consumer that went is taken by the next one.
    let (carl, _) = group.create_consumer(b"carl", 60);
    assert_eq!(group.consumer(carl).pending_len(), 0);
    let names: Vec<_> = group.consumers().map(|consumer| consumer.name().to_vec()).collect();
    assert_eq!(names, [b"ann".to_vec(), b"carl".to_vec()]);
}

#[test]
fn ids_have_neighbours() {
    assert_eq!(StreamId::MAX.next(), None);
    assert_eq!(StreamId::MIN.previous(), None);
    assert_eq!(StreamId::new(1, u64::MAX).next(), Some(StreamId::new(2, 0)));
    assert_eq!(StreamId::new(2, 0).previous(), Some(StreamId::new(1, u64::MAX)));
}
