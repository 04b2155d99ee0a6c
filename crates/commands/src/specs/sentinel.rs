//! Rows of the commands of Sentinels, which servers with failover built in answer.

use crate::spec::{Arg, ArgKind, CommandSpec, Doc, Flags, Run, SentinelOp, ServerOp, internal};

/// What all rows have.
const OF_SENTINELS: Flags = Flags::ADMIN.with(internal::ONLY_SENTINEL);
const NAME: &[Arg] = &[Arg::new("master-name", ArgKind::String)];
const OPTION: Arg = Arg::new("option", ArgKind::String);
const PARAMETER: Arg = Arg::new("parameter", ArgKind::String);
const VALUE: Arg = Arg::new("value", ArgKind::String);

const fn run(op: SentinelOp) -> Run {
    Run::Server(ServerOp::Sentinel(op))
}

/// A subcommand.
const fn row(name: &'static str, arity: i16, op: SentinelOp, doc: Doc) -> CommandSpec {
    CommandSpec { name, arity, flags: OF_SENTINELS, run: run(op), doc, ..CommandSpec::EMPTY }
}

/// Commands of Sentinels, by name.
pub const SENTINEL: &[CommandSpec] = &[CommandSpec {
    name: "sentinel",
    arity: -2,
    flags: OF_SENTINELS,
    run: Run::Container,
    doc: Doc::new("Groups the commands about the deployment and its failover.", "2.8.4", "By subcommand"),
    subcommands: SUBCOMMANDS,
    ..CommandSpec::EMPTY
}];

const SUBCOMMANDS: &[CommandSpec] = &[
    row(
        "ckquorum",
        3,
        SentinelOp::Ckquorum,
        Doc::new(
            "Tells whether enough nodes can be reached to agree on a failover.",
            "2.8.4",
            "O(N), N = nodes",
        )
        .args(NAME),
    ),
    row(
        "config",
        -3,
        SentinelOp::Config,
        Doc::new("Answers global parameters, or sets one.", "6.2.0", "O(N), N = parameters").args(&[
            Arg::one_of(
                "set_or_get",
                &[Arg::block("set_param_value", &[PARAMETER, VALUE]).token("SET"), PARAMETER.token("GET")],
            ),
        ]),
    ),
    row(
        "debug",
        -2,
        SentinelOp::Debug,
        Doc::new(
            "Answers the durations that failover goes by, milliseconds.",
            "7.0.0",
            "O(N), N = durations",
        )
        .args(&[Arg::block("parameter_value", &[PARAMETER, VALUE]).multiple().optional()]),
    ),
    row(
        "failover",
        3,
        SentinelOp::Failover,
        Doc::new("Hands the primary's role over to a replica that has everything.", "2.8.4", "O(1)")
            .args(NAME),
    ),
    row(
        "flushconfig",
        2,
        SentinelOp::Flushconfig,
        Doc::new("Answers once what was agreed on is on the disk, where it always is.", "2.8.4", "O(1)"),
    ),
    row(
        "get-master-addr-by-name",
        3,
        SentinelOp::GetMasterAddrByName,
        Doc::new("Answers where the primary is.", "2.8.4", "O(1)").args(NAME),
    ),
    CommandSpec {
        flags: Flags::LOADING.with(Flags::STALE).with(internal::ONLY_SENTINEL),
        ..row("help", 2, SentinelOp::Help, Doc::new("Lists the SENTINEL subcommands.", "6.2.0", "O(1)"))
    },
    CommandSpec {
        // It counts keys, as INFO does.
        flags: OF_SENTINELS.with(internal::ALL_PARTITIONS),
        ..row(
            "info-cache",
            -3,
            SentinelOp::InfoCache,
            Doc::new("Answers what is known of each node's INFO, with its age.", "3.2.0", "O(N), N = nodes")
                .args(&[Arg::new("nodename", ArgKind::String).multiple()]),
        )
    },
    row(
        "is-master-down-by-addr",
        6,
        SentinelOp::IsMasterDownByAddr,
        Doc::new("Tells whether this node finds the primary at an address down.", "2.8.4", "O(1)").args(&[
            Arg::new("ip", ArgKind::String),
            Arg::new("port", ArgKind::Integer),
            Arg::new("current-epoch", ArgKind::Integer),
            Arg::new("runid", ArgKind::String),
        ]),
    ),
    row("master", 3, SentinelOp::Master, Doc::new("Describes the primary.", "2.8.4", "O(1)").args(NAME)),
    row(
        "masters",
        2,
        SentinelOp::Masters,
        Doc::new("Describes all primaries, of which there is one.", "2.8.4", "O(1)"),
    ),
    row(
        "monitor",
        6,
        SentinelOp::Monitor,
        Doc::new("Watches another primary: refused, the deployment is built in.", "2.8.4", "O(1)").args(&[
            Arg::new("name", ArgKind::String),
            Arg::new("ip", ArgKind::String),
            Arg::new("port", ArgKind::Integer),
            Arg::new("quorum", ArgKind::Integer),
        ]),
    ),
    row("myid", 2, SentinelOp::Myid, Doc::new("Answers the id of this node.", "6.2.0", "O(1)")),
    row(
        "pending-scripts",
        2,
        SentinelOp::PendingScripts,
        Doc::new("Lists scripts that wait to run: there are none.", "2.8.4", "O(1)"),
    ),
    row(
        "remove",
        3,
        SentinelOp::Remove,
        Doc::new("Stops watching a primary: refused, the deployment is built in.", "2.8.4", "O(1)")
            .args(NAME),
    ),
    row(
        "replicas",
        3,
        SentinelOp::Replicas,
        Doc::new("Describes the replicas.", "5.0.0", "O(N), N = replicas").args(NAME),
    ),
    row(
        "reset",
        3,
        SentinelOp::Reset,
        Doc::new("Announces replicas and other nodes to subscribers anew.", "2.8.4", "O(N), N = nodes")
            .args(&[Arg::new("pattern", ArgKind::Pattern)]),
    ),
    row(
        "sentinels",
        3,
        SentinelOp::Sentinels,
        Doc::new("Describes the other nodes as Sentinels.", "2.8.4", "O(N), N = nodes").args(NAME),
    ),
    row(
        "set",
        -5,
        SentinelOp::Set,
        Doc::new(
            "Sets parameters to the values they have; others are refused.",
            "2.8.4",
            "O(N), N = parameters",
        )
        .args(&[
            Arg::new("master-name", ArgKind::String),
            Arg::block("option_value", &[OPTION, VALUE]).multiple(),
        ]),
    ),
    row(
        "simulate-failure",
        -3,
        SentinelOp::SimulateFailure,
        Doc::new("Crashes on purpose: refused.", "3.2.0", "O(1)").args(&[Arg::one_of(
            "mode",
            &[
                Arg::pure_token("crash-after-election", "CRASH-AFTER-ELECTION"),
                Arg::pure_token("crash-after-promotion", "CRASH-AFTER-PROMOTION"),
                Arg::pure_token("help", "HELP"),
            ],
        )
        .optional()
        .multiple()]),
    ),
    row(
        "slaves",
        3,
        SentinelOp::Replicas,
        Doc::new("Describes the replicas.", "2.8.0", "O(N), N = replicas")
            .deprecated("5.0.0", "`SENTINEL REPLICAS`")
            .args(NAME),
    ),
];
