//! Tests of `MemberTable`: against a `BTreeSet`, the scan's promise under growth and shrinking, fairness of `random`.

use super::*;
use crate::thin::ThinBytes;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Table = MemberTable<ThinBytes>;

fn text(number: u32) -> Vec<u8> {
    format!("member:{number}").into_bytes()
}

fn filled(count: u32) -> Table {
    let mut table = Table::new();
    table.extend((0..count).map(|number| ThinBytes::new(&text(number))));
    table
}

#[test]
fn a_bucket_is_one_cache_line() {
    assert_eq!(size_of::<Bucket<ThinBytes>>(), 64);
}

#[test]
fn members_are_found_after_growth_and_removal() {
    let mut table = filled(10_000);
    assert_eq!(table.len(), 10_000);
    for number in (0..10_000).step_by(3) {
        assert!(table.remove(&text(number)).is_some());
        assert!(table.remove(&text(number)).is_none());
    }
    for number in 0..10_000 {
        assert_eq!(table.contains(&text(number)), number % 3 != 0, "{number}");
    }
    assert_eq!(table.iter().count(), table.len());
    for number in 0..10_000 {
        table.remove(&text(number));
    }
    assert!(table.is_empty() && table.mem_usage() == 0);
}

#[test]
fn inserting_again_replaces() {
    let mut table = filled(20);
    assert!(table.insert(ThinBytes::new(&text(7))).is_some());
    assert!(!table.insert_with(&text(7), || unreachable!("it is there")));
    assert_eq!(table.len(), 20);
}

#[test]
fn random_reaches_every_member_about_equally() {
    let table = filled(40);
    let mut rng = fastrand::Rng::with_seed(7);
    let mut seen = std::collections::BTreeMap::<Vec<u8>, u32>::new();
    for _ in 0..40_000 {
        *seen.entry(table.random(&mut rng).unwrap().to_vec()).or_default() += 1;
    }
    assert_eq!(seen.len(), 40);
    assert!(seen.values().all(|&count| (800..1200).contains(&count)), "{seen:?}");
}

/// Members visited by a scan during which `change` is applied after every step.
fn scan_with(table: &mut Table, mut change: impl FnMut(&mut Table, usize)) -> BTreeSet<Vec<u8>> {
    let mut seen = BTreeSet::new();
    let mut cursor = 0;
    for step in 0.. {
        cursor = table.scan(cursor, |member| {
            seen.insert(member.to_vec());
        });
        if cursor == 0 {
            break;
        }
        change(table, step);
    }
    seen
}

#[test]
fn scan_sees_everything_once_when_nothing_changes() {
    let mut table = filled(5000);
    let mut visits = 0;
    let mut cursor = 0;
    loop {
        cursor = table.scan(cursor, |_| visits += 1);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(visits, 5000);
    assert_eq!(scan_with(&mut table, |_, _| ()).len(), 5000);
}

/// A table in the middle of moving to twice the buckets, and how many members it has.
fn growing() -> (Table, u32) {
    let mut count = 6 * 1024 + 1;
    let mut table = filled(count);
    while table.leaving.is_none() {
        table.insert(ThinBytes::new(&text(count)));
        count += 1;
    }
    for _ in 0..100 {
        table.insert(ThinBytes::new(&text(count)));
        count += 1;
    }
    assert!(table.leaving.as_ref().is_some_and(|leaving| leaving.next > 100));
    (table, count)
}

#[test]
fn a_table_on_the_move_finds_scans_and_removes_all() {
    let (mut table, count) = growing();
    assert!((0..count).all(|number| table.contains(&text(number))));
    assert!(!table.insert_with(&text(5), || unreachable!("it is there")));
    assert_eq!((table.iter().count(), table.len()), (count as usize, count as usize));
    let mut visits = 0;
    let mut cursor = 0;
    loop {
        cursor = table.scan(cursor, |_| visits += 1);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(visits, count);
    assert_eq!(scan_with(&mut table.clone(), |_, _| ()).len(), count as usize);
    let mut rng = fastrand::Rng::with_seed(3);
    assert!((0..1000).all(|_| table.random(&mut rng).is_some()));
    for number in 0..count {
        assert!(table.remove(&text(number)).is_some(), "{number}");
        assert!(!table.contains(&text(number)));
    }
    assert_eq!((table.is_empty(), table.mem_usage()), (true, 0));
}

#[test]
fn scan_keeps_its_promise_while_a_large_table_moves() {
    let (mut table, count) = growing();
    let seen = scan_with(&mut table, |table, step| {
        // Grow through another doubling, then shrink far below the first size.
        for number in 0..10 {
            let number = count + step as u32 * 10 + number;
            if step < 900 {
                table.insert(ThinBytes::new(&text(number)));
            } else {
                (0..10).for_each(|i| drop(table.remove(&text(1000 + (number - count - 9000) * 10 + i))));
            }
        }
    });
    assert!((0..1000).all(|number| seen.contains(&text(number))));
}

#[test]
fn scan_keeps_its_promise_while_the_table_grows_and_shrinks() {
    for keep in [1u32, 10, 100, 1000] {
        let mut growing = filled(keep);
        let seen = scan_with(&mut growing, |table, step| {
            if step < 200 {
                (0..50).for_each(|i| {
                    drop(table.insert(ThinBytes::new(&text(1_000_000 + step as u32 * 50 + i))))
                });
            }
        });
        assert!((0..keep).all(|number| seen.contains(&text(number))));

        let mut shrinking = filled(keep * 40);
        let seen = scan_with(&mut shrinking, |table, step| {
            for number in 0..20 {
                let number = keep + step as u32 * 20 + number;
                table.remove(&text(number));
            }
        });
        assert!((0..keep).all(|number| seen.contains(&text(number))));
    }
}

proptest! {
    #[test]
    fn behaves_like_a_set(ops in proptest::collection::vec((any::<bool>(), 0u32..300), 0..2000)) {
        let mut table = Table::new();
        let mut model = BTreeSet::new();
        for (add, number) in ops {
            let member = text(number);
            if add {
                prop_assert_eq!(table.insert_with(&member, || ThinBytes::new(&member)), model.insert(member));
            } else {
                prop_assert_eq!(table.remove(&member).is_some(), model.remove(&member));
            }
            prop_assert_eq!(table.len(), model.len());
        }
        let members: BTreeSet<Vec<u8>> = table.iter().map(|m| m.to_vec()).collect();
        prop_assert_eq!(&members, &model);
        prop_assert_eq!(scan_with(&mut table.clone(), |_, _| ()), model);
        prop_assert_eq!(table.into_members().count(), members.len());
    }
}

#[test]
fn a_table_on_its_way_gets_there_whatever_it_is_used_for() {
    let on_the_way = || {
        let mut table = filled(3 * AT_ONCE as u32 * LOAD_MAX as u32);
        let mut next = table.len() as u32;
        while table.is_settled() {
            table.insert(ThinBytes::new(&text(next)));
            next += 1;
        }
        table
    };
    let uses: [fn(&mut Table); 5] = [
        |table| table.settle(),
        |table| assert!(table.get_mut(&text(7)).is_some()),
        |table| assert!(table.remove(b"not there").is_none()),
        |table| assert!(table.insert(ThinBytes::new(&text(7))).is_some()),
        |table| assert!(!table.insert_with(&text(7), || unreachable!("it is there"))),
    ];
    for with in uses {
        let mut table = on_the_way();
        let (len, before) = (table.len(), table.mem_usage());
        (0..len).for_each(|_| with(&mut table));
        assert!(table.is_settled() && table.mem_usage() < before);
        assert!((0..len as u32).all(|number| table.contains(&text(number))));
        assert_eq!(table.len(), len);
    }
}
