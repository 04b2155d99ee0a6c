//! Hashes whose fields may expire: packed triples while small, a table with an index of expiries beyond.

use super::pair::{Pair, Ticket};
use crate::encoding::EncodingLimits;
use crate::member_table::{Member, MemberTable, member_hash};
use crate::packed::{Packed, PackedValue, Pos};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Expiry of a field that has none: later than any.
pub(super) const NEVER: i64 = i64::MAX;

/// What a field's own expiry becomes when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// It goes.
    No,
    /// It stays.
    Yes,
}

/// What becomes of a field whose expiry is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Stay,
    /// It goes.
    Remove,
    /// It expires then (`NEVER`: not any more).
    Expire(i64),
}

/// A hash with expiries, and what the keyspace knows of them.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    pub(super) fields: Fields,
    /// Time under which the keyspace looks after this hash, `NEVER` when it does not.
    pub(super) registered: i64,
}

#[derive(Clone, Debug)]
pub(super) enum Fields {
    /// Encoding "listpackex".
    Packed(Triples),
    /// Encoding "hashtable".
    Table(Box<TimedTable>),
}

/// Field, value, expiry...: the soonest first, those without expiry (stored as 0) last, in order of arrival.
#[derive(Clone, Debug)]
pub(super) struct Triples(Packed);

/// A field, its value and its expiry (`NEVER` without).
pub(super) type Triple<'a> = (PackedValue<'a>, PackedValue<'a>, i64);

fn read_expiry(value: PackedValue<'_>) -> i64 {
    value.as_int().filter(|at| *at != 0).unwrap_or(NEVER)
}

fn expiry_text(at: i64, buffer: &mut itoa::Buffer) -> &[u8] {
    if at == NEVER { b"0" } else { buffer.format(at).as_bytes() }
}

impl Triples {
    /// Pairs, each of which gets no expiry.
    pub(super) fn from_pairs(pairs: &Packed) -> Triples {
        let mut triples = Packed::new();
        let mut buffer = itoa::Buffer::new();
        for (index, text) in pairs.iter().enumerate() {
            triples.push_back(text.as_bytes(&mut buffer));
            if index % 2 == 1 {
                triples.push_back(b"0");
            }
        }
        Triples(triples)
    }

    fn len(&self) -> usize {
        self.0.len() / 3
    }

    fn triple_at(&self, pos: Pos) -> Option<(Triple<'_>, Pos)> {
        let (field, pos) = self.0.at(pos)?;
        let (value, pos) = self.0.at(pos)?;
        let (at, pos) = self.0.at(pos)?;
        Some(((field, value, read_expiry(at)), pos))
    }

    fn find(&self, field: &[u8]) -> Option<Pos> {
        self.0.find(field, 2)
    }

    fn get(&self, field: &[u8]) -> Option<Triple<'_>> {
        self.triple_at(self.find(field)?).map(|(triple, _)| triple)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Triple<'_>> {
        let mut pos = self.0.first();
        std::iter::from_fn(move || {
            let (triple, next) = self.triple_at(pos)?;
            pos = next;
            Some(triple)
        })
    }

    /// The first place from `pos` on whose triple does not expire before `at`.
    fn place_of(&self, at: i64, mut pos: Pos) -> Pos {
        while pos < self.0.end() {
            let expiry = self.0.after(self.0.after(pos));
            match self.0.at(expiry) {
                Some((value, next)) if read_expiry(value) < at => pos = next,
                _ => break,
            }
        }
        pos
    }

    /// Adds a field that is not there: before those that do not expire sooner.
    fn add(&mut self, field: &[u8], value: &[u8], at: i64) {
        let mut pos = self.0.first();
        if at == NEVER {
            pos = self.0.end();
        }
        pos = self.place_of(at, pos);
        let mut buffer = itoa::Buffer::new();
        let expiry = expiry_text(at, &mut buffer);
        if pos >= self.0.end() {
            [field, value, expiry].into_iter().for_each(|text| self.0.push_back(text));
        } else {
            // Each goes before the one inserted last.
            [expiry, value, field].into_iter().for_each(|text| self.0.insert_at(pos, text));
        }
    }

    /// Sets a field. Returns whether it is new.
    fn set(&mut self, field: &[u8], value: &[u8], keep: Keep) -> bool {
        let Some(pos) = self.find(field) else {
            self.add(field, value, NEVER);
            return true;
        };
        let expires = self.triple_at(pos).is_some_and(|((_, _, at), _)| at != NEVER);
        if expires && keep == Keep::No {
            self.0.remove_at(pos, 3);
            self.add(field, value, NEVER);
        } else {
            let value_pos = self.0.after(pos);
            self.0.replace_at(value_pos, value);
        }
        false
    }

    /// Does to a field what `decide` makes of its expiry.
    fn change(&mut self, field: &[u8], decide: impl FnOnce(i64) -> Fate) -> Option<Fate> {
        let pos = self.find(field)?;
        let ((_, _, before), next) = self.triple_at(pos)?;
        let fate = decide(before);
        match fate {
            Fate::Stay => {}
            Fate::Remove => self.0.remove_at(pos, 3),
            Fate::Expire(at) => self.set_expiry(pos, next, before, at),
        }
        Some(fate)
    }

    /// Gives the triple from `pos` up to `next` another expiry, and its place by it.
    fn set_expiry(&mut self, pos: Pos, next: Pos, before: i64, at: i64) {
        let from = if at == NEVER {
            self.0.end()
        } else if at > before {
            next
        } else {
            self.0.first()
        };
        let to = self.place_of(at, from);
        let pos = self.0.move_before(pos, next, to);
        let expiry = self.0.after(self.0.after(pos));
        self.0.replace_at(expiry, expiry_text(at, &mut itoa::Buffer::new()));
    }

    fn remove(&mut self, field: &[u8]) -> bool {
        let pos = self.find(field);
        if let Some(pos) = pos {
            self.0.remove_at(pos, 3);
        }
        pos.is_some()
    }

    fn first(&self) -> Option<Triple<'_>> {
        self.triple_at(self.0.first()).map(|(triple, _)| triple)
    }
}

/// A table of pairs, and those that expire by time.
#[derive(Clone, Debug, Default)]
pub(super) struct TimedTable {
    pub(super) pairs: MemberTable<Pair>,
    /// Hash of the field of each ticket: with it the pair is found that has the ticket.
    due: BTreeMap<Ticket, u64>,
    next_number: u32,
}

/// A ticket for the time that no field has.
fn ticket(due: &mut BTreeMap<Ticket, u64>, next_number: &mut u32, at: i64, hash: u64) -> Ticket {
    loop {
        *next_number = next_number.wrapping_add(1);
        let ticket = Ticket { at, number: *next_number };
        // The counter may have gone round.
        if let Entry::Vacant(entry) = due.entry(ticket) {
            entry.insert(hash);
            return ticket;
        }
    }
}

impl TimedTable {
    pub(super) fn new(pairs: MemberTable<Pair>) -> TimedTable {
        TimedTable { pairs, ..TimedTable::default() }
    }

    fn set(&mut self, field: &[u8], value: &[u8], keep: Keep) -> bool {
        match self.pairs.get_mut(field) {
            Some(pair) => {
                if let Some(ticket) = pair.ticket()
                    && keep == Keep::No
                {
                    self.due.remove(&ticket);
                    *pair = Pair::new(field, value);
                } else {
                    pair.set_value(value);
                }
                false
            }
            None => {
                self.pairs.insert(Pair::new(field, value));
                true
            }
        }
    }

    /// Does to a field what `decide` makes of its expiry.
    fn change(&mut self, field: &[u8], decide: impl FnOnce(i64) -> Fate) -> Option<Fate> {
        let pair = self.pairs.get_mut(field)?;
        let old = pair.ticket();
        let fate = decide(old.map_or(NEVER, |old| old.at));
        match fate {
            Fate::Expire(at) if old.map_or(NEVER, |old| old.at) != at => {
                if let Some(old) = old {
                    self.due.remove(&old);
                }
                let hash = member_hash(field);
                let ticket = (at != NEVER).then(|| ticket(&mut self.due, &mut self.next_number, at, hash));
                pair.set_ticket(ticket);
            }
            Fate::Stay | Fate::Expire(_) => {}
            Fate::Remove => drop(self.remove(field)),
        }
        Some(fate)
    }

    fn remove(&mut self, field: &[u8]) -> bool {
        let removed = self.pairs.remove(field);
        if let Some(ticket) = removed.as_ref().and_then(Pair::ticket) {
            self.due.remove(&ticket);
        }
        removed.is_some()
    }

    fn pop_due(&mut self, now_ms: i64) -> Option<Vec<u8>> {
        let entry = self.due.first_entry().filter(|entry| entry.key().at <= now_ms)?;
        let (ticket, hash) = entry.remove_entry();
        let pair = self.pairs.remove_where(hash, |pair| pair.ticket() == Some(ticket));
        pair.map(|pair| pair.key().to_vec())
    }

    fn mem_usage(&self) -> usize {
        // A B-tree's nodes are two thirds full on average, and name their children.
        const INDEX_BYTES: usize = (size_of::<Ticket>() + size_of::<u64>()) * 3 / 2 + 2;
        size_of::<TimedTable>() + self.pairs.mem_usage() + self.due.len() * INDEX_BYTES
    }
}

fn expiry_of(pair: &Pair) -> i64 {
    pair.ticket().map_or(NEVER, |ticket| ticket.at)
}

fn triple_of(pair: &Pair) -> Triple<'_> {
    let (field, value) = pair.parts();
    (field, value, expiry_of(pair))
}

impl Timed {
    pub(super) fn new(fields: Fields) -> Timed {
        Timed { fields, registered: NEVER }
    }

    pub(super) fn len(&self) -> usize {
        match &self.fields {
            Fields::Packed(triples) => triples.len(),
            Fields::Table(table) => table.pairs.len(),
        }
    }

    pub(super) fn encoding(&self) -> &'static str {
        match &self.fields {
            Fields::Packed(_) => "listpackex",
            Fields::Table(_) => "hashtable",
        }
    }

    pub(super) fn mem_usage(&self) -> usize {
        size_of::<Timed>()
            + match &self.fields {
                Fields::Packed(triples) => triples.0.mem_usage(),
                Fields::Table(table) => table.mem_usage(),
            }
    }

    /// Value and expiry of a field.
    #[inline]
    pub(super) fn get(&self, field: &[u8]) -> Option<(PackedValue<'_>, i64)> {
        match &self.fields {
            Fields::Packed(triples) => triples.get(field).map(|(_, value, at)| (value, at)),
            Fields::Table(table) => {
                table.pairs.get(field).map(|pair| (PackedValue::Bytes(pair.value()), expiry_of(pair)))
            }
        }
    }

    pub(super) fn set(&mut self, field: &[u8], value: &[u8], keep: Keep, limits: &EncodingLimits) -> bool {
        let longest = field.len().max(value.len());
        if longest > limits.hash_listpack_value {
            self.convert(1);
        }
        match &mut self.fields {
            Fields::Packed(triples) => {
                let added = triples.set(field, value, keep);
                if triples.len() > limits.hash_listpack_entries {
                    self.convert(0);
                }
                added
            }
            Fields::Table(table) => table.set(field, value, keep),
        }
    }

    /// Turns triples into a table with room for `extra` more.
    #[cold]
    pub(super) fn convert(&mut self, extra: usize) {
        let Fields::Packed(triples) = &self.fields else { return };
        let mut table = Box::new(TimedTable::new(MemberTable::with_capacity(triples.len() + extra)));
        let (mut a, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
        for (field, value, at) in triples.iter() {
            let field = field.as_bytes(&mut a);
            let hash = member_hash(field);
            let ticket = (at != NEVER).then(|| ticket(&mut table.due, &mut table.next_number, at, hash));
            table.pairs.insert(Pair::with_ticket(field, value.as_bytes(&mut b), ticket));
        }
        self.fields = Fields::Table(table);
    }

    /// Does to a field what `decide` makes of its expiry; `None` if it is not there.
    #[inline]
    pub(super) fn change(&mut self, field: &[u8], decide: impl FnOnce(i64) -> Fate) -> Option<Fate> {
        match &mut self.fields {
            Fields::Packed(triples) => triples.change(field, decide),
            Fields::Table(table) => table.change(field, decide),
        }
    }

    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.fields {
            Fields::Packed(triples) => triples.remove(field),
            Fields::Table(table) => table.remove(field),
        }
    }

    /// The soonest expiry, `NEVER` without.
    #[inline]
    pub(super) fn next_expiry(&self) -> i64 {
        match &self.fields {
            Fields::Packed(triples) => triples.first().map_or(NEVER, |(_, _, at)| at),
            Fields::Table(table) => table.due.first_key_value().map_or(NEVER, |(ticket, _)| ticket.at),
        }
    }

    /// Number of fields due by `now_ms`.
    pub(super) fn due(&self, now_ms: i64) -> usize {
        match &self.fields {
            Fields::Packed(triples) => triples.iter().take_while(|(_, _, at)| *at <= now_ms).count(),
            Fields::Table(table) => table.due.keys().take_while(|ticket| ticket.at <= now_ms).count(),
        }
    }

    /// Takes out a field that is due by `now_ms`, the soonest first.
    pub(super) fn pop_due(&mut self, now_ms: i64) -> Option<Vec<u8>> {
        match &mut self.fields {
            Fields::Packed(triples) => {
                let field = triples.first().filter(|(_, _, at)| *at <= now_ms)?.0.to_vec();
                triples.0.remove_at(triples.0.first(), 3);
                Some(field)
            }
            Fields::Table(table) => table.pop_due(now_ms),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Triple<'_>> {
        let (packed, table) = match &self.fields {
            Fields::Packed(triples) => (Some(triples.iter()), None),
            Fields::Table(table) => (None, Some(table.pairs.iter().map(triple_of))),
        };
        packed.into_iter().flatten().chain(table.into_iter().flatten())
    }

    pub(super) fn scan(&self, cursor: u64, mut visit: impl FnMut(Triple<'_>)) -> u64 {
        match &self.fields {
            Fields::Packed(triples) => {
                triples.iter().for_each(visit);
                0
            }
            Fields::Table(table) => table.pairs.scan(cursor, |pair| visit(triple_of(pair))),
        }
    }

    pub(super) fn random(&self, rng: &mut fastrand::Rng) -> Option<(PackedValue<'_>, PackedValue<'_>)> {
        match &self.fields {
            Fields::Packed(triples) if triples.len() == 0 => None,
            Fields::Packed(triples) => {
                let pos = triples.0.seek(3 * rng.usize(..triples.len()) as isize)?;
                triples.triple_at(pos).map(|((field, value, _), _)| (field, value))
            }
            Fields::Table(table) => table.pairs.random(rng).map(Pair::parts),
        }
    }
}
