//! Walking a sorted set from scores upwards, for callers that look at many scores and few members.

use super::{Numbered, Repr, Scored, SortedSet, Tree, Walk};
use crate::packed::PackedValue;

/// A member that is looked up when it is wanted.
#[derive(Clone, Copy)]
pub struct MemberRef<'s>(Kind<'s>);

#[derive(Clone, Copy)]
enum Kind<'s> {
    Here(PackedValue<'s>),
    Number(&'s Numbered<Scored>, u32),
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

/// A sorted set prepared for several walks: a listpack is read once.
pub struct ByScore<'s>(Source<'s>);

enum Source<'s> {
    Listed(Vec<(PackedValue<'s>, f64)>),
    Tree(&'s Numbered<Scored>, &'s Tree),
}

impl<'s> ByScore<'s> {
    /// Members with a score of at least `least`, ascending.
    pub fn from(&self, least: f64) -> FromScore<'s, '_> {
        FromScore(match &self.0 {
            Source::Listed(all) => {
                let first = all.partition_point(|(_, score)| *score < least);
                Walking::Listed(all[first..].iter())
            }
            Source::Tree(members, tree) => Walking::Tree(members, tree.walk_from(|score, _| score < least)),
        })
    }
}

/// Members with their scores, ascending.
pub struct FromScore<'s, 'b>(Walking<'s, 'b>);

enum Walking<'s, 'b> {
    Listed(std::slice::Iter<'b, (PackedValue<'s>, f64)>),
    Tree(&'s Numbered<Scored>, Walk<'s>),
}

impl<'s> Iterator for FromScore<'s, '_> {
    type Item = (MemberRef<'s>, f64);

    #[inline]
    fn next(&mut self) -> Option<(MemberRef<'s>, f64)> {
        match &mut self.0 {
            Walking::Listed(all) => {
                let &(member, score) = all.next()?;
                Some((MemberRef(Kind::Here(member)), score))
            }
            Walking::Tree(members, walk) => {
                let (score, id) = walk.next()?;
                Some((MemberRef(Kind::Number(members, id)), score))
            }
        }
    }
}

impl SortedSet {
    /// Prepares for walks from scores upwards.
    pub fn by_score(&self) -> ByScore<'_> {
        ByScore(match &self.repr {
            Repr::Packed(_) => Source::Listed(self.iter().collect()),
            Repr::Tree(big) => Source::Tree(&big.members, &big.tree),
        })
    }
}
