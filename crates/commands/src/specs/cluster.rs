//! Rows of the commands of clusters that a deployment with one shard answers, too.

use crate::spec::{Arg, ArgKind, Categories, CommandSpec, Doc, Flags, Run, ServerOp, internal};

/// Not shown by a server without failover built in.
const DEPLOYMENT: Flags = internal::ONLY_DEPLOYMENT;
const ADMIN: Flags = Flags::ADMIN.with(Flags::STALE).with(Flags::NO_ASYNC_LOADING).with(DEPLOYMENT);

/// Commands of clusters, by name.
pub const CLUSTER: &[CommandSpec] = &[
    CommandSpec {
        name: "cluster",
        arity: -2,
        flags: DEPLOYMENT,
        run: Run::Container,
        doc: Doc::new("Groups the commands about the nodes of a deployment.", "3.0.0", "By subcommand"),
        subcommands: &[
            CommandSpec {
                name: "failover",
                arity: -2,
                flags: ADMIN,
                categories: Categories::DANGEROUS,
                run: Run::Server(ServerOp::ClusterFailover),
                doc: Doc::new("Makes the node that is asked the primary, as planned.", "3.0.0", "O(1)").args(
                    &[Arg::one_of(
                        "options",
                        &[Arg::pure_token("force", "FORCE"), Arg::pure_token("takeover", "TAKEOVER")],
                    )
                    .optional()],
                ),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "forget",
                arity: 3,
                flags: ADMIN,
                categories: Categories::DANGEROUS,
                run: Run::Server(ServerOp::ClusterForget),
                doc: Doc::new("Removes a node that is gone for good.", "3.0.0", "O(1)")
                    .args(&[Arg::new("node-id", ArgKind::String)]),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "help",
                arity: 2,
                flags: Flags::LOADING.with(Flags::STALE).with(DEPLOYMENT),
                run: Run::Server(ServerOp::ClusterHelp),
                doc: Doc::new("Lists the CLUSTER subcommands.", "5.0.0", "O(1)"),
                ..CommandSpec::EMPTY
            },
            CommandSpec {
                name: "myid",
                arity: 2,
                flags: Flags::STALE.with(DEPLOYMENT),
                run: Run::Server(ServerOp::ClusterMyid),
                doc: Doc::new("Answers the id of the node that is asked.", "3.0.0", "O(1)"),
                ..CommandSpec::EMPTY
            },
        ],
        ..CommandSpec::EMPTY
    },
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
