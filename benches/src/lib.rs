//! What the benches share: requests as clients send them, and a keyspace to run them on.

use redoubt_commands::spec::Run;
use redoubt_commands::{Args, Context, Settings, lookup};
use redoubt_resp::Reply;
use redoubt_store::{Keyspace, Txn};

/// Databases of the keyspace.
const DATABASES: usize = 16;
/// Partitions of the keyspace, as the server has them by default.
const PARTITIONS: usize = 64;
/// The time all calls see, Unix milliseconds.
const NOW_MS: i64 = 1_700_000_000_000;

/// A pipeline of `count` calls of SET with keys and values of 16 bytes, as bytes on the wire.
pub fn set_pipeline(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|number| {
            format!("*3\r\n$3\r\nSET\r\n$16\r\n{}\r\n$16\r\n{:016}\r\n", key(number), number).into_bytes()
        })
        .collect()
}

/// The key of a number, 16 bytes.
pub fn key(number: usize) -> String {
    format!("key:{number:012}")
}

/// A keyspace and what calls need beside it.
pub struct Bed {
    space: Keyspace,
    settings: Settings,
}

impl Bed {
    /// A keyspace with `keys` strings of 16 bytes under `key(0)` and on.
    pub fn new(keys: usize) -> Bed {
        let bed = Bed { space: Keyspace::new(DATABASES, PARTITIONS, 7), settings: Settings::default() };
        let mut out = Vec::new();
        for number in 0..keys {
            out.clear();
            bed.run(&[b"SET", key(number).as_bytes(), format!("{number:016}").as_bytes()], &mut out);
        }
        bed
    }

    /// Runs one call in a transaction over the partition of its key, as a worker does, and appends the reply.
    ///
    /// # Panics
    /// When the call is not a data command with a key, or fails.
    pub fn run(&self, words: &[&[u8]], out: &mut Vec<u8>) {
        let command = lookup(words[0]).expect("the command is in the table");
        let Run::Data(handler) = command.spec.run else { panic!("not a data command") };
        let mut txn = Txn::new(&self.space, NOW_MS, fastrand::Rng::with_seed(1));
        let partition = self.space.partition_of(txn.key(words[1]).slot);
        txn.acquire_one(partition);
        let mut rng = fastrand::Rng::with_seed(2);
        let mut ctx =
            Context { txn, settings: &self.settings, rng: &mut rng, may_block: false, parked: None };
        handler(&mut ctx, &Args::new(words), &mut Reply::new(out, false)).expect("the call is valid");
    }
}
