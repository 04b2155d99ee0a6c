//! REPLCONF, PSYNC, SYNC, REPLICAOF, ROLE, WAIT, WAITAOF, FAILOVER: <https://redis.io/docs/latest/commands/?group=server>

use crate::client::flag;
use crate::dispatch::{ReplyMode, Scope, Session, Step};
use crate::ops::Outcome;
use crate::replication::{FailoverRequest, Follow, Told, Waiting, Wanted, said_epoch};
use crate::shared::unix_ms;
use redoubt_commands::spec::ServerOp;
use redoubt_commands::{Args, CommandError, Context};
use redoubt_replication::Ask;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const NO_LINK: CommandError =
    CommandError::text("NOMASTERLINK Can't SYNC while not connected with my master");
/// Of a server whose role the control plane decides.
const MANAGED: CommandError =
    CommandError::text("ERR REPLICAOF not allowed while high availability is on: use FAILOVER");
const PENDING: CommandError = CommandError::text("ERR SYNC and PSYNC are invalid with pending output");
const WAIT_ON_REPLICA: &str = "cannot be used with replica instances. Please also note that since Redis 4.0 if a replica \
    is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.";

impl Session {
    pub(super) fn replication_op(
        &mut self,
        ctx: &mut Context<'_>,
        op: ServerOp,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Outcome {
        match op {
            ServerOp::Replconf => self.replconf(args, scope)?,
            ServerOp::Failover => self.failover(args, scope)?,
            ServerOp::Psync => {
                let wanted = args.int(2)?;
                if args.len() > 3 && args.get(3).eq_ignore_ascii_case(b"failover") {
                    self.take_over(args.get(1))?;
                }
                self.psync(Some((args.get(1), wanted)), scope)?;
            }
            ServerOp::Sync => self.psync(None, scope)?,
            ServerOp::Replicaof => self.change_role(ctx, args, scope)?,
            ServerOp::Role => self.role(scope),
            ServerOp::Wait => return self.wait(ctx, args, scope),
            ServerOp::Waitaof => return self.waitaof(ctx, args, scope),
            other => unreachable!("{other:?} is none of replication"),
        }
        Ok(Step::Done)
    }

    /// A PING of a stream may be a record.
    pub(super) fn note_record(&self, message: &[u8]) {
        if let Some(epoch) = said_epoch(message) {
            self.shared.replication.note_epoch(epoch);
        }
    }

    fn replconf(&mut self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        if self.applies.is_some() {
            if args.len() > 1 && args.get(1).eq_ignore_ascii_case(b"getack") {
                self.shared.replication.want_ack();
            }
            return Ok(());
        }
        if args.len() == 3 && args.is(1, "redoubt-relay") && self.shared.ha.is_some() {
            return self.become_relay(args.get(2), scope);
        }
        if self.away.relays && args.len() == 3 && args.is(1, "redoubt-unblock") {
            // The call it was about was answered meanwhile.
            return Ok(());
        }
        let ask = self.peer.replconf(args.rest(1));
        match ask.map_err(|error| CommandError::owned(error.to_string()))? {
            Ask::Ok => self.reply(scope).ok(),
            // Neither is answered, whoever asks.
            Ask::Ack { offset, on_disk } => {
                if let Some(feed) = &self.feed {
                    self.shared.replication.acknowledged(feed, offset, on_disk);
                }
            }
            Ask::GetAck => {}
            Ask::Member(_) if !self.shared.replication.is_watched() => {
                return Err(CommandError::text("ERR Unrecognized REPLCONF option: redoubt-member"));
            }
            Ask::Member(member) => {
                let ours = self.shared.replication.greet(&self.client, &member);
                let ours = ours.map_err(|stranger| CommandError::owned(format!("ERR {stranger}")))?;
                self.peer.member = Some(member);
                scope.output.buffer.extend_from_slice(ours.confirmation().as_bytes());
            }
        }
        Ok(())
    }

    /// Another node relays a client on this connection: what cannot be executed here is not carried further.
    fn become_relay(&mut self, cluster: &[u8], scope: &mut Scope<'_>) -> Result<(), CommandError> {
        let ours = self.shared.ha.as_ref().and_then(|ha| ha.view().cluster).map(|id| format!("{id:032x}"));
        if ours.is_none_or(|ours| ours.as_bytes() != cluster) {
            return Err(CommandError::text("ERR this node is of another deployment"));
        }
        if !std::mem::replace(&mut self.away.relays, true) {
            self.shared.forward.serves.fetch_add(1, Relaxed);
        }
        // What the client wrote before went on another connection: WAIT is about that, too.
        self.written.set(self.shared.log.end());
        self.reply(scope).ok();
        Ok(())
    }

    /// Makes this connection a replica's.
    fn psync(&mut self, psync: Option<(&[u8], i64)>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        if self.feed.is_some() {
            return Ok(());
        }
        if self.shared.replication.has_no_stream() {
            return Err(NO_LINK);
        }
        if scope.output.pending() > 0 {
            return Err(PENDING);
        }
        let mut peer = (*self.peer).clone();
        peer.psync = psync.is_some();
        let feed = self.shared.replication.serve(&self.shared, &self.client, peer, psync)?;
        self.feed = Some(feed);
        // What a replica sends from now on is not answered: all it receives is snapshot and stream.
        self.reply_mode = ReplyMode::Off;
        self.restricted = true;
        Ok(())
    }

    /// Our primary hands its role over to us: it asks with our common id.
    fn take_over(&mut self, id: &[u8]) -> Result<(), CommandError> {
        let shared = Arc::clone(&self.shared);
        if shared.replication.is_watched() {
            return Err(MANAGED);
        }
        if !shared.replication.follows() {
            return Err(CommandError::text("ERR PSYNC FAILOVER can't be sent to a master."));
        }
        if !shared.replication.is_history(id) {
            return Err(CommandError::text("ERR PSYNC FAILOVER replid must match my replid."));
        }
        tracing::info!("Failover request received for replid {}.", String::from_utf8_lossy(id));
        shared.replication.lead(&shared);
        shared.note("replicaof", "no one");
        Ok(())
    }

    fn failover(&mut self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        let mut request = FailoverRequest::default();
        let mut abort = false;
        let mut cursor = args.cursor(1);
        while cursor.peek().is_some() {
            if request.timeout.is_none() && cursor.remaining() >= 2 && cursor.token("TIMEOUT") {
                let word = cursor.word()?;
                let millis = std::str::from_utf8(word).ok().and_then(|text| text.parse::<i64>().ok());
                let millis = millis.ok_or(CommandError::NotAnInteger)?;
                if millis <= 0 {
                    return Err(CommandError::text("ERR FAILOVER timeout must be greater than 0"));
                }
                request.timeout = Some(Duration::from_millis(millis as u64));
            } else if args.len() == 2 && cursor.token("ABORT") {
                abort = true;
            } else if request.target.is_none() && cursor.remaining() >= 3 && cursor.token("TO") {
                let host = String::from_utf8_lossy(cursor.word()?).into_owned();
                let port = std::str::from_utf8(cursor.word()?).ok().and_then(|text| text.parse().ok());
                request.target = Some((host, port.ok_or(CommandError::NotAnInteger)?));
            } else if !request.force && cursor.token("FORCE") {
                request.force = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let shared = Arc::clone(&self.shared);
        if let Some(ha) = &shared.ha {
            self.failover_in_deployment(ha, &request, abort)?;
        } else if abort {
            shared.replication.abort_failover(&shared)?;
        } else {
            shared.replication.begin_failover(&shared, request)?;
        }
        self.reply(scope).ok();
        Ok(())
    }

    /// FAILOVER where it is built in: any node may be asked. OK says that it has begun.
    fn failover_in_deployment(
        &self,
        ha: &crate::ha::Ha,
        request: &FailoverRequest,
        abort: bool,
    ) -> Result<(), CommandError> {
        if abort || request.force {
            return Err(CommandError::text(
                "ERR FAILOVER cannot be forced or aborted where failover is built in: nothing that was acknowledged is \
                 given up, and what does not succeed ends by itself",
            ));
        }
        let view = ha.view();
        let is_there = |node: &redoubt_ha::NodeId, (host, port): &(String, i64)| {
            view.endpoint(*node)
                .is_some_and(|at| at.host.eq_ignore_ascii_case(host) && i64::from(at.port) == *port)
        };
        let to = match &request.target {
            None => None,
            Some(target) => {
                let found = view.topology.members.keys().find(|node| is_there(node, target));
                Some(
                    *found
                        .ok_or(CommandError::text("ERR FAILOVER target HOST and PORT is not a replica."))?,
                )
            }
        };
        ha.fail_over(to).map_err(|why| CommandError::owned(format!("ERR {why}")))
    }

    /// REPLICAOF. It waits for others who may need partitions that a transaction holds: what that has done so far is told
    /// first, and the rest comes after.
    fn change_role(
        &mut self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<(), CommandError> {
        let held = ctx.txn.held();
        if !held.is_empty() {
            self.publish(ctx);
            ctx.txn.release();
        }
        let outcome = self.replicaof(args, scope);
        if !held.is_empty() {
            ctx.txn.acquire(held);
            self.record(&mut ctx.txn);
        }
        outcome
    }

    fn replicaof(&mut self, args: &Args<'_>, scope: &mut Scope<'_>) -> Result<(), CommandError> {
        if self.shared.ha.is_some() {
            return Err(CommandError::text(
                "ERR REPLICAOF not allowed: failover is built in, the deployment decides who follows whom",
            ));
        }
        let (host, port) = (args.get(1), args.get(2));
        let shared = Arc::clone(&self.shared);
        if shared.replication.is_watched() {
            return Err(MANAGED);
        }
        if shared.replication.is_failing_over() {
            return Err(CommandError::text("ERR REPLICAOF not allowed while failing over."));
        }
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            if shared.replication.lead(&shared) {
                tracing::info!("MASTER MODE enabled (user request from '{}')", self.client.addr);
                shared.note("replicaof", "no one");
                shared.renew();
            }
            self.reply(scope).ok();
            return Ok(());
        }
        let port = std::str::from_utf8(port).ok().and_then(|port| port.parse::<u16>().ok());
        let Some(port) = port else { return Err(CommandError::text("ERR Invalid master port")) };
        let host = String::from_utf8_lossy(host).into_owned();
        match shared.replication.follow(&shared, &host, port) {
            Ok(Follow::Changed) => {
                tracing::info!("REPLICAOF {host}:{port} enabled (user request from '{}')", self.client.addr);
                shared.note("replicaof", &format!("{host} {port}"));
                shared.renew();
                self.reply(scope).ok();
            }
            Ok(Follow::Same) => self.reply(scope).simple("OK Already connected to specified master"),
            Err(error) => {
                return Err(CommandError::owned(format!("ERR the link could not be started: {error}")));
            }
        }
        Ok(())
    }

    fn role(&mut self, scope: &mut Scope<'_>) {
        let shared = Arc::clone(&self.shared);
        let end = shared.log.end() as i64;
        let mut reply = self.reply(scope);
        if let Some(ha) = shared.ha.as_ref().filter(|_| self.is_sentinel) {
            reply.array(2);
            reply.bulk(b"sentinel");
            reply.array(1);
            reply.bulk(ha.view().name.as_bytes());
            return;
        }
        let told = shared.replication.link_role(|(host, port, state)| {
            reply.array(5);
            reply.bulk(b"slave");
            reply.bulk(host.as_bytes());
            reply.int(i64::from(port));
            reply.bulk(state.as_bytes());
            reply.int(if state == "connected" { end } else { -1 });
        });
        if told.is_some() {
            return;
        }
        if let Told::Lonely { host, port } = Told::of(&shared) {
            reply.array(5);
            reply.bulk(b"slave");
            reply.bulk(host.as_bytes());
            reply.int(i64::from(port));
            reply.bulk(b"connect");
            reply.int(-1);
            return;
        }
        let feeds: Vec<_> = shared.replication.feeds().into_iter().filter(|feed| feed.is_online()).collect();
        reply.array(3);
        reply.bulk(b"master");
        reply.int(end);
        reply.array(feeds.len());
        for feed in feeds {
            reply.array(3);
            reply.bulk(feed.ip().as_bytes());
            reply.bulk_int(feed.peer.port);
            reply.bulk_int(feed.standing().offset as i64);
        }
    }

    fn wait(&mut self, ctx: &Context<'_>, args: &Args<'_>, scope: &mut Scope<'_>) -> Outcome {
        if self.shared.replication.follows() {
            return Err(CommandError::owned(format!("ERR WAIT {WAIT_ON_REPLICA}")));
        }
        let replicas = args.int(1)?;
        let deadline_ms = deadline(args, 2)?;
        let wanted = Wanted::Replicas(usize::try_from(replicas).unwrap_or(0));
        Ok(self.park_wait(ctx, Waiting { offset: self.written.get(), wanted, deadline_ms }, scope))
    }

    fn waitaof(&mut self, ctx: &Context<'_>, args: &Args<'_>, scope: &mut Scope<'_>) -> Outcome {
        let locally = args.int(1)?;
        if !(0..=1).contains(&locally) {
            return Err(CommandError::text("ERR value is out of range, value must between 0 and 1"));
        }
        let replicas = usize::try_from(args.int(2)?).map_err(|_| CommandError::NotPositive)?;
        let deadline_ms = deadline(args, 3)?;
        if self.shared.replication.follows() {
            return Err(CommandError::owned(format!("ERR WAITAOF {WAIT_ON_REPLICA}")));
        }
        if locally == 1 && self.shared.fsynced_offset().is_none() {
            return Err(CommandError::text(
                "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
            ));
        }
        let wanted = Wanted::OnDisk(locally == 1, replicas);
        Ok(self.park_wait(ctx, Waiting { offset: self.written.get(), wanted, deadline_ms }, scope))
    }

    fn park_wait(&mut self, ctx: &Context<'_>, waiting: Waiting, scope: &mut Scope<'_>) -> Step {
        if self.begin_wait(waiting, ctx.may_block, scope.output) { Step::Parked } else { Step::Done }
    }

    /// Whether the connection is a replica's.
    pub(crate) fn is_replica(&self) -> bool {
        self.client.has(flag::REPLICA)
    }
}

/// Unix ms at which a call gives up that may last the milliseconds in this argument; none: never.
fn deadline(args: &Args<'_>, index: usize) -> Result<Option<i64>, CommandError> {
    let millis =
        args.int(index).map_err(|_| CommandError::text("ERR timeout is not an integer or out of range"))?;
    match millis {
        0 => Ok(None),
        millis if millis < 0 => Err(CommandError::NegativeTimeout),
        millis => Ok(Some(unix_ms().saturating_add(millis))),
    }
}
