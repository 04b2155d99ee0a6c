//! Full syncs: one snapshot for all replicas that wait for one, streamed to their connections as it is made.

use super::feed::Feed;
use crate::shared::Shared;
use crate::snapshot::{Format, SnapshotError, Target};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// Bytes read from the file at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Starts a snapshot for the replicas that wait for one, unless another one runs: then they go on waiting.
pub(crate) fn start(shared: &Arc<Shared>) {
    let replication = &shared.replication;
    let feeds = std::mem::take(&mut *replication.gathering.lock());
    if feeds.is_empty() {
        return;
    }
    let target = Box::new(Sync::new(shared, feeds.clone()));
    let of_cut = Arc::clone(shared);
    let aux = move |offset| of_cut.replication.describe(&of_cut, offset);
    if shared.snapshots.start(shared, Format::Portable, aux, vec![target]).is_err() {
        replication.gathering.lock().extend(feeds);
    }
}

/// Where the snapshot goes: to the replicas' connections at once, and into a file for those that must know its length
/// ahead.
struct Sync {
    shared: Arc<Shared>,
    /// Replicas that can do without the length.
    streamed: Vec<Arc<Feed>>,
    /// Those that cannot, and where the snapshot is kept for them.
    spooled: Vec<Arc<Feed>>,
    spool: Option<File>,
    /// Ends the snapshot for the former.
    mark: [u8; 40],
    offset: u64,
    begun: bool,
}

impl Sync {
    fn new(shared: &Arc<Shared>, feeds: Vec<Arc<Feed>>) -> Sync {
        let mut rng = fastrand::Rng::new();
        let mark = std::array::from_fn(|_| b"0123456789abcdef"[rng.usize(0..16)]);
        let diskless = shared.values().replication.repl_diskless_sync;
        let (streamed, spooled) = feeds.into_iter().partition(|feed| feed.peer.eof && diskless);
        Sync { shared: Arc::clone(shared), streamed, spooled, spool: None, mark, offset: 0, begun: false }
    }

    /// Answers PSYNC, now that the offset is known.
    fn greet(&mut self) -> io::Result<()> {
        let id = *self.shared.replication.history.lock().id();
        let answer = |feed: &Feed| match feed.peer.psync {
            true => format!("+FULLRESYNC {id} {}\r\n", self.offset),
            false => String::new(),
        };
        let mark = String::from_utf8_lossy(&self.mark).into_owned();
        for feed in &self.streamed {
            feed.push(Bytes::from(format!("{}$EOF:{mark}\r\n", answer(feed))));
        }
        for feed in &self.spooled {
            feed.push(Bytes::from(answer(feed)));
        }
        if !self.spooled.is_empty() {
            self.spool = Some(nameless_file(&self.shared.values().dir)?);
        }
        Ok(())
    }
}

impl Target for Sync {
    fn cut(&mut self, offset: u64) {
        self.offset = offset;
        self.streamed.iter().for_each(|feed| feed.cut(offset, false));
        self.spooled.iter().for_each(|feed| feed.cut(offset, true));
        // Whoever loads the snapshot cannot know which database the stream was at; a replica's stream is as it is.
        if !self.shared.replication.follows() {
            self.shared.log.reselect();
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            self.greet()?;
        }
        if let Some(spool) = &mut self.spool {
            spool.write_all(bytes)?;
        }
        if !self.streamed.is_empty() {
            let chunk = Bytes::copy_from_slice(bytes);
            self.streamed.retain(|feed| feed.push(chunk.clone()));
        }
        if self.streamed.is_empty() && self.spooled.is_empty() {
            return Err(io::Error::other("all replicas are gone"));
        }
        Ok(())
    }

    fn end(mut self: Box<Self>, outcome: Result<(), SnapshotError>) {
        if let Err(error) = &outcome {
            tracing::warn!("the snapshot for replicas failed: {error}");
        }
        for feed in std::mem::take(&mut self.streamed) {
            let well = outcome.is_ok() && feed.push(Bytes::copy_from_slice(&self.mark));
            feed.finish(well);
        }
        let spooled = std::mem::take(&mut self.spooled);
        match self.spool.take().filter(|_| outcome.is_ok()) {
            Some(spool) if !spooled.is_empty() => send_later(spool, spooled),
            _ => spooled.iter().for_each(|feed| feed.finish(false)),
        }
    }
}

/// A file that is gone once it is closed.
fn nameless_file(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!("temp-repl-{}.rdb", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Sends the file to the replicas, on a thread of its own: whoever made it need not wait for them.
fn send_later(spool: File, feeds: Vec<Arc<Feed>>) {
    let sent = feeds.clone();
    let started = std::thread::Builder::new().name("full-sync".into()).spawn(move || {
        let outcome = send(spool, &feeds);
        feeds.iter().for_each(|feed| feed.finish(outcome.is_ok()));
    });
    if let Err(error) = started {
        tracing::error!("no full sync: could not start a thread: {error}");
        sent.iter().for_each(|feed| feed.finish(false));
    }
}

fn send(mut spool: File, feeds: &[Arc<Feed>]) -> io::Result<()> {
    let header = Bytes::from(format!("${}\r\n", spool.seek(SeekFrom::End(0))?));
    spool.seek(SeekFrom::Start(0))?;
    let mut left: Vec<&Arc<Feed>> = feeds.iter().filter(|feed| feed.push_header(header.clone())).collect();
    let mut buffer = vec![0; CHUNK_BYTES];
    while !left.is_empty() {
        let count = spool.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let chunk = Bytes::copy_from_slice(&buffer[..count]);
        left.retain(|feed| feed.push(chunk.clone()));
    }
    Ok(())
}
