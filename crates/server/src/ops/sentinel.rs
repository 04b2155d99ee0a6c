//! SENTINEL. <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#sentinel-commands>

use crate::dispatch::{Scope, Session, Step};
use crate::ha::{Request, View};
use crate::ops::Outcome;
use crate::sentinel::{self, Fields, Moment, Sentinels, run_id};
use crate::shared::Shared;
use crate::snapshot::Errand;
use redoubt_commands::spec::SentinelOp;
use redoubt_commands::{Args, CommandError, Context, introspect};
use redoubt_resp::Reply;
use redoubt_store::glob;
use std::sync::Arc;

const UNKNOWN_NAME: CommandError = CommandError::text("ERR No such master with that name");
const NO_GOOD_REPLICA: CommandError = CommandError::text("NOGOODSLAVE No suitable replica to promote");
const IN_PROGRESS: CommandError = CommandError::text("INPROG Failover already in progress");
const CONFIG_USAGE: CommandError =
    CommandError::text("ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.");
const BUILT_IN: CommandError = CommandError::text(
    "ERR Failover is built into this server: it watches its own deployment, which ha-name names, and no other",
);
const NO_SIMULATION: CommandError =
    CommandError::text("ERR Failures are not simulated here: stop, kill or freeze a node instead");
const NOT_IN_MULTI: CommandError =
    CommandError::text("ERR SENTINEL FAILOVER is not allowed inside a transaction");

impl Session {
    pub(super) fn sentinel_op(
        &mut self,
        ctx: &mut Context<'_>,
        op: SentinelOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Outcome {
        use SentinelOp as Op;
        let shared = Arc::clone(&self.shared);
        // Connections that see the command are those of a server with failover.
        let Some(ha) = &shared.ha else { return Err(redoubt_commands::table::unknown_command(args)) };
        let view = ha.view();
        let sentinels = Sentinels { view: &view, at: Moment::now(&shared, &view) };
        match op {
            Op::Failover => return self.sentinel_failover(ctx, &sentinels, args, scope),
            Op::InfoCache => self.info_cache(ctx, &sentinels, args, scope),
            Op::Reset => {
                let fits = glob::matches(args.get(2), view.name.as_bytes());
                shared.sentinel.iter().filter(|_| fits).for_each(sentinel::Sentinel::reset);
                self.reply(scope).int(i64::from(fits));
            }
            Op::Config => config(&sentinels, scope.values, args, &mut self.reply(scope))?,
            _ => answer(&sentinels, op, args, &mut self.reply(scope))?,
        }
        Ok(Step::Done)
    }

    /// SENTINEL FAILOVER: answered when the deployment has accepted it.
    fn sentinel_failover(
        &mut self,
        ctx: &Context<'_>,
        sentinels: &Sentinels<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Outcome {
        match self.errand_done() {
            Some(Ok(())) => {
                let now = sentinels.at.now;
                self.shared.sentinel.iter().for_each(|sentinel| sentinel.accepted(sentinels.view, now));
                self.reply(scope).ok();
                return Ok(Step::Done);
            }
            Some(Err(error)) => return Err(error),
            None => {}
        }
        check_name(sentinels.view, args)?;
        if !ctx.may_block {
            return Err(NOT_IN_MULTI);
        }
        if sentinels.at.failing_over {
            return Err(IN_PROGRESS);
        }
        if !sentinels.has_candidate() {
            return Err(NO_GOOD_REPLICA);
        }
        tracing::info!("SENTINEL FAILOVER (user request from '{}')", self.client.addr);
        let shared = Arc::clone(&self.shared);
        let errand = Errand::wait_for(&self.client, async move { fail_over(&shared).await });
        self.send_for(Some(errand));
        // It is counted when it has its answer.
        self.ran = None;
        Ok(Step::NotYet)
    }

    /// SENTINEL INFO-CACHE. Nodes do not show their INFO to each other: only this one's is known.
    fn info_cache(
        &mut self,
        ctx: &mut Context<'_>,
        sentinels: &Sentinels<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) {
        let view = sentinels.view;
        let known = args.rest(2).contains(&view.name.as_bytes());
        let own = known.then(|| self.report(ctx, &[], false, scope));
        let mut reply = self.reply(scope);
        let Some(own) = own else { return reply.array(0) };
        reply.array(2);
        reply.bulk(view.name.as_bytes());
        let primary = view.primary().into_iter().map(|primary| primary.node);
        let nodes: Vec<_> = primary.chain(sentinels.replica_nodes().map(|(node, _)| node.node)).collect();
        reply.array(nodes.len());
        for node in nodes {
            reply.array(2);
            reply.int(sentinels.silent_ms(node) as i64);
            if node == view.me.node { reply.bulk(own.as_bytes()) } else { reply.null() }
        }
    }
}

async fn fail_over(shared: &Shared) -> Result<(), CommandError> {
    let Some(ha) = &shared.ha else { return Err(NO_GOOD_REPLICA) };
    let answer = ha.request(|done| Request::Failover { to: None, leaving: false, done }).await;
    answer.map_err(|why| CommandError::owned(format!("ERR {why}")))
}

fn check_name(view: &View, args: &Args<'_>) -> Result<(), CommandError> {
    if args.get(2) == view.name.as_bytes() { Ok(()) } else { Err(UNKNOWN_NAME) }
}

/// What needs nothing but the view.
fn answer(
    sentinels: &Sentinels<'_>,
    op: SentinelOp,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    use SentinelOp as Op;
    let view = sentinels.view;
    if matches!(op, Op::Ckquorum | Op::Master | Op::Remove | Op::Replicas | Op::Sentinels | Op::Set) {
        check_name(view, args)?;
    }
    match op {
        Op::Ckquorum => check_quorum(sentinels, reply)?,
        Op::Debug => debug(sentinels, args, reply)?,
        // Everything agreed on is on the disk before it holds.
        Op::Flushconfig => reply.ok(),
        Op::GetMasterAddrByName => match view.primary().filter(|_| args.get(2) == view.name.as_bytes()) {
            Some(primary) => {
                reply.array(2);
                reply.bulk(primary.host.as_bytes());
                reply.bulk_int(i64::from(primary.port));
            }
            None => reply.null_array(),
        },
        Op::Help => introspect::help("sentinel", reply),
        Op::IsMasterDownByAddr => is_down_by_address(sentinels, args, reply)?,
        Op::Master => write(&sentinels.master(), reply),
        Op::Masters => write_all(&[sentinels.master()], reply),
        Op::Monitor | Op::Remove => return Err(BUILT_IN),
        Op::Myid => reply.bulk(run_id(view.me.node).as_bytes()),
        Op::PendingScripts => reply.array(0),
        Op::Replicas => write_all(&sentinels.replicas(), reply),
        Op::Sentinels => write_all(&sentinels.others(), reply),
        Op::Set => {
            set(&sentinels.master(), args)?;
            reply.ok();
        }
        Op::SimulateFailure => return Err(NO_SIMULATION),
        Op::Config | Op::Failover | Op::InfoCache | Op::Reset => {
            unreachable!("{op:?} needs more than the view")
        }
    }
    Ok(())
}

fn write(fields: &Fields, reply: &mut Reply<'_>) {
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
}

fn write_all(instances: &[Fields], reply: &mut Reply<'_>) {
    reply.array(instances.len());
    instances.iter().for_each(|fields| write(fields, reply));
}

/// A failover needs a majority of the voters, which is what the quorum is.
fn check_quorum(sentinels: &Sentinels<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let usable = sentinels.usable();
    if usable >= sentinels.quorum() {
        reply.simple(&format!(
            "OK {usable} usable Sentinels. Quorum and failover authorization can be reached"
        ));
        return Ok(());
    }
    Err(CommandError::owned(format!(
        "NOQUORUM {usable} usable Sentinels. Not enough available Sentinels to reach the specified quorum for this \
         master. Not enough available Sentinels to reach the majority and authorize a failover"
    )))
}

/// Whether the primary at an address is down, and nobody's vote: votes are Raft's.
fn is_down_by_address(
    sentinels: &Sentinels<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let (port, _epoch) = (args.int(3)?, args.int(4)?);
    let primary = sentinels.primary();
    let is_it = args.get(2) == primary.host.as_bytes() && port == i64::from(primary.port);
    reply.array(3);
    reply.int(i64::from(is_it && sentinels.is_primary_down()));
    reply.bulk(b"*");
    reply.int(0);
    Ok(())
}

fn debug(sentinels: &Sentinels<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let durations = sentinel::durations(sentinels);
    if let Some(word) = args.rest(2).first() {
        let word = String::from_utf8_lossy(word);
        let known = durations.iter().any(|(name, _)| name.eq_ignore_ascii_case(&word));
        return Err(CommandError::owned(if known {
            format!("ERR '{word}' follows from the setting ha-node-timeout, which takes a restart to change")
        } else {
            format!("ERR Unknown option or number of arguments for SENTINEL DEBUG '{word}'")
        }));
    }
    reply.map(durations.len());
    for (name, millis) in durations {
        reply.bulk(name.as_bytes());
        reply.bulk_int(millis as i64);
    }
    Ok(())
}

fn config(
    sentinels: &Sentinels<'_>,
    values: &crate::config::Values,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let parameters = sentinel::config(sentinels, values);
    match args.rest(2) {
        [word, pattern] if word.eq_ignore_ascii_case(b"get") => {
            let found = parameters.iter().filter(|(name, ..)| glob::matches_nocase(pattern, name.as_bytes()));
            reply.map(found.clone().count());
            for (name, value, _) in found {
                reply.bulk(name.as_bytes());
                reply.bulk(value.as_bytes());
            }
            Ok(())
        }
        [word, name, value] if word.eq_ignore_ascii_case(b"set") => {
            let name = String::from_utf8_lossy(name);
            let parameter = parameters.iter().find(|(known, ..)| known.eq_ignore_ascii_case(&name));
            let Some((_, is, setting)) = parameter else {
                return Err(CommandError::owned(format!(
                    "ERR Invalid argument '{name}' to SENTINEL CONFIG SET"
                )));
            };
            if !value.eq_ignore_ascii_case(is.as_bytes()) {
                return Err(follows_from(&name, setting));
            }
            reply.ok();
            Ok(())
        }
        _ => Err(CONFIG_USAGE),
    }
}

fn follows_from(name: &str, setting: &str) -> CommandError {
    CommandError::owned(format!("ERR '{name}' follows from the setting {setting} and is not set by itself"))
}

/// Options of SENTINEL SET, and what decides their values here; with nothing there is no such thing.
const OPTIONS: &[(&str, &str)] = &[
    ("auth-pass", "masterauth"),
    ("auth-user", "masteruser"),
    ("client-reconfig-script", ""),
    ("down-after-milliseconds", "ha-node-timeout"),
    ("failover-timeout", "ha-node-timeout"),
    ("master-reboot-down-after-period", ""),
    ("notification-script", ""),
    ("parallel-syncs", ""),
    ("quorum", "ha-peers"),
    ("rename-command", ""),
];

/// SENTINEL SET: whoever asks for what is so already gets it; nothing else can be had.
fn set(master: &Fields, args: &Args<'_>) -> Result<(), CommandError> {
    for pair in args.rest(3).chunks(2) {
        let name = String::from_utf8_lossy(pair[0]).to_ascii_lowercase();
        let option = OPTIONS.iter().find(|(option, _)| *option == name);
        let ([_, value], Some((option, setting))) = (pair, option) else {
            return Err(CommandError::owned(format!(
                "ERR Unknown option or number of arguments for SENTINEL SET '{name}'"
            )));
        };
        let is = master.iter().find(|(field, _)| field == option).map(|(_, value)| value.as_bytes());
        match *setting {
            _ if is == Some(*value) => {}
            "" => {
                let text = format!("ERR '{name}' has no meaning here: failover is built into the server");
                return Err(CommandError::owned(text));
            }
            setting => return Err(follows_from(&name, setting)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
