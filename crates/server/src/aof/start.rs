//! Beginning to append when the server starts.

use super::queue::Queue;
use super::writer::Writer;
use super::{Appender, Policy, Running};
use crate::log::Consumer;
use crate::shared::{Shared, unix_ms};
use crate::version::REDIS_VERSION;
use parking_lot::Mutex;
use redoubt_persistence::aof::Directory;
use redoubt_persistence::{ErrorKind, rdb};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Begins to append to the last incremental file of a folder, whose files have been loaded. If there are none, nothing
/// has been loaded either, and the folder begins with an empty base file.
///
/// # Errors
/// The system's; nothing has begun then.
pub fn start(shared: &Arc<Shared>, mut directory: Directory) -> io::Result<()> {
    let values = shared.values();
    for name in directory.remove_leftovers()? {
        tracing::info!("Removing the temporary file {name} that an interrupted rewrite has left");
    }
    if directory.is_empty() {
        let base = begin(&mut directory, values.snapshot.options())?;
        tracing::info!("Creating AOF base file {base} on server start");
    }
    let (file, size, new) = directory.open_last()?;
    let name = directory.manifest().files().last().map(|entry| entry.name.clone()).unwrap_or_default();
    let verb = if new { "Creating" } else { "Opening" };
    tracing::info!("{verb} AOF incr file {name} on server start");
    directory.settle()?;
    if !values.aof_disable_auto_gc {
        super::remove_history(&mut directory);
    }
    let total = directory.total_len()?;
    let base = directory.manifest().base.as_ref().map_or(Ok(0), |base| directory.len(base))?;
    let figures = &shared.aof.figures;
    figures.base_bytes.store(base, Relaxed);
    figures.older_bytes.store(total.saturating_sub(size), Relaxed);
    figures.last_bytes.store(size, Relaxed);
    let queue = Arc::new(Queue::default());
    queue.timestamps.store(values.aof_timestamp_enabled, Relaxed);
    shared.replication.stream_for_files().into_iter().for_each(|stream| queue.set_stream(stream));
    let directory = Arc::new(Mutex::new(directory));
    let hold = Arc::new(shared.log.local_hold());
    let (writer, thread) = Writer::new(shared, &queue, &directory, &hold, file, size)?.spawn()?;
    let consumer: Arc<dyn Consumer> = Arc::clone(&queue) as _;
    shared.log.attach(Arc::clone(&consumer), Policy::of(&values).holds(shared).then_some(&*hold));
    let appender = Some(Appender { queue, consumer, hold, writer, thread });
    *shared.aof.running.lock() = Some(Running { directory, appender, awaits_base: false });
    Ok(())
}

/// Writes a base file without keys. Returns its name.
fn begin(directory: &mut Directory, options: rdb::Options) -> io::Result<String> {
    let folder = directory.make_folder()?;
    let file = folder.create(&directory.temporary_base())?;
    let written = rdb::Writer::new(file, options).and_then(|mut base| {
        base.aux(b"redis-ver", REDIS_VERSION.as_bytes())?;
        base.aux(b"redis-bits", b"64")?;
        base.aux(b"ctime", (unix_ms() / 1000).to_string().as_bytes())?;
        base.aux(b"aof-base", b"1")?;
        base.finish()
    });
    let mut file = written.map_err(|error| match error.kind {
        ErrorKind::Io(error) => error,
        other => io::Error::other(other.to_string()),
    })?;
    file.sync()?;
    Ok(directory.finish_rewrite(true, false, 0)?.base)
}
