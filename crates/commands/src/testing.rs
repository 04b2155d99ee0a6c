//! Runs commands of the table on a keyspace of its own, for the tests of handlers.

use crate::args::Args;
use crate::context::{Context, Settings};
use crate::spec::{Propagate, Run};
use crate::table::find;
use redoubt_resp::Reply;
use redoubt_store::{Keyspace, Txn};

/// A keyspace, and what a handler needs beside it.
pub(crate) struct Bench {
    /// The keyspace, 16 databases.
    pub(crate) space: Keyspace,
    /// Settings the handlers see.
    pub(crate) settings: Settings,
    /// Unix time, milliseconds.
    pub(crate) now_ms: i64,
    /// Database the commands run in.
    pub(crate) db: usize,
    /// Whether replies are RESP3.
    pub(crate) resp3: bool,
}

impl Bench {
    /// An empty keyspace.
    pub(crate) fn new() -> Bench {
        let space = Keyspace::new(16, 4, 7);
        Bench { space, settings: Settings::default(), now_ms: 1_700_000_000_000, db: 0, resp3: false }
    }

    /// Works on a transaction that holds everything.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Txn<'_>) -> T) -> T {
        let mut txn = Txn::new(&self.space, self.now_ms, fastrand::Rng::with_seed(1));
        txn.set_db(self.db);
        txn.acquire(self.space.all_partitions());
        work(&mut txn)
    }

    /// Runs one call, words divided by blanks, and returns the reply with `|` for line ends.
    pub(crate) fn run(&self, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let args = Args::new(&words);
        let mut out = Vec::new();
        let outcome = find(&args).and_then(|command| {
            command.check_arity(args.len())?;
            let Run::Data(handler) = command.spec.run else { panic!("{line} is not a data command") };
            let mut txn = Txn::new(&self.space, self.now_ms, fastrand::Rng::with_seed(1));
            txn.set_db(self.db);
            txn.acquire(self.space.all_partitions());
            let mut rng = fastrand::Rng::with_seed(2);
            let mut ctx =
                Context { txn, settings: &self.settings, rng: &mut rng, may_block: false, parked: None };
            handler(&mut ctx, &args, &mut Reply::new(&mut out, self.resp3))
        });
        match outcome {
            Ok(()) => String::from_utf8_lossy(&out).replace("\r\n", "|"),
            Err(error) => format!("-{error}|"),
        }
    }

    /// Runs one call with the log on and returns what it left there, each command as its words with blanks between.
    pub(crate) fn effects(&self, line: &str) -> Vec<String> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let args = Args::new(&words);
        let command = find(&args).expect("the command exists");
        let Run::Data(handler) = command.spec.run else { panic!("{line} is not a data command") };
        let mut txn = Txn::new(&self.space, self.now_ms, fastrand::Rng::with_seed(1));
        txn.effects.enable(true);
        txn.acquire(self.space.all_partitions());
        let mut rng = fastrand::Rng::with_seed(2);
        let mut ctx =
            Context { txn, settings: &self.settings, rng: &mut rng, may_block: false, parked: None };
        handler(&mut ctx, &args, &mut Reply::new(&mut Vec::new(), self.resp3)).expect("the call is in order");
        if command.spec.propagate == Propagate::Verbatim && ctx.txn.counters.dirty > 0 {
            ctx.txn.effect(args.words());
        }
        let text = |(_, words): (usize, Vec<&[u8]>)| String::from_utf8_lossy(&words.join(&b' ')).into_owned();
        ctx.txn.effects.iter().map(text).collect()
    }

    /// Runs calls and compares their replies: `(call, reply)` pairs.
    #[track_caller]
    pub(crate) fn check(&self, cases: &[(&str, &str)]) {
        for (line, expected) in cases {
            assert_eq!(self.run(line), *expected, "{line}");
        }
    }
}
