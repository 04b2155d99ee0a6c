//! What of replication outlives the process: fields of the snapshot, by which a restarted server goes on without a full
//! sync where it can.

use super::deployment::epoch_record;
use super::{Replication, new_id};
use crate::log::frame;
use crate::shared::Shared;
use crate::snapshot::Aux;
use redoubt_persistence::aof::annotate_place;
use redoubt_replication::ReplId;
use std::sync::atomic::Ordering::Relaxed;

/// The fields, as far as they have been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    id: Option<ReplId>,
    offset: Option<u64>,
    pub(crate) db: usize,
    /// Of the last record; 0: it was written in none.
    epoch: u64,
}

impl Origin {
    /// Takes note of a field of a snapshot, if it is one of these.
    pub fn note(&mut self, name: &[u8], value: &[u8]) {
        let number = || std::str::from_utf8(value).ok()?.parse().ok();
        match name {
            b"repl-id" => self.id = ReplId::parse(value),
            b"repl-offset" => self.offset = number(),
            b"redoubt-epoch" => self.epoch = number().unwrap_or(0),
            b"repl-stream-db" => self.db = number().map_or(0, |db| db as usize),
            _ => {}
        }
    }
}

impl Origin {
    /// What follows stands at this place of this stream.
    pub(crate) fn go_on(&mut self, stream: &[u8], offset: u64) {
        (self.id, self.offset) = (ReplId::parse(stream), Some(offset));
    }

    /// A record that followed said the epoch.
    pub(crate) fn said(&mut self, epoch: Option<u64>) {
        self.epoch = epoch.unwrap_or(self.epoch);
    }

    /// So many bytes of the stream followed, or fewer than was said.
    pub(crate) fn pass(&mut self, bytes: i64) {
        self.offset = self.offset.map(|offset| offset.saturating_add_signed(bytes));
    }
}

/// What a base file of commands ends with, to say the same as the fields of a snapshot: the database of the stream, the
/// record of its epoch, and the place. Nothing if the fields do not say where the data come from.
pub(crate) fn place_as_commands(aux: &Aux) -> Vec<u8> {
    let said = |name: &str| aux.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    let mut out = Vec::new();
    if let (Some(id), Some(Ok(offset))) = (said("repl-id"), said("repl-offset").map(str::parse)) {
        frame(&mut out, &[b"SELECT", said("repl-stream-db").unwrap_or("0").as_bytes()]);
        if let Some(Ok(epoch)) = said("redoubt-epoch").map(str::parse) {
            epoch_record(&mut out, epoch);
        }
        annotate_place(&mut out, id, offset);
    }
    out
}

impl Replication {
    /// What a snapshot at this offset says of where its data come from. All partitions are held.
    pub(crate) fn describe(&self, shared: &Shared, offset: u64) -> Aux {
        // A primary says the database again after a snapshot; a replica's stream is as it is.
        let db = shared.log.place().1.filter(|_| self.follows()).unwrap_or(0);
        let id = *self.history.lock().id();
        let mut aux = vec![
            ("repl-stream-db".into(), db.to_string()),
            ("repl-id".into(), id.to_string()),
            ("repl-offset".into(), offset.to_string()),
        ];
        // The record may have come after the cut.
        let epoch = shared.log.epoch_at(offset);
        if epoch != 0 {
            aux.push(("redoubt-epoch".into(), epoch.to_string()));
        }
        aux
    }

    /// The same for a file, where somebody may go on from it: without a backlog nobody can.
    pub(crate) fn describe_saved(&self, shared: &Shared, offset: u64) -> Aux {
        if self.is_active() { self.describe(shared, offset) } else { Aux::new() }
    }

    /// The same for the base of an append-only file: in a deployment somebody goes on from it, even if it fell behind.
    pub(crate) fn describe_base(&self, shared: &Shared, offset: u64) -> Aux {
        if self.is_watched() { self.describe_saved(shared, offset) } else { Aux::new() }
    }

    /// As `restore`, for an append-only file: only in a deployment it says all of where it stands.
    pub(crate) fn restore_applied(&self, shared: &Shared, origin: &Origin) {
        if self.is_watched() {
            self.restore(shared, origin, true);
        }
    }

    /// The data are those of a snapshot that said this, and nothing was written since. A replica goes on from there; the
    /// replicas of a primary may, if they have not got further.
    pub(crate) fn restore(&self, shared: &Shared, origin: &Origin, will_follow: bool) {
        let Some((id, offset)) = origin.id.zip(origin.offset) else { return };
        shared.log.restart(offset, origin.epoch);
        let will_follow = will_follow || self.is_watched();
        self.open_backlog(shared, &shared.values());
        self.backlog.restart(offset);
        let mut history = self.history.lock();
        history.restart(id);
        if !will_follow {
            history.branch(new_id(), offset);
            *self.lonely.lock() = Some(std::time::Instant::now());
        }
        self.restored_db.store(origin.db, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn fields_are_read_as_redis_writes_them() {
        let mut origin = Origin::default();
        for (name, value) in
            [("repl-stream-db", "3"), ("repl-id", &"a".repeat(40)), ("repl-offset", "77"), ("ctime", "1")]
        {
            origin.note(name.as_bytes(), value.as_bytes());
        }
        assert_eq!((origin.db, origin.offset), (3, Some(77)));
        assert_eq!(origin.id.map(|id| id.to_string()), Some("a".repeat(40)));
        origin.note(b"repl-offset", b"-1");
        assert_eq!(origin.offset, None);
    }
}
