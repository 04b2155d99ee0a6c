//! Tests of `List`: encodings at the limits, and random operations against a `VecDeque`.

use super::*;
use proptest::prelude::*;

fn limits(size: i32) -> EncodingLimits {
    EncodingLimits { list_listpack_size: size, ..EncodingLimits::default() }
}

fn texts(list: &List) -> Vec<Vec<u8>> {
    list.iter().map(|value| value.to_vec()).collect()
}

#[test]
fn the_handle_is_small() {
    assert!(size_of::<List>() <= 16);
}

#[test]
fn a_count_limit_converts_there_and_back_at_half() {
    let limits = limits(4);
    let mut list = List::new();
    for number in 0..4 {
        list.push_back(number.to_string().as_bytes(), &limits);
    }
    assert_eq!(list.encoding(), "listpack");
    list.push_back(b"4", &limits);
    assert_eq!(list.encoding(), "quicklist");
    list.remove_back(1, &limits);
    assert_eq!(list.encoding(), "quicklist");
    list.remove_front(1, &limits);
    assert_eq!((list.encoding(), list.len()), ("quicklist", 3));
    list.remove_front(1, &limits);
    assert_eq!(list.encoding(), "listpack");
}

#[test]
fn a_large_element_has_a_node_of_its_own() {
    let limits = limits(-1);
    let mut list = List::new();
    list.extend_back(&[b"a", &[b'x'; 5000], b"b"], &limits);
    assert_eq!(list.encoding(), "quicklist");
    assert_eq!(list.nodes().map(Packed::len).collect::<Vec<_>>(), [1, 1, 1]);
    assert!(list.set(1, b"small", &limits));
    list.trim(1, 1, &limits);
    assert_eq!((list.encoding(), texts(&list)), ("listpack", vec![b"small".to_vec()]));
}

#[test]
fn a_million_elements_take_about_their_size() {
    let limits = EncodingLimits::default();
    for front in [true, false] {
        let mut list = List::new();
        for number in 0..100_000 {
            let text = format!("element:{:05}", number % 100_000);
            if front {
                list.push_front(text.as_bytes(), &limits);
            } else {
                list.push_back(text.as_bytes(), &limits);
            }
        }
        let each = list.mem_usage() as f64 / 100_000.0;
        assert!(each < 16.0, "{each} bytes");
    }
}

#[derive(Clone, Debug)]
enum Op {
    Back(Vec<Vec<u8>>),
    Front(Vec<Vec<u8>>),
    Insert(usize, Vec<u8>),
    Set(i64, Vec<u8>),
    Remove(usize, usize),
    RemoveBack(usize),
    Trim(usize, usize),
    RemoveEqual(Vec<u8>, i64),
    Rotate(bool),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0u32..6).prop_map(|v| v.to_string().into_bytes()),
        4 => "[a-c]{0,9}".prop_map(String::into_bytes),
        1 => (3000usize..5000).prop_map(|len| vec![b'z'; len]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let many = || proptest::collection::vec(text(), 0..6);
    prop_oneof![
        4 => many().prop_map(Op::Back),
        4 => many().prop_map(Op::Front),
        3 => (0usize..60, text()).prop_map(|(at, t)| Op::Insert(at, t)),
        2 => (-60i64..60, text()).prop_map(|(at, t)| Op::Set(at, t)),
        2 => (0usize..60, 0usize..12).prop_map(|(at, n)| Op::Remove(at, n)),
        1 => (0usize..6).prop_map(Op::RemoveBack),
        1 => (0usize..5, 20usize..70).prop_map(|(at, n)| Op::Trim(at, n)),
        1 => (text(), -3i64..4).prop_map(|(t, n)| Op::RemoveEqual(t, n)),
        1 => any::<bool>().prop_map(Op::Rotate),
    ]
}

fn model_remove_equal(model: &mut VecDeque<Vec<u8>>, text: &[u8], count: i64) -> usize {
    let mut found: Vec<usize> = (0..model.len()).filter(|&at| model[at] == text).collect();
    if count < 0 {
        found.reverse();
    }
    if count != 0 {
        found.truncate(count.unsigned_abs() as usize);
    }
    let mut at = 0;
    model.retain(|_| {
        at += 1;
        !found.contains(&(at - 1))
    });
    found.len()
}

fn apply(op: &Op, list: &mut List, model: &mut VecDeque<Vec<u8>>, limits: &EncodingLimits) {
    let len = model.len();
    match op {
        Op::Back(texts) => {
            list.extend_back(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>(), limits);
            model.extend(texts.iter().cloned());
        }
        Op::Front(texts) => {
            list.extend_front(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>(), limits);
            texts.iter().for_each(|text| model.push_front(text.clone()));
        }
        Op::Insert(at, text) => {
            list.insert(*at, text, limits);
            model.insert((*at).min(len), text.clone());
        }
        Op::Set(at, text) => {
            let index = if *at < 0 { len as i64 + at } else { *at };
            let there = index >= 0 && index < len as i64;
            assert_eq!(list.set(*at, text, limits), there);
            if there {
                model[index as usize] = text.clone();
            }
        }
        Op::Remove(at, count) => {
            list.remove(*at, *count, limits);
            model.drain((*at).min(len)..(at + count).min(len));
        }
        Op::RemoveBack(count) => {
            list.remove_back(*count, limits);
            model.truncate(len.saturating_sub(*count));
        }
        Op::Trim(at, count) => {
            list.trim(*at, *count, limits);
            model.truncate(at + count);
            model.drain(..(*at).min(model.len()));
        }
        Op::Rotate(forward) => {
            list.rotate(*forward, limits);
            if *forward && len > 0 {
                model.rotate_left(1);
            } else if len > 0 {
                model.rotate_right(1);
            }
        }
        Op::RemoveEqual(text, count) => {
            assert_eq!(list.remove_equal(text, *count, limits), model_remove_equal(model, text, *count));
        }
    }
}

proptest! {
    #[test]
    fn behaves_like_a_deque(size in -2i32..6, ops in proptest::collection::vec(op(), 0..100)) {
        let limits = limits(size);
        let mut list = List::new();
        let mut model = VecDeque::new();
        for op in ops {
            apply(&op, &mut list, &mut model, &limits);
            prop_assert_eq!(texts(&list), model.iter().cloned().collect::<Vec<_>>(), "{:?}", op);
            prop_assert_eq!(list.len(), model.len());
            prop_assert!(list.nodes().all(|node| list.is_empty() || !node.is_empty()));
        }
        prop_assert!(list.iter().rev().map(|v| v.to_vec()).eq(model.iter().rev().cloned()));
        prop_assert_eq!(list.front().map(|v| v.to_vec()), model.front().cloned());
        prop_assert_eq!(list.back().map(|v| v.to_vec()), model.back().cloned());
        for start in 0..model.len() {
            prop_assert!(list.get(start as i64).is_some_and(|v| v == *model[start]));
            for count in [0, 1, 5, 40] {
                let part: Vec<_> = model.iter().skip(start).take(count).cloned().collect();
                prop_assert!(list.range(start, count).map(|v| v.to_vec()).eq(part.iter().cloned()));
                prop_assert!(list.range(start, count).rev().map(|v| v.to_vec()).eq(part.into_iter().rev()));
            }
        }
    }
}

proptest! {
    #[test]
    fn whole_nodes_are_appended(nodes in prop::collection::vec(prop::collection::vec("[a-z0-9]{0,20}", 0..9), 0..12)) {
        let limits = EncodingLimits { list_listpack_size: 4, ..EncodingLimits::default() };
        let (mut list, mut expected) = (List::new(), Vec::new());
        for texts in nodes {
            let mut node = Packed::new();
            texts.iter().for_each(|text| node.push_back(text.as_bytes()));
            if List::takes_node(&node, &limits) {
                list.append_node(node, &limits);
            } else {
                texts.iter().for_each(|text| list.push_back(text.as_bytes(), &limits));
            }
            expected.extend(texts);
        }
        let found: Vec<String> =
            list.iter().map(|value| String::from_utf8(value.to_vec()).expect("letters and digits")).collect();
        prop_assert_eq!(list.len(), expected.len());
        prop_assert_eq!(found, expected);
        prop_assert!(list.nodes().all(|node| node.len() <= 4));
        prop_assert!(list.encoding() == "quicklist" || list.len() <= 4);
    }
}
