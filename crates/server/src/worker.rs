//! Workers: threads with a current-thread runtime each, to which connections are pinned.

use crate::client::Client;
use crate::config::Values;
use crate::dispatch::Plan;
use crate::forward::Trunks;
use crate::net::connection::Connection;
use crate::net::socket::Accepted;
use crate::net::turn::Turn;
use crate::shared::Shared;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use tokio::runtime::{LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, oneshot};

/// What a worker's connections share without locks.
pub(crate) struct Local {
    /// Number of the worker.
    pub(crate) index: usize,
    /// Settings as of `generation`.
    pub(crate) values: Arc<Values>,
    /// Of what the requests of a batch go by, see `Shared::renew`.
    pub(crate) generation: u64,
    pub(crate) rng: fastrand::Rng,
    /// Memory of the argument vector, kept between batches; always empty here.
    pub(crate) words: Vec<&'static [u8]>,
    /// The same for the plans of a batch.
    pub(crate) plans: Vec<Plan<'static>>,
    /// Reads the processor's time stamp counter where it can.
    pub(crate) clock: quanta::Clock,
    /// Its ticks in a millisecond.
    pub(crate) millisecond: u64,
    pub(crate) turn: Turn,
}

impl Local {
    /// Of the worker, or whatever counts as one, of this number.
    pub(crate) fn new(index: usize, shared: &Shared) -> Local {
        let clock = quanta::Clock::new();
        let ticks = 1 << 40;
        let millisecond = u128::from(ticks) * 1_000_000 / u128::from(clock.delta_as_nanos(0, ticks).max(1));
        Local {
            index,
            values: shared.values(),
            generation: shared.generation.load(Relaxed),
            rng: fastrand::Rng::new(),
            words: Vec::new(),
            plans: Vec::new(),
            clock,
            millisecond: millisecond as u64,
            turn: Turn::default(),
        }
    }

    /// Takes over settings changed since the last batch.
    #[inline]
    pub(crate) fn refresh(&mut self, shared: &Shared) {
        let generation = shared.generation.load(Relaxed);
        if generation != self.generation {
            self.generation = generation;
            self.values = shared.values();
        }
    }
}

/// The memory of a vector, for elements of the same size whose references live elsewhere.
pub(crate) fn recycled<A, B>(mut vec: Vec<A>) -> Vec<B> {
    vec.clear();
    vec.into_iter().map(|_| unreachable!("it was cleared")).collect()
}

/// A connection on its way to a worker.
pub(crate) struct Arrival {
    pub(crate) socket: Accepted,
    pub(crate) client: Arc<Client>,
}

/// A running worker.
pub(crate) struct Worker {
    pub(crate) arrivals: mpsc::UnboundedSender<Arrival>,
    /// Connections it serves.
    pub(crate) load: Arc<AtomicUsize>,
    pub(crate) thread: JoinHandle<()>,
}

/// Starts worker `index`.
pub(crate) fn start(index: usize, shared: Arc<Shared>) -> std::io::Result<Worker> {
    let (arrivals, incoming) = mpsc::unbounded_channel();
    let (barrier, barriers) = mpsc::unbounded_channel();
    shared.barriers.lock().push(barrier);
    let load = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&load);
    // The runtime belongs to its thread, so only there it can be built.
    let (built, is_built) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => return drop(built.send(Err(error))),
        };
        drop(built.send(Ok(())));
        runtime.block_on(serve(index, shared, incoming, barriers, counted));
    })?;
    is_built.recv().map_err(std::io::Error::other)??;
    Ok(Worker { arrivals, load, thread })
}

/// Of a worker: its tasks never leave the thread.
fn runtime() -> std::io::Result<LocalRuntime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Two for each of some dozens of connections: they run their batches, then they write.
        .event_interval(128)
        .build_local(LocalOptions::default())
}

/// Takes connections until the server stops.
async fn serve(
    index: usize,
    shared: Arc<Shared>,
    mut incoming: mpsc::UnboundedReceiver<Arrival>,
    mut barriers: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    load: Arc<AtomicUsize>,
) {
    let local = Rc::new(RefCell::new(Local::new(index, &shared)));
    let trunks = Rc::default();
    let mut stop = shared.stop.subscribe();
    loop {
        tokio::select! {
            arrival = incoming.recv() => match arrival {
                Some(arrival) => adopt(arrival, &shared, &local, &trunks, &load),
                None => return,
            },
            Some(done) = barriers.recv() => {
                // Whoever asked may have given up waiting.
                let _ = done.send(());
            }
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn adopt(
    arrival: Arrival,
    shared: &Arc<Shared>,
    local: &Rc<RefCell<Local>>,
    trunks: &Rc<RefCell<Trunks>>,
    load: &Arc<AtomicUsize>,
) {
    let Arrival { socket, client } = arrival;
    let id = client.id;
    let (shared, load) = (Arc::clone(shared), Arc::clone(load));
    let (local, trunks) = (Rc::clone(local), Rc::clone(trunks));
    match socket.register() {
        Ok(socket) => {
            tokio::task::spawn_local(async move {
                Connection::new(socket, Arc::clone(&shared), client, local, trunks).run().await;
                gone(&shared, id, &load);
            });
        }
        Err(error) => {
            tracing::warn!("could not register a connection: {error}");
            gone(&shared, id, &load);
        }
    }
}

fn gone(shared: &Shared, id: u64, load: &AtomicUsize) {
    shared.memory.report();
    if let Some((_, client)) = shared.clients.remove(&id) {
        shared.stats.closed(&client);
    }
    shared.connected.fetch_sub(1, Relaxed);
    load.fetch_sub(1, Relaxed);
}
