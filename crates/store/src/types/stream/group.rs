//! Consumer groups: what was delivered, to whom, and not yet acknowledged.

use super::id::StreamId;
use super::id_map::IdMap;
use crate::alloc_size::alloc_size;

/// A consumer of a group, for as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When it was delivered last, Unix milliseconds.
    pub delivered_ms: i64,
    /// How often it was delivered.
    pub deliveries: u64,
    consumer: u32,
}

impl Pending {
    /// Delivered once, just now.
    pub fn new(now_ms: i64) -> Pending {
        Pending { delivered_ms: now_ms, deliveries: 1, consumer: 0 }
    }

    /// Who has it.
    pub fn consumer(&self) -> ConsumerId {
        ConsumerId(self.consumer)
    }
}

/// A reader of a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last asked for anything, Unix milliseconds.
    pub seen_ms: i64,
    /// When it last got anything, Unix milliseconds.
    pub active_ms: Option<i64>,
    pending: IdMap<()>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Number of its pending entries.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Ids of its pending entries from `from` on, in order.
    pub fn pending_from(&self, from: StreamId) -> impl Iterator<Item = StreamId> {
        self.pending.from(from).map(|(id, ())| id)
    }
}

/// A consumer group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    name: Box<[u8]>,
    last_id: StreamId,
    entries_read: Option<u64>,
    pending: IdMap<Pending>,
    /// Places of `consumers`, sorted by name.
    order: Vec<u32>,
    /// By `ConsumerId`; removed ones leave a gap.
    consumers: Vec<Option<Consumer>>,
}

impl Group {
    pub(super) fn new(name: &[u8], last_id: StreamId, entries_read: Option<u64>) -> Group {
        Group { name: name.into(), last_id, entries_read, ..Group::default() }
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Everything up to here was delivered.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// Sets what was delivered.
    pub fn set_last_id(&mut self, id: StreamId) {
        self.last_id = id;
    }

    /// How many entries the stream ever had up to `last_id`, where that is known.
    pub fn entries_read(&self) -> Option<u64> {
        self.entries_read
    }

    /// Sets what `entries_read` answers.
    pub fn set_entries_read(&mut self, count: Option<u64>) {
        self.entries_read = count;
    }

    /// Bytes on the heap.
    pub fn mem_usage(&self) -> usize {
        let consumers = self.consumers.iter().flatten();
        let consumers =
            consumers.map(|one| alloc_size(one.name.len()) + one.pending.mem_usage()).sum::<usize>();
        alloc_size(self.name.len())
            + self.pending.mem_usage()
            + alloc_size(self.order.capacity() * size_of::<u32>())
            + alloc_size(self.consumers.capacity() * size_of::<Option<Consumer>>())
            + consumers
    }

    // --- consumers -----------------------------------------------------------------------------------------------

    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        self.order.binary_search_by(|place| self.slot(*place).name.as_ref().cmp(name))
    }

    fn slot(&self, place: u32) -> &Consumer {
        self.consumers[place as usize].as_ref().expect("a place in use")
    }

    fn slot_mut(&mut self, place: u32) -> &mut Consumer {
        self.consumers[place as usize].as_mut().expect("a place in use")
    }

    /// The consumer of this name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        self.find(name).ok().map(|at| ConsumerId(self.order[at]))
    }

    /// A consumer of the group.
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.slot(id.0)
    }

    /// A consumer of the group, for change.
    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.slot_mut(id.0)
    }

    /// The consumers, sorted by name.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.order.iter().map(|place| self.slot(*place))
    }

    /// The consumer of this name, made if missing; whether it was made.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> (ConsumerId, bool) {
        let at = match self.find(name) {
            Ok(at) => return (ConsumerId(self.order[at]), false),
            Err(at) => at,
        };
        let free = self.consumers.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.consumers.push(None);
            self.consumers.len() - 1
        });
        let pending = IdMap::default();
        self.consumers[place] =
            Some(Consumer { name: name.into(), seen_ms: now_ms, active_ms: None, pending });
        self.order.insert(at, place as u32);
        (ConsumerId(place as u32), true)
    }

    /// Removes a consumer and what is pending for it; returns how many entries that were.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let at = self.find(name).ok()?;
        let place = self.order.remove(at);
        let consumer = self.consumers[place as usize].take().expect("a place in use");
        consumer.pending.iter().for_each(|(id, ())| {
            self.pending.remove(id);
        });
        Some(consumer.pending.len())
    }

    // --- pending entries -----------------------------------------------------------------------------------------

    /// Number of pending entries.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Least and greatest id of the pending entries.
    pub fn pending_bounds(&self) -> Option<(StreamId, StreamId)> {
        Some((self.pending.first()?, self.pending.last()?))
    }

    /// The pending entries from `from` on, in order.
    pub fn pending_from(&self, from: StreamId) -> impl Iterator<Item = (StreamId, &Pending)> {
        self.pending.from(from)
    }

    /// What is known of a pending entry.
    pub fn pending_at(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(id)
    }

    /// Notes an entry as pending for a consumer, taking it from whoever had it.
    pub fn assign(&mut self, id: StreamId, consumer: ConsumerId, pending: Pending) {
        let new = Pending { consumer: consumer.0, ..pending };
        match self.pending.insert(id, new) {
            Some(old) if old.consumer == consumer.0 => return,
            Some(old) => self.slot_mut(old.consumer).pending.remove(id),
            None => None,
        };
        self.slot_mut(consumer.0).pending.insert(id, ());
    }

    /// Notes that a pending entry was handed out again.
    pub fn redeliver(&mut self, id: StreamId, now_ms: i64) {
        if let Some(pending) = self.pending.get_mut(id) {
            pending.delivered_ms = now_ms;
            pending.deliveries += 1;
        }
    }

    /// Takes an entry off the pending ones. True if it was one.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(id) else { return false };
        self.slot_mut(pending.consumer).pending.remove(id);
        true
    }
}
