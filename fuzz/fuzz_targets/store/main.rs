//! The store must agree with a plain model of it, whatever is done to its keys through transactions.
//!
//! The input is read as a list of operations; when it ends, the whole keyspace is compared. Keys may share a slot, so
//! that a table grows, shrinks and is walked while it is resized; collections cross their encoding limits both ways.

#![no_main]

mod collections;
mod input;
mod model;
mod operations;

use input::Input;
use libfuzzer_sys::fuzz_target;
use model::Model;
use redoubt_store::{EncodingLimits, Keyspace, Txn};

/// Operations per input: enough for tables to grow and shrink, few enough for many inputs per second.
const OPERATIONS_MAX: usize = 400;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let entries = [4, 16, 128][usize::from(input.byte()) % 3];
    let limits = EncodingLimits {
        list_listpack_size: [4, 16, -1, -2][usize::from(input.byte()) % 4],
        hash_listpack_entries: entries,
        hash_listpack_value: 16,
        set_intset_entries: entries,
        set_listpack_entries: entries,
        set_listpack_value: 16,
        zset_listpack_entries: entries,
        zset_listpack_value: 16,
        ..EncodingLimits::default()
    };
    SPACE.with(|space| {
        let mut model = Model::new(limits);
        for _ in 0..OPERATIONS_MAX {
            if input.is_empty() {
                break;
            }
            operations::run(space, &mut model, &mut input);
        }
        model.compare(space);
        empty(space);
    });
});

thread_local! {
    /// Made once: most of an input's time would go into making and dropping it.
    static SPACE: Keyspace = Keyspace::new(2, 4, 7);
}

/// Leaves the keyspace as it was made.
fn empty(space: &Keyspace) {
    let mut txn = Txn::new(space, 0, fastrand::Rng::with_seed(0));
    txn.acquire(space.all_partitions());
    for db in 0..space.databases() {
        txn.flush(db);
        assert!(txn.is_empty(db) && txn.expires(db) == 0);
    }
}
