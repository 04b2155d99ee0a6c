//! FAILOVER: hands the role over to a replica that has everything, without losing a write.
//!
//! <https://redis.io/docs/latest/commands/failover/>

use super::Replication;
use super::feed::Feed;
use crate::shared::Shared;
use parking_lot::Mutex;
use redoubt_commands::CommandError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::time::{Duration, Instant};

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The replica to hand over to; none: whichever is first to have everything.
    pub(crate) target: Option<(String, i64)>,
    /// Hand over when the time is up, even to a replica that lacks something.
    pub(crate) force: bool,
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Writes wait; the replica catches up.
    Waits,
    /// This server has become the replica of the one it hands over to, which has not taken over yet.
    Hands,
}

struct Running {
    request: Request,
    deadline: Option<Instant>,
    stage: Stage,
    /// Nothing of before the pause runs any more, and the replicas were asked where they are.
    asked: bool,
}

/// The failover that runs, if one does.
#[derive(Default)]
pub(crate) struct Failover {
    running: Mutex<Option<Running>>,
    /// The link asks its primary to take over.
    takes_over: AtomicBool,
    /// It was refused.
    refused: AtomicBool,
}

impl Failover {
    /// `master_failover_state`.
    pub(crate) fn state(&self) -> &'static str {
        match self.running.lock().as_ref().map(|running| running.stage) {
            None => "no-failover",
            Some(Stage::Waits) => "waiting-for-sync",
            Some(Stage::Hands) => "failover-in-progress",
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.lock().is_some()
    }

    /// Whether the link has to ask its primary to take over.
    pub(crate) fn takes_over(&self) -> bool {
        self.takes_over.load(Acquire)
    }

    /// The other side did not take over.
    pub(crate) fn refuse(&self) {
        self.refused.store(self.takes_over(), Release);
    }
}

impl Replication {
    /// Begins a failover: from now on writes wait.
    ///
    /// # Errors
    /// With Redis's answers.
    pub(crate) fn begin_failover(&self, shared: &Shared, request: Request) -> Result<(), CommandError> {
        let error = |text| Err(CommandError::text(text));
        let mut running = self.failover.running.lock();
        if running.is_some() {
            return error("ERR FAILOVER already in progress.");
        }
        if self.follows() {
            return error("ERR FAILOVER is not valid when server is a replica.");
        }
        let feeds = self.feeds();
        if feeds.is_empty() {
            return error("ERR FAILOVER requires connected replicas.");
        }
        if request.force && (request.timeout.is_none() || request.target.is_none()) {
            return error("ERR FAILOVER with force option requires both a timeout and target HOST and IP.");
        }
        if let Some(target) = &request.target {
            let Some(feed) = feeds.iter().find(|feed| is_at(feed, target)) else {
                return error("ERR FAILOVER target HOST and PORT is not a replica.");
            };
            if !feed.is_online() {
                return error("ERR FAILOVER target replica is not online.");
            }
        }
        let deadline = request.timeout.map(|timeout| Instant::now() + timeout);
        shared.pause.hold_writes();
        *running = Some(Running { request, deadline, stage: Stage::Waits, asked: false });
        Ok(())
    }

    /// FAILOVER ABORT.
    ///
    /// # Errors
    /// When there is none to abort.
    pub(crate) fn abort_failover(&self, shared: &Arc<Shared>) -> Result<(), CommandError> {
        let Some(running) = self.failover.running.lock().take() else {
            return Err(CommandError::text("ERR No failover in progress."));
        };
        self.end_failover(shared, running.stage == Stage::Hands);
        Ok(())
    }

    /// Whether a failover runs.
    pub(crate) fn is_failing_over(&self) -> bool {
        self.failover.is_running()
    }

    /// Goes on as before, or, `back`, as primary again.
    fn end_failover(&self, shared: &Arc<Shared>, back: bool) {
        self.failover.takes_over.store(false, Release);
        self.failover.refused.store(false, Release);
        if back {
            self.lead(shared);
            shared.note("replicaof", "no one");
        }
        shared.end_pause();
    }

    /// Takes the running failover a step on. On the control thread.
    pub(super) async fn step_failover(&self, shared: &Arc<Shared>) {
        let Some((stage, asked)) = self.failover.running.lock().as_ref().map(|run| (run.stage, run.asked))
        else {
            return;
        };
        match stage {
            Stage::Waits if !asked => {
                // Writes that were let through before the pause are done once every worker is between two batches.
                shared.quiesce().await;
                self.ask_acks(shared);
                if let Some(running) = &mut *self.failover.running.lock() {
                    running.asked = true;
                }
            }
            Stage::Waits => self.await_replica(shared),
            Stage::Hands => self.await_takeover(shared).await,
        }
    }

    fn await_replica(&self, shared: &Arc<Shared>) {
        let mut guard = self.failover.running.lock();
        let Some(running) = &mut *guard else { return };
        let end = shared.log.end();
        let wanted = |feed: &&Arc<Feed>| match &running.request.target {
            Some(target) => is_at(feed, target),
            None => true,
        };
        let feeds = self.feeds();
        let complete = feeds
            .iter()
            .filter(wanted)
            .find(|feed| feed.is_online() && feed.standing().offset >= end)
            .map(|feed| (feed.ip().to_owned(), feed.peer.port));
        let late = running.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let forced = running.request.target.clone().filter(|_| late && running.request.force);
        match complete.or(forced) {
            Some((host, port)) => {
                tracing::info!("Failover target is {host}:{port}, handing over");
                running.stage = Stage::Hands;
                drop(guard);
                self.hand_over(shared, &host, port as u16);
            }
            None if late => {
                *guard = None;
                drop(guard);
                tracing::warn!("Failover timed out before a replica had everything, aborting");
                self.end_failover(shared, false);
            }
            None => {}
        }
    }

    fn hand_over(&self, shared: &Arc<Shared>, host: &str, port: u16) {
        self.failover.takes_over.store(true, Release);
        match self.follow_settled(shared, host, port) {
            Ok(_) => shared.note("replicaof", &format!("{host} {port}")),
            Err(error) => {
                tracing::error!("failover: the link could not be started: {error}");
                self.failover.refused.store(true, Release);
            }
        }
    }

    async fn await_takeover(&self, shared: &Arc<Shared>) {
        let up = !self.is_cut_off();
        let refused = self.failover.refused.load(Acquire);
        if !up && !refused {
            return;
        }
        if self.failover.running.lock().take().is_some() {
            tracing::info!("Failover {}", if up { "completed" } else { "was refused, aborting" });
            let shared = Arc::clone(shared);
            // It waits for partitions, which this thread never does.
            let ended = tokio::task::spawn_blocking(move || shared.replication.end_failover(&shared, !up));
            // A panic in it has been logged.
            let _ = ended.await;
        }
    }
}

fn is_at(feed: &Feed, (host, port): &(String, i64)) -> bool {
    feed.ip().eq_ignore_ascii_case(host) && feed.peer.port == *port
}
