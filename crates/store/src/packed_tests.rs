//! Tests of `Packed`: encodings at their borders, and random operations against a `VecDeque`.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

fn texts(packed: &Packed) -> Vec<Vec<u8>> {
    packed.iter().map(|value| value.to_vec()).collect()
}

#[test]
fn integers_of_every_width_read_back() {
    let mut packed = Packed::new();
    let mut expected = Vec::new();
    for bits in 0..64 {
        for value in [1i64 << bits, (1i64 << bits).wrapping_sub(1), (1i64 << bits).wrapping_neg()] {
            for value in [value, value.wrapping_sub(1)] {
                packed.push_back(value.to_string().as_bytes());
                expected.push(value.to_string().into_bytes());
            }
        }
    }
    assert_eq!(texts(&packed), expected);
    expected.reverse();
    assert_eq!(packed.iter().rev().map(|value| value.to_vec()).collect::<Vec<_>>(), expected);
    assert!(packed.iter().all(|value| value.as_int().is_some()));
}

#[test]
fn texts_of_border_lengths_read_back_from_both_ends() {
    let mut packed = Packed::new();
    let lengths = [0, 1, 63, 64, 126, 127, 128, 4095, 4096, 16381, 16384, 70_000, 2_100_000];
    for len in lengths {
        packed.push_back(&vec![b'x'; len]);
    }
    assert_eq!(packed.iter().map(|v| v.len()).collect::<Vec<_>>(), lengths);
    assert!(packed.iter().rev().map(|v| v.len()).eq(lengths.into_iter().rev()));
}

#[test]
fn an_index_past_the_end_is_none() {
    let mut packed = Packed::new();
    assert!(packed.get(0).is_none() && packed.get(-1).is_none());
    packed.remove(3, 2);
    assert!(!packed.replace(0, b"x"));
    packed.insert(7, b"a");
    assert!(packed.get(1).is_none() && packed.get(-2).is_none() && packed.get(isize::MIN).is_none());
    assert!(packed.get(-1).is_some_and(|v| v == *b"a".as_slice()));
}

#[test]
fn thirteen_byte_elements_take_fifteen() {
    assert_eq!(Packed::entry_size(b"element:12345"), 15);
    assert_eq!(size_of::<Packed>(), 8);
}

#[test]
fn texts_that_look_like_integers_keep_their_form() {
    let mut packed = Packed::new();
    let odd: [&[u8]; 7] = [b"007", b"-0", b"+1", b" 1", b"9223372036854775808", b"1.0", b"-"];
    odd.iter().for_each(|text| packed.push_front(text));
    assert!(packed.iter().rev().map(|v| v.to_vec()).eq(odd.iter().map(|t| t.to_vec())));
}

#[test]
fn pairs_are_found_by_field_only() {
    let mut packed = Packed::new();
    for text in [b"a", b"b", b"b", b"1"] {
        packed.push_back(text);
    }
    assert_eq!(packed.find(b"b", 1), packed.seek(2));
    assert_eq!(packed.find(b"1", 1), None);
    assert_eq!(packed.find(b"1", 0), packed.seek(3));
}

#[derive(Clone, Debug)]
enum Op {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    Insert(usize, Vec<u8>),
    Replace(isize, Vec<u8>),
    Remove(usize, usize),
    Split(usize),
    Shrink,
    Retain(u8),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|v| v.to_string().into_bytes()),
        (-200i64..5000).prop_map(|v| v.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..20),
        (0usize..5000).prop_map(|len| vec![b'y'; len]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => text().prop_map(Op::PushBack),
        3 => text().prop_map(Op::PushFront),
        2 => (0usize..40, text()).prop_map(|(at, t)| Op::Insert(at, t)),
        2 => (-20isize..20, text()).prop_map(|(at, t)| Op::Replace(at, t)),
        4 => (0usize..20, 0usize..4).prop_map(|(at, n)| Op::Remove(at, n)),
        1 => (0usize..20).prop_map(Op::Split),
        1 => Just(Op::Shrink),
        1 => any::<u8>().prop_map(Op::Retain),
    ]
}

fn apply(op: Op, packed: &mut Packed, model: &mut VecDeque<Vec<u8>>) {
    match op {
        Op::PushBack(t) => {
            packed.push_back(&t);
            model.push_back(t);
        }
        Op::PushFront(t) => {
            packed.push_front(&t);
            model.push_front(t);
        }
        Op::Insert(at, t) => {
            packed.insert(at, &t);
            model.insert(at.min(model.len()), t);
        }
        Op::Replace(at, t) => {
            let index = if at < 0 { model.len() as isize + at } else { at };
            let there = index >= 0 && (index as usize) < model.len();
            assert_eq!(packed.replace(at, &t), there);
            if there {
                model[index as usize] = t;
            }
        }
        Op::Remove(at, n) => {
            packed.remove(at, n);
            model.drain(at.min(model.len())..(at + n).min(model.len()));
        }
        Op::Split(at) => {
            let tail = packed.split_off(at);
            assert_eq!(tail.len(), model.len().saturating_sub(at));
            packed.append(&tail);
        }
        Op::Shrink => packed.shrink(),
        Op::Retain(least) => {
            packed.retain(|v| v.to_vec().first().is_some_and(|&byte| byte >= least));
            model.retain(|text| text.first().is_some_and(|&byte| byte >= least));
        }
    }
}

proptest! {
    #[test]
    fn behaves_like_a_deque(ops in proptest::collection::vec(op(), 0..120)) {
        let mut packed = Packed::new();
        let mut model = VecDeque::new();
        for op in ops {
            apply(op, &mut packed, &mut model);
            prop_assert_eq!(texts(&packed), model.iter().cloned().collect::<Vec<_>>());
            prop_assert_eq!(packed.len(), model.len());
        }
        prop_assert!(packed.iter().rev().map(|v| v.to_vec()).eq(model.iter().rev().cloned()));
        let part: Vec<_> = model.iter().skip(2).take(5).cloned().collect();
        prop_assert!(packed.range(2, 5).map(|v| v.to_vec()).eq(part.iter().cloned()));
        prop_assert!(packed.range(2, 5).rev().map(|v| v.to_vec()).eq(part.iter().rev().cloned()));
        for (index, text) in model.iter().enumerate() {
            prop_assert!(packed.get(index as isize).is_some_and(|v| v == **text));
        }
        prop_assert_eq!(texts(&packed.clone()), texts(&packed));
    }
}

#[test]
fn texts_that_only_look_like_integers_are_equal_to_themselves_only() {
    for text in [
        "12",
        "012",
        "+12",
        "-0",
        "0",
        "00",
        " 12",
        "12 ",
        "1e1",
        "9223372036854775808",
        "-9223372036854775808",
    ] {
        let mut packed = Packed::new();
        packed.push_back(text.as_bytes());
        let value = packed.get(0).expect("one entry");
        for other in ["12", "012", "+12", "-0", "0", "00", " 12", "-9223372036854775808"] {
            assert_eq!(value == *other.as_bytes(), text == other, "{text:?} and {other:?}");
            assert_eq!(PackedValue::Bytes(text.as_bytes()) == *other.as_bytes(), text == other);
        }
        assert_eq!(value.to_vec(), text.as_bytes());
    }
}

proptest! {
    #[test]
    fn encoded_entries_are_taken_over(texts in prop::collection::vec(
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            any::<i64>().prop_map(|value| value.to_string().into_bytes()),
            any::<i16>().prop_map(|value| value.to_string().into_bytes()),
        ], 0..40)
    ) {
        let mut packed = Packed::new();
        texts.iter().for_each(|text| packed.push_back(text));
        let values: Vec<PackedValue<'_>> = packed.iter().collect();
        let taken = Packed::from_encoded(packed.as_encoded(), &values).expect("as written");
        prop_assert_eq!((taken.len(), taken.as_encoded()), (packed.len(), packed.as_encoded()));
        let longer = [packed.as_encoded(), &[0]].concat();
        prop_assert!(Packed::from_encoded(&longer, &values).is_none());
    }
}

#[test]
fn entries_that_would_be_written_otherwise_are_not_taken_over() {
    assert!(Packed::from_encoded(b"\x05\x01", &[PackedValue::Int(5)]).is_some());
    assert!(Packed::from_encoded(b"\xF1\x05\0\x03", &[PackedValue::Int(5)]).is_none());
    assert!(Packed::from_encoded(b"\x8212\x03", &[PackedValue::Bytes(b"12")]).is_none());
    assert!(Packed::from_encoded(b"\xE0\x01x\x03", &[PackedValue::Bytes(b"x")]).is_none());
    assert!(Packed::from_encoded(b"\x05", &[PackedValue::Int(5)]).is_none());
}
