//! Rows of the commands on transactions.

use crate::spec::{Arg, Categories, CommandSpec, Doc, Flags, KeyFlags, KeySpec, Run, ServerOp};

/// Commands on transactions, by name.
pub const TRANSACTION: &[CommandSpec] = &[
    CommandSpec {
        name: "discard",
        arity: 1,
        flags: Flags::NOSCRIPT
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::FAST)
            .with(Flags::ALLOW_BUSY),
        categories: Categories::TRANSACTION,
        run: Run::Server(ServerOp::Discard),
        doc: Doc::new(
            "Forgets the queued commands and ends the transaction.",
            "2.0.0",
            "O(N), N = queued commands",
        ),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "exec",
        arity: 1,
        flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE).with(Flags::SKIP_SLOWLOG),
        categories: Categories::TRANSACTION,
        run: Run::Server(ServerOp::Exec),
        doc: Doc::new("Runs the queued commands as one transaction.", "1.2.0", "By the queued commands"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "multi",
        arity: 1,
        flags: Flags::NOSCRIPT
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::FAST)
            .with(Flags::ALLOW_BUSY),
        categories: Categories::TRANSACTION,
        run: Run::Server(ServerOp::Multi),
        doc: Doc::new("Begins a transaction: commands are queued from now on.", "1.2.0", "O(1)"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "unwatch",
        arity: 1,
        flags: Flags::NOSCRIPT
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::FAST)
            .with(Flags::ALLOW_BUSY),
        categories: Categories::TRANSACTION,
        run: Run::Server(ServerOp::Unwatch),
        doc: Doc::new("Forgets the watched keys.", "2.2.0", "O(1)"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "watch",
        arity: -2,
        flags: Flags::NOSCRIPT
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::FAST)
            .with(Flags::ALLOW_BUSY),
        categories: Categories::TRANSACTION,
        keys: &[KeySpec::range(KeyFlags::RO, 1, -1, 1)],
        run: Run::Server(ServerOp::Watch),
        doc: Doc::new(
            "Watches keys: a change to one of them before EXEC cancels the transaction.",
            "2.2.0",
            "O(1) per key",
        )
        .args(&[Arg::key("key", 0).multiple()]),
        ..CommandSpec::EMPTY
    },
];
