//! Rows of the commands of clusters, as far as they concern any replica.

use crate::spec::{Categories, CommandSpec, Doc, Flags, Run, ServerOp};

/// Commands of clusters, by name.
pub const CLUSTER: &[CommandSpec] = &[
    CommandSpec {
        name: "readonly",
        arity: 1,
        flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Readonly),
        doc: Doc::new(
            "Lets a node that is not the primary answer reads of this connection.",
            "3.0.0",
            "O(1)",
        ),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "readwrite",
        arity: 1,
        flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
        categories: Categories::CONNECTION,
        run: Run::Server(ServerOp::Readwrite),
        doc: Doc::new("Has the primary answer reads of this connection again.", "3.0.0", "O(1)"),
        ..CommandSpec::EMPTY
    },
];
