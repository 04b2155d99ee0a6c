//! An ordered map by stream id, for lists of pending entries: sorted runs of up to 64 items under a sorted index.
//!
//! Ids arrive mostly in rising order, so runs are full: an item costs its own bytes and hardly any more.

use super::id::StreamId;
use crate::alloc_size::alloc_size;
use std::collections::VecDeque;

/// Items of a full run.
const RUN_LEN_MAX: usize = 64;
/// Neighbours that hold no more than this between them become one.
const MERGED_LEN_MAX: usize = RUN_LEN_MAX / 2;

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct IdMap<V> {
    runs: VecDeque<Run<V>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Run<V> {
    /// No item of the run is below, none of the run before is above.
    from: StreamId,
    /// Sorted, never empty.
    items: Vec<(StreamId, V)>,
}

impl<V> Default for IdMap<V> {
    fn default() -> IdMap<V> {
        IdMap { runs: VecDeque::new(), len: 0 }
    }
}

impl<V> IdMap<V> {
    /// Number of items.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no items.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The run that holds `id` if any does. There is a run.
    #[inline]
    fn run_of(&self, id: StreamId) -> usize {
        let last = self.runs.len() - 1;
        if self.runs[last].from <= id {
            return last;
        }
        self.runs.partition_point(|run| run.from <= id).saturating_sub(1)
    }

    #[inline]
    fn find(&self, id: StreamId) -> Option<(usize, Result<usize, usize>)> {
        if self.runs.is_empty() {
            return None;
        }
        let run = self.run_of(id);
        Some((run, self.runs[run].items.binary_search_by_key(&id, |item| item.0)))
    }

    /// The value at `id`.
    pub(crate) fn get(&self, id: StreamId) -> Option<&V> {
        let (run, at) = self.find(id)?;
        Some(&self.runs[run].items[at.ok()?].1)
    }

    /// The value at `id`, for change.
    pub(crate) fn get_mut(&mut self, id: StreamId) -> Option<&mut V> {
        let (run, at) = self.find(id)?;
        Some(&mut self.runs[run].items[at.ok()?].1)
    }

    /// Sets the value at `id` and returns the one before.
    pub(crate) fn insert(&mut self, id: StreamId, value: V) -> Option<V> {
        let Some((run, at)) = self.find(id) else {
            self.push_run(id, value);
            return None;
        };
        let newest = run + 1 == self.runs.len();
        let items = &mut self.runs[run].items;
        let at = match at {
            Ok(at) => return Some(std::mem::replace(&mut items[at].1, value)),
            Err(at) => at,
        };
        if items.len() < RUN_LEN_MAX {
            items.insert(at, (id, value));
            self.len += 1;
        } else if at == RUN_LEN_MAX && newest {
            self.push_run(id, value);
            return None;
        } else {
            let upper = items.split_off(RUN_LEN_MAX / 2);
            let from = upper[0].0;
            self.runs.insert(run + 1, Run { from, items: upper });
            return self.insert(id, value);
        }
        let first = &mut self.runs[run];
        first.from = first.from.min(id);
        None
    }

    fn push_run(&mut self, id: StreamId, value: V) {
        self.runs.push_back(Run { from: id, items: vec![(id, value)] });
        self.len += 1;
    }

    /// Removes the item at `id` and returns its value.
    pub(crate) fn remove(&mut self, id: StreamId) -> Option<V> {
        let (run, at) = self.find(id)?;
        let items = &mut self.runs[run].items;
        let (_, value) = items.remove(at.ok()?);
        self.len -= 1;
        if items.is_empty() {
            self.runs.remove(run);
        } else if items.len() <= MERGED_LEN_MAX / 2 {
            self.merge(run);
        }
        Some(value)
    }

    /// Joins a small run with the one after it if both fit half a run; else gives back what it does not use.
    fn merge(&mut self, run: usize) {
        let len = self.runs[run].items.len();
        let neighbour = self.runs.get(run + 1).map(|next| next.items.len());
        if neighbour.is_some_and(|next| next + len <= MERGED_LEN_MAX) {
            let next = self.runs.remove(run + 1).expect("looked at just now");
            self.runs[run].items.extend(next.items);
        } else if self.runs[run].items.capacity() > 4 * len {
            self.runs[run].items.shrink_to(2 * len);
        }
    }

    /// Items from `id` on, in order.
    pub(crate) fn from(&self, id: StreamId) -> impl Iterator<Item = (StreamId, &V)> {
        let (run, at) = match self.find(id) {
            Some((run, Ok(at) | Err(at))) => (run, at),
            None => (0, 0),
        };
        let first = self.runs.get(run).map_or(&[][..], |run| &run.items[at..]);
        let rest = self.runs.iter().skip(run + 1).flat_map(|run| &run.items);
        first.iter().chain(rest).map(|(id, value)| (*id, value))
    }

    /// All items, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamId, &V)> {
        self.from(StreamId::MIN)
    }

    /// The least id.
    pub(crate) fn first(&self) -> Option<StreamId> {
        self.runs.front()?.items.first().map(|item| item.0)
    }

    /// The greatest id.
    pub(crate) fn last(&self) -> Option<StreamId> {
        self.runs.back()?.items.last().map(|item| item.0)
    }

    /// Bytes on the heap.
    pub(crate) fn mem_usage(&self) -> usize {
        let index = alloc_size(self.runs.capacity() * size_of::<Run<V>>());
        let runs = self.runs.iter();
        index + runs.map(|run| alloc_size(run.items.capacity() * size_of::<(StreamId, V)>())).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64, u32),
        Append(u32),
        Remove(u64),
        RemoveFirst,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u64..400, any::<u32>()).prop_map(|(id, value)| Step::Insert(id, value)),
            3 => any::<u32>().prop_map(Step::Append),
            3 => (0u64..400).prop_map(Step::Remove),
            1 => Just(Step::RemoveFirst),
        ]
    }

    proptest! {
        #[test]
        fn does_what_an_ordered_map_does(steps in prop::collection::vec(step(), 0..600), from in 0u64..400) {
            let mut map = IdMap::default();
            let mut model: BTreeMap<StreamId, u32> = BTreeMap::new();
            let id = |seq| StreamId::new(1, seq);
            for step in steps {
                match step {
                    Step::Insert(seq, value) => {
                        prop_assert_eq!(map.insert(id(seq), value), model.insert(id(seq), value));
                    }
                    Step::Append(value) => {
                        let next = model.last_key_value().map_or(id(0), |(last, _)| id(last.seq + 1));
                        prop_assert_eq!(map.insert(next, value), model.insert(next, value));
                    }
                    Step::Remove(seq) => prop_assert_eq!(map.remove(id(seq)), model.remove(&id(seq))),
                    Step::RemoveFirst => {
                        if let Some((first, value)) = model.pop_first() {
                            prop_assert_eq!(map.remove(first), Some(value));
                        }
                    }
                }
                prop_assert_eq!(map.len(), model.len());
            }
            let all: Vec<_> = map.iter().map(|(id, value)| (id, *value)).collect();
            prop_assert_eq!(all, model.iter().map(|(id, value)| (*id, *value)).collect::<Vec<_>>());
            let part: Vec<_> = map.from(id(from)).map(|(id, _)| id).collect();
            prop_assert_eq!(part, model.range(id(from)..).map(|(id, _)| *id).collect::<Vec<_>>());
            prop_assert_eq!(map.first(), model.keys().next().copied());
            prop_assert_eq!(map.last(), model.keys().next_back().copied());
            for seq in 0..400 {
                prop_assert_eq!(map.get(id(seq)), model.get(&id(seq)));
            }
        }
    }

    #[test]
    fn rising_ids_fill_their_runs() {
        let mut map = IdMap::default();
        (0..6400).for_each(|seq| assert_eq!(map.insert(StreamId::new(0, seq), ()), None));
        assert_eq!(map.runs.len(), 100);
        assert!(map.mem_usage() < 6400 * 17, "{}", map.mem_usage());
        (0..6400).for_each(|seq| assert_eq!(map.remove(StreamId::new(0, seq)), Some(())));
        assert!(map.is_empty() && map.runs.is_empty());
    }
}
