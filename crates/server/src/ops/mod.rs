//! Commands that need the runtime: connections, transactions, configuration, introspection.
//! One file per group; `run_op` is the only list of them.

mod append_only;
mod client;
mod cluster;
pub(crate) mod config;
mod connection;
mod debug;
mod info;
mod introspect;
mod memory;
mod pubsub;
mod replication;
mod save;
mod sentinel;
mod server;
mod slowlog;

use crate::dispatch::{Scope, Session, Step};
use redoubt_commands::spec::ServerOp;
use redoubt_commands::table::Command;
use redoubt_commands::{Args, CommandError, Context};
use std::sync::atomic::Ordering::Relaxed;

/// What an operation answers with.
pub(crate) type Outcome = Result<Step, CommandError>;

impl Session {
    /// Runs an operation. Nothing is held, unless a transaction runs it.
    pub(crate) fn run_op(
        &mut self,
        ctx: &mut Context<'_>,
        op: ServerOp,
        command: &'static Command,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Step {
        // CLIENT LIST shows the command that asks.
        self.client.last_command.store(command.id + 1, Relaxed);
        // It may tell of what was counted, or forget it.
        self.tally(&mut ctx.txn, scope.worker);
        let position = scope.output.buffer.len();
        match self.op(ctx, op, args, scope) {
            Ok(step) => step,
            Err(error) => {
                let text = error.to_string();
                scope.output.buffer.truncate(position);
                self.reply(scope).error(&text);
                self.failed(scope, command, args, &text)
            }
        }
    }

    fn op(&mut self, ctx: &mut Context<'_>, op: ServerOp, args: &Args<'_>, scope: &mut Scope<'_>) -> Outcome {
        use ServerOp as Op;
        let done = |outcome: Result<(), CommandError>| outcome.map(|()| Step::Done);
        match op {
            Op::Multi => done(self.multi(scope)),
            Op::Exec => self.exec(ctx, scope),
            Op::Discard => done(self.discard(scope)),
            Op::Watch => done(self.watch(ctx, args, scope)),
            Op::Unwatch => done(self.unwatch(scope)),
            Op::Ping => done(self.ping(args, scope)),
            Op::Echo => done(self.echo(args, scope)),
            Op::Select => done(self.select_db(ctx, args, scope)),
            Op::Auth => done(self.auth(args, scope)),
            Op::Hello => done(self.hello(args, scope)),
            Op::Quit => self.quit(scope),
            Op::Readonly => done(self.read_here(true, scope)),
            Op::Readwrite => done(self.read_here(false, scope)),
            Op::Reset => done(self.reset_connection(ctx, scope)),
            Op::Command
            | Op::CommandCount
            | Op::CommandDocs
            | Op::CommandGetkeys
            | Op::CommandGetkeysandflags
            | Op::CommandHelp
            | Op::CommandInfo
            | Op::CommandList => done(self.command_op(op, args, scope)),
            Op::ConfigSet => self.config_set(ctx, args, scope),
            Op::ConfigGet | Op::ConfigHelp | Op::ConfigResetstat | Op::ConfigRewrite => {
                done(self.config_op(op, args, scope))
            }
            Op::Bgrewriteaof => done(self.bgrewriteaof(ctx, scope)),
            Op::Info => done(self.info(ctx, args, scope)),
            Op::ClientCapa
            | Op::ClientGetname
            | Op::ClientHelp
            | Op::ClientId
            | Op::ClientInfo
            | Op::ClientKill
            | Op::ClientList
            | Op::ClientNoEvict
            | Op::ClientNoTouch
            | Op::ClientPause
            | Op::ClientReply
            | Op::ClientSetinfo
            | Op::ClientSetname
            | Op::ClientUnblock
            | Op::ClientUnpause => self.client_op(ctx, op, args, scope),
            Op::Debug => self.debug(ctx, args, scope),
            Op::Lolwut => done(self.lolwut(args, scope)),
            Op::Monitor => done(self.monitor(ctx, scope)),
            Op::Pubsub(op) => done(self.pubsub_op(ctx, op, args, scope)),
            Op::ClusterFailover | Op::ClusterForget | Op::ClusterHelp | Op::ClusterMyid => {
                self.cluster_op(ctx, op, args, scope)
            }
            Op::Sentinel(op) => self.sentinel_op(ctx, op, args, scope),
            Op::Failover
            | Op::Psync
            | Op::Replconf
            | Op::Replicaof
            | Op::Role
            | Op::Sync
            | Op::Wait
            | Op::Waitaof => self.replication_op(ctx, op, args, scope),
            Op::Time => done(self.time(ctx, scope)),
            Op::Bgsave | Op::Lastsave | Op::Save | Op::Shutdown => self.save_op(ctx, op, args, scope),
            op => done(self.inspection_op(ctx, op, args, scope)),
        }
    }

    /// What tells how the server fares.
    fn inspection_op(
        &mut self,
        ctx: &mut Context<'_>,
        op: ServerOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        use ServerOp as Op;
        match op {
            Op::SlowlogGet | Op::SlowlogHelp | Op::SlowlogLen | Op::SlowlogReset => {
                self.slowlog_op(op, args, scope)
            }
            Op::LatencyDoctor
            | Op::LatencyGraph
            | Op::LatencyHelp
            | Op::LatencyHistogram
            | Op::LatencyHistory
            | Op::LatencyLatest
            | Op::LatencyReset => self.latency_op(op, args, scope),
            Op::MemoryDoctor | Op::MemoryHelp | Op::MemoryMallocStats | Op::MemoryPurge | Op::MemoryStats => {
                self.memory_op(ctx, op, scope)
            }
            _ => unreachable!("run by `op`"),
        }
    }
}
