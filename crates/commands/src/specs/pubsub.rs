//! Rows of the commands on channels.

use crate::spec::{
    Arg, ArgKind, CommandSpec, Doc, Flags, KeyFlags, KeySpec, PubsubOp, Run, ServerOp, internal,
};

/// Flags of the commands that change what a connection listens to.
const LISTENING: Flags = Flags::PUBSUB.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE);
/// Flags of the commands that send.
const SENDING: Flags =
    Flags::PUBSUB.with(Flags::LOADING).with(Flags::STALE).with(Flags::FAST).with(internal::MAY_REPLICATE);
/// Flags of the commands that look.
const LOOKING: Flags = Flags::PUBSUB.with(Flags::LOADING).with(Flags::STALE);

const fn run(op: PubsubOp) -> Run {
    Run::Server(ServerOp::Pubsub(op))
}

/// Sharded channels belong to hash slots as keys do.
const SHARD_CHANNELS: &[KeySpec] = &[KeySpec::range(KeyFlags::NOT_KEY, 1, -1, 1)];

const CHANNEL: Arg = Arg::new("channel", ArgKind::String);
const SHARD_CHANNEL: Arg = Arg::new("shardchannel", ArgKind::String);
const PATTERN: Arg = Arg::new("pattern", ArgKind::Pattern);
const MESSAGE: Arg = Arg::new("message", ArgKind::String);

/// Commands on channels, by name.
pub const PUBSUB: &[CommandSpec] = &[
    CommandSpec {
        name: "psubscribe",
        arity: -2,
        flags: LISTENING.with(internal::SENTINEL),
        run: run(PubsubOp::Psubscribe),
        doc: Doc::new(
            "Listens to the channels that fit patterns.",
            "2.0.0",
            "O(N), N = patterns of this call",
        )
        .args(&[PATTERN.multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "publish",
        arity: 3,
        flags: SENDING.with(internal::SENTINEL),
        run: run(PubsubOp::Publish),
        doc: Doc::new(
            "Sends a message to a channel.",
            "2.0.0",
            "O(N+M), N = subscribers of the channel, M = patterns of all clients",
        )
        .args(&[CHANNEL, MESSAGE]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "pubsub",
        arity: -2,
        run: Run::Container,
        doc: Doc::new("Groups the commands that look at channels.", "2.8.0", "By subcommand"),
        subcommands: SUBCOMMANDS,
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "punsubscribe",
        arity: -1,
        flags: LISTENING.with(internal::SENTINEL),
        run: run(PubsubOp::Punsubscribe),
        doc: Doc::new("Stops listening to patterns, all when none is named.", "2.0.0", "O(N), N = patterns")
            .args(&[PATTERN.multiple().optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "spublish",
        arity: 3,
        flags: SENDING,
        keys: &[KeySpec::range(KeyFlags::NOT_KEY, 1, 0, 1)],
        run: run(PubsubOp::Spublish),
        doc: Doc::new(
            "Sends a message to a sharded channel.",
            "7.0.0",
            "O(N), N = subscribers of the sharded channel",
        )
        .args(&[SHARD_CHANNEL, MESSAGE]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "ssubscribe",
        arity: -2,
        flags: LISTENING,
        keys: SHARD_CHANNELS,
        run: run(PubsubOp::Ssubscribe),
        doc: Doc::new("Listens to sharded channels.", "7.0.0", "O(N), N = sharded channels of this call")
            .args(&[SHARD_CHANNEL.multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "subscribe",
        arity: -2,
        flags: LISTENING.with(internal::SENTINEL),
        run: run(PubsubOp::Subscribe),
        doc: Doc::new("Listens to channels.", "2.0.0", "O(N), N = channels of this call")
            .args(&[CHANNEL.multiple()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "sunsubscribe",
        arity: -1,
        flags: LISTENING,
        keys: SHARD_CHANNELS,
        run: run(PubsubOp::Sunsubscribe),
        doc: Doc::new(
            "Stops listening to sharded channels, all when none is named.",
            "7.0.0",
            "O(N), N = sharded channels",
        )
        .args(&[SHARD_CHANNEL.multiple().optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "unsubscribe",
        arity: -1,
        flags: LISTENING.with(internal::SENTINEL),
        run: run(PubsubOp::Unsubscribe),
        doc: Doc::new("Stops listening to channels, all when none is named.", "2.0.0", "O(N), N = channels")
            .args(&[CHANNEL.multiple().optional()]),
        ..CommandSpec::EMPTY
    },
];

const SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "channels",
        arity: -2,
        flags: LOOKING,
        run: run(PubsubOp::Channels),
        doc: Doc::new("Lists the channels that have subscribers.", "2.8.0", "O(N), N = channels")
            .args(&[PATTERN.optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "help",
        arity: 2,
        flags: Flags::LOADING.with(Flags::STALE),
        run: run(PubsubOp::Help),
        doc: Doc::new("Lists the PUBSUB subcommands.", "6.2.0", "O(1)"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "numpat",
        arity: 2,
        flags: LOOKING,
        run: run(PubsubOp::Numpat),
        doc: Doc::new("Counts the different patterns listened to.", "2.8.0", "O(1)"),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "numsub",
        arity: -2,
        flags: LOOKING,
        run: run(PubsubOp::Numsub),
        doc: Doc::new("Counts the subscribers of channels.", "2.8.0", "O(N), N = channels named")
            .args(&[CHANNEL.multiple().optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "shardchannels",
        arity: -2,
        flags: LOOKING,
        run: run(PubsubOp::Shardchannels),
        doc: Doc::new(
            "Lists the sharded channels that have subscribers.",
            "7.0.0",
            "O(N), N = sharded channels",
        )
        .args(&[PATTERN.optional()]),
        ..CommandSpec::EMPTY
    },
    CommandSpec {
        name: "shardnumsub",
        arity: -2,
        flags: LOOKING,
        run: run(PubsubOp::Shardnumsub),
        doc: Doc::new(
            "Counts the subscribers of sharded channels.",
            "7.0.0",
            "O(N), N = sharded channels named",
        )
        .args(&[SHARD_CHANNEL.multiple().optional()]),
        ..CommandSpec::EMPTY
    },
];
