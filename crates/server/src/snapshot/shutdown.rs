//! The end of the server: writes wait, replicas take what they lack, the data is saved where it is to be, then
//! everything stops.
//! <https://redis.io/docs/latest/commands/shutdown/>

use crate::client::Client;
use crate::shared::{Shared, unix_ms};
use parking_lot::Mutex;
use redoubt_commands::CommandError;
use redoubt_store::Txn;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// Save, or do not; without either, save if there are `save` rules.
    pub save: Option<bool>,
    /// End although saving failed.
    pub force: bool,
    /// Do not wait for replicas.
    pub now: bool,
}

/// How often replicas are asked where they are, and how often their answers are looked at.
const ASK_EVERY: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Shutdown {
    /// As `shutdown-on-sigterm` and its like say it.
    pub fn from_words(words: &[String]) -> Shutdown {
        let has = |word: &str| words.iter().any(|other| other == word);
        let save = match (has("save"), has("nosave")) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        Shutdown { save, force: has("force"), now: has("now") }
    }
}

/// Whether the server is about to end.
#[derive(Debug, Default)]
pub(super) struct State {
    /// One attempt at a time.
    turn: Mutex<()>,
    running: AtomicBool,
    aborted: AtomicBool,
    /// Unix ms until which replicas are waited for; 0: they are not.
    waits_until_ms: AtomicI64,
}

impl State {
    pub(super) fn is_running(&self) -> bool {
        self.running.load(Relaxed)
    }

    pub(super) fn waits_until_ms(&self) -> Option<i64> {
        Some(self.waits_until_ms.load(Relaxed)).filter(|until| *until != 0)
    }

    fn is_aborted(&self) -> bool {
        self.aborted.load(Relaxed)
    }
}

/// Work that somebody else does for a client's command.
pub struct Errand {
    client: Arc<Client>,
    outcome: OnceLock<Result<(), CommandError>>,
}

impl Errand {
    /// Has a thread do it. The client is woken when it is done.
    pub(crate) fn start(
        client: &Arc<Client>,
        name: &str,
        work: impl FnOnce() -> Result<(), CommandError> + Send + 'static,
    ) -> Arc<Errand> {
        let errand = Errand::new(client);
        let theirs = Arc::clone(&errand);
        let spawned = std::thread::Builder::new().name(name.into()).spawn(move || theirs.finish(work()));
        if let Err(error) = spawned {
            tracing::error!("could not start a thread: {error}");
            errand.finish(Err(CommandError::text("ERR no thread to be had for this")));
        }
        errand
    }

    /// Waits for something on the client's own thread. The client is woken when it is done.
    pub(crate) fn wait_for(
        client: &Arc<Client>,
        work: impl Future<Output = Result<(), CommandError>> + 'static,
    ) -> Arc<Errand> {
        let errand = Errand::new(client);
        let theirs = Arc::clone(&errand);
        tokio::task::spawn_local(async move { theirs.finish(work.await) });
        errand
    }

    fn new(client: &Arc<Client>) -> Arc<Errand> {
        Arc::new(Errand { client: Arc::clone(client), outcome: OnceLock::new() })
    }

    fn finish(&self, outcome: Result<(), CommandError>) {
        let _ = self.outcome.set(outcome);
        self.client.mailbox.wake();
    }

    /// How it went, once it is done.
    pub(crate) fn outcome(&self) -> Option<&Result<(), CommandError>> {
        self.outcome.get()
    }
}

/// Holds writes back while it lives.
struct Hold<'s>(&'s Shared, (i64, bool));

impl<'s> Hold<'s> {
    fn new(shared: &'s Shared) -> Hold<'s> {
        let pause = &shared.pause;
        let before = (pause.until_ms.load(Relaxed), pause.writes_only.load(Relaxed));
        if before.0 == 0 {
            pause.writes_only.store(true, Relaxed);
        }
        pause.until_ms.store(i64::MAX, Relaxed);
        Hold(shared, before)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let pause = &self.0.pause;
        pause.writes_only.store(self.1.1, Relaxed);
        pause.until_ms.store(self.1.0, Relaxed);
        // Whoever waits looks again.
        self.0.clients.iter().for_each(|client| client.mailbox.wake());
    }
}

/// Saves where that is wanted, and asks the server to end. Returns when it is about to.
///
/// # Errors
/// When it goes on, because saving failed or somebody took the end back.
#[allow(clippy::result_unit_err, reason = "the reason is in the log, as Redis's answer says")]
pub fn shut_down(shared: &Arc<Shared>, how: Shutdown) -> Result<(), ()> {
    let state = &shared.snapshots.shutdown;
    let _turn = state.turn.lock();
    state.aborted.store(false, Relaxed);
    state.running.store(true, Relaxed);
    if let Some(ha) = &shared.ha {
        ha.leave();
        crate::forward::linger(shared);
    }
    let hold = Hold::new(shared);
    let outcome = prepare(shared, how);
    state.running.store(false, Relaxed);
    if outcome.is_ok() {
        shared.request_stop();
        // Nothing is let through that the file does not have.
        std::mem::forget(hold);
    } else if let Some(ha) = &shared.ha {
        ha.stay();
    }
    outcome
}

/// Takes the end of the server back. False if it is not about to end.
pub(crate) fn abort(shared: &Shared) -> bool {
    let state = &shared.snapshots.shutdown;
    let running = state.running.load(Relaxed);
    if running {
        state.aborted.store(true, Relaxed);
        shared.snapshots.cancel();
    }
    running
}

fn cancel_running(shared: &Shared) {
    if shared.snapshots.running().is_some() {
        tracing::warn!("A snapshot is running. It is cancelled");
        shared.snapshots.cancel();
        shared.snapshots.wait_for_running();
    }
}

fn save(shared: &Arc<Shared>) -> bool {
    loop {
        match super::save(shared) {
            // Somebody was quicker.
            Err(Some(_)) => cancel_running(shared),
            outcome => return outcome.is_ok(),
        }
    }
}

/// Lets replicas take what they lack, for as long as `shutdown-timeout` says. Where failover is built in, leaving has
/// seen to that.
fn await_replicas(shared: &Shared, how: Shutdown) {
    let (state, replication) = (&shared.snapshots.shutdown, &shared.replication);
    // Writes that are under way belong to it.
    let mut txn = Txn::new(&shared.keyspace, unix_ms(), fastrand::Rng::with_seed(0));
    txn.acquire(shared.keyspace.all_partitions());
    let (end, patience) = (shared.log.end(), shared.values().shutdown_timeout);
    drop(txn);
    let is_lagging = || !replication.lagging(end).0.is_empty();
    if how.now || shared.ha.is_some() || !is_lagging() {
        return;
    }
    tracing::info!("Waiting for replicas before shutting down.");
    let began = Instant::now();
    state.waits_until_ms.store(unix_ms() + patience.as_millis() as i64, Relaxed);
    let mut asked: Option<Instant> = None;
    while is_lagging() && began.elapsed() < patience && !state.is_aborted() {
        if asked.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
            replication.ask_acks(shared);
            asked = Some(Instant::now());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    state.waits_until_ms.store(0, Relaxed);
    let (lagging, all) = replication.lagging(end);
    for feed in &lagging {
        let behind = end.saturating_sub(feed.standing().offset);
        tracing::warn!("Lagging replica {} is {behind} bytes behind", feed.name());
    }
    tracing::info!("{} of {all} replicas are in sync when shutting down.", all - lagging.len());
}

fn prepare(shared: &Arc<Shared>, how: Shutdown) -> Result<(), ()> {
    let aborted = || shared.snapshots.shutdown.is_aborted();
    await_replicas(shared, how);
    if shared.aof.awaits_base() {
        // A start would read the file, and find nothing.
        if !how.force {
            tracing::warn!("Writing initial AOF, can't exit.");
            return Err(());
        }
        tracing::warn!("Writing initial AOF. Exit anyway.");
    }
    cancel_running(shared);
    // What is half loaded must not take the place of the file it comes from.
    let wanted =
        shared.replication.is_whole(shared) && how.save.unwrap_or(!shared.values().snapshot.save.is_empty());
    if wanted && !aborted() {
        tracing::info!("Saving the final RDB snapshot before exiting.");
        if !save(shared) && !aborted() {
            if !how.force {
                tracing::warn!("Error trying to save the DB, can't exit.");
                return Err(());
            }
            tracing::warn!("Error trying to save the DB, but the shutdown is forced");
        }
    }
    if aborted() {
        tracing::info!("The shutdown was taken back");
        return Err(());
    }
    Ok(())
}
