//! Walking a sorted set from a score upwards, for callers that look at many scores and few members.

use super::{Dense, Repr, Scored, SortedSet, Walk, packed, read_score};
use crate::packed::PackedValue;

/// A member that is looked up when it is wanted.
#[derive(Clone, Copy)]
pub struct MemberRef<'s>(Kind<'s>);

#[derive(Clone, Copy)]
enum Kind<'s> {
    Here(PackedValue<'s>),
    Number(&'s Dense<Scored>, u32),
}

impl<'s> MemberRef<'s> {
    /// The member.
    pub fn get(&self) -> PackedValue<'s> {
        match self.0 {
            Kind::Here(member) => member,
            Kind::Number(members, id) => PackedValue::Bytes(&members.get(id).name),
        }
    }
}

/// Members with their scores, ascending.
pub struct FromScore<'s> {
    walk: Source<'s>,
    least: f64,
}

enum Source<'s> {
    Packed(packed::Iter<'s>),
    Tree(&'s Dense<Scored>, Walk<'s>),
}

impl<'s> Iterator for FromScore<'s> {
    type Item = (MemberRef<'s>, f64);

    #[inline]
    fn next(&mut self) -> Option<(MemberRef<'s>, f64)> {
        match &mut self.walk {
            Source::Packed(iter) => loop {
                let (member, score) = (iter.next()?, read_score(iter.next()?));
                if score >= self.least {
                    return Some((MemberRef(Kind::Here(member)), score));
                }
            },
            Source::Tree(members, walk) => {
                let (score, id) = walk.next()?;
                Some((MemberRef(Kind::Number(members, id)), score))
            }
        }
    }
}

impl SortedSet {
    /// Members with a score of at least `least`, ascending.
    pub fn scores_from(&self, least: f64) -> FromScore<'_> {
        let walk = match &self.repr {
            Repr::Packed(packed) => Source::Packed(packed.iter()),
            Repr::Tree(big) => Source::Tree(&big.members, big.tree.walk_from(|score, _| score < least)),
        };
        FromScore { walk, least }
    }
}
