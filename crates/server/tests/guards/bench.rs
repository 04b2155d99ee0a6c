//! Runs data commands on a keyspace in this process, with a clock and a seed of its own.

use redoubt_commands::keys::{KeyAt, KeyList, keys_of};
use redoubt_commands::spec::{Propagate, Run};
use redoubt_commands::{Args, Command, Context, Settings, find};
use redoubt_resp::Reply;
use redoubt_server::digest::Digest;
use redoubt_store::{Keyspace, Touch, Txn};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Words of a call.
pub(crate) type Words = Vec<Vec<u8>>;

/// A keyspace and what handlers need beside it.
pub(crate) struct Bench {
    pub(crate) space: Arc<Keyspace>,
    settings: Settings,
    rng: fastrand::Rng,
    /// Unix time, milliseconds.
    pub(crate) now_ms: i64,
    /// Nothing expires by its clock.
    pub(crate) follows: bool,
}

/// What a call did.
pub(crate) struct Ran {
    pub(crate) command: &'static Command,
    /// The error it answered with.
    pub(crate) error: Option<String>,
    /// Commands for the log: database and words.
    pub(crate) effects: Vec<(usize, Words)>,
    /// Changes it counted.
    pub(crate) dirty: u64,
    /// Whether it took hold of anything for change.
    pub(crate) touched: bool,
    /// Whether something was removed lazily, or clients were signalled.
    pub(crate) left_overs: bool,
    /// Keys it looked at or wrote.
    pub(crate) touches: Vec<Touch>,
    /// Keys its key specs name.
    pub(crate) declared: Vec<KeyAt>,
}

/// Type, digest and expiry by database and key.
pub(crate) type Dump = BTreeMap<(usize, Vec<u8>), (&'static str, String, Option<i64>)>;

impl Bench {
    pub(crate) fn new(seed: u64, now_ms: i64, settings: &Settings) -> Bench {
        Bench {
            space: Arc::new(Keyspace::new(16, 1, seed)),
            settings: settings.clone(),
            rng: fastrand::Rng::with_seed(seed),
            now_ms,
            follows: false,
        }
    }

    /// One that runs what another logged.
    pub(crate) fn follower(seed: u64, now_ms: i64, settings: &Settings) -> Bench {
        Bench { follows: true, ..Bench::new(seed, now_ms, settings) }
    }

    /// Runs a call; None when it is none of a data command.
    pub(crate) fn run<W: AsRef<[u8]>>(&mut self, db: usize, words: &[W]) -> Option<Ran> {
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let args = Args::new(&words);
        let command = find(&args).ok()?;
        let Run::Data(handler) = command.spec.run else { return None };
        command.check_arity(args.len()).ok()?;
        let mut declared = KeyList::new();
        let _ = keys_of(command.spec, &args, &mut declared);
        let mut txn = Txn::new(&self.space, self.now_ms, self.rng.fork());
        txn.set_db(db);
        txn.effects.enable(true);
        txn.recorder.start();
        if self.follows {
            txn.judge_nothing();
        }
        txn.acquire(self.space.all_partitions());
        let mut ctx =
            Context { txn, settings: &self.settings, rng: &mut self.rng, may_block: false, parked: None };
        let mut out = Vec::new();
        let outcome = handler(&mut ctx, &args, &mut Reply::new(&mut out, false));
        let txn = &mut ctx.txn;
        if command.spec.propagate == Propagate::Verbatim && txn.counters.dirty != 0 {
            txn.effect(args.words());
        }
        let owned = |words: Vec<&[u8]>| words.into_iter().map(<[u8]>::to_vec).collect();
        Some(Ran {
            command,
            error: outcome.err().map(|error| error.to_string()),
            effects: txn.effects.iter().map(|(db, words)| (db, owned(words))).collect(),
            dirty: txn.counters.dirty,
            touched: txn.touched,
            left_overs: !(txn.garbage.is_empty() && txn.signalled.is_empty()),
            touches: txn.recorder.take().unwrap_or_default(),
            declared: declared.to_vec(),
        })
    }

    /// Applies a command of the log.
    pub(crate) fn apply(&mut self, db: usize, words: &Words) {
        let shown = || words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ");
        match self.run(db, words) {
            None => panic!("the log holds what is no data command: {}", shown()),
            Some(Ran { error: Some(error), .. }) => panic!("a replica answers {} with {error}", shown()),
            Some(_) => {}
        }
    }

    /// Removes every key whose time has passed; the commands for the log.
    pub(crate) fn expire(&mut self) -> Vec<(usize, Words)> {
        let mut txn = Txn::new(&self.space, self.now_ms, self.rng.fork());
        txn.effects.enable(true);
        txn.acquire(self.space.all_partitions());
        txn.expire_partition(0, usize::MAX);
        let owned = |words: Vec<&[u8]>| words.into_iter().map(<[u8]>::to_vec).collect();
        txn.effects.iter().map(|(db, words)| (db, owned(words))).collect()
    }

    /// Everything that is alive at `now_ms`.
    pub(crate) fn dump(&self, now_ms: i64) -> Dump {
        dump(&self.space, now_ms)
    }
}

/// Everything in a keyspace that is alive at `now_ms`.
pub(crate) fn dump(space: &Keyspace, now_ms: i64) -> Dump {
    let mut all = Dump::new();
    let mut txn = Txn::new(space, now_ms, fastrand::Rng::with_seed(0));
    txn.acquire(space.all_partitions());
    for db in 0..space.databases() {
        txn.set_db(db);
        txn.for_each(|key, value, expires| {
            let digest = Digest::of_value(value).hex();
            all.insert((db, key.to_vec()), (value.type_name(), digest, expires));
        });
    }
    all
}

/// Lines that say where two dumps differ.
pub(crate) fn differences(left: &Dump, right: &Dump) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    keys.into_iter()
        .filter(|key| left.get(*key) != right.get(*key))
        .map(|key| {
            let name = String::from_utf8_lossy(&key.1);
            format!("db {} key {name:?}: {:?} against {:?}", key.0, left.get(key), right.get(key))
        })
        .collect()
}
