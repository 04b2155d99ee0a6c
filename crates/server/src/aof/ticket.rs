//! How a rewrite asks the writer for the next incremental file, and learns what became of that.

use parking_lot::{Condvar, Mutex};
use redoubt_persistence::disk::File;
use std::io;
use std::time::Duration;

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Waiting,
    /// The next file is begun.
    Done,
    Failed(String),
    /// Nobody wants it any more.
    Dropped,
}

/// Asks the writer to go on in the next file after what was appended before the cut.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    stage: Mutex<Stage>,
    changed: Condvar,
}

impl Ticket {
    /// The writer has come to the place: begins the file, unless nobody wants it any more.
    pub(super) fn settle(&self, begin: impl FnOnce() -> io::Result<Box<dyn File>>) -> Option<Box<dyn File>> {
        let mut stage = self.stage.lock();
        if !matches!(*stage, Stage::Waiting) {
            return None;
        }
        let begun = begin();
        *stage = match &begun {
            Ok(_) => Stage::Done,
            Err(error) => Stage::Failed(crate::config::os_reason(error)),
        };
        self.changed.notify_all();
        begun.ok()
    }

    /// Takes it back, unless the next file is begun.
    pub(super) fn drop_it(&self) {
        let mut stage = self.stage.lock();
        if matches!(*stage, Stage::Waiting) {
            *stage = Stage::Dropped;
            self.changed.notify_all();
        }
    }

    /// Waits for the writer. If it does not come because `hopeless` says so, the ticket is taken back.
    pub(super) fn wait(&self, hopeless: impl Fn() -> bool) -> Result<(), String> {
        const LOOK_EVERY: Duration = Duration::from_millis(50);
        let mut stage = self.stage.lock();
        loop {
            match &*stage {
                Stage::Done => return Ok(()),
                Stage::Failed(reason) => return Err(reason.clone()),
                Stage::Dropped => return Err("the append-only file cannot be written".into()),
                Stage::Waiting if hopeless() => *stage = Stage::Dropped,
                Stage::Waiting => drop(self.changed.wait_for(&mut stage, LOOK_EVERY)),
            }
        }
    }
}
