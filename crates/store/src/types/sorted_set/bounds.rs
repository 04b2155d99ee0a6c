//! Ranges of scores and of members.

use std::cmp::Ordering;

/// A range of scores. Source of the syntax it comes from: <https://redis.io/docs/latest/commands/zrangebyscore/>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    /// Lower end.
    pub min: f64,
    /// Upper end.
    pub max: f64,
    /// The lower end itself is out.
    pub min_exclusive: bool,
    /// The upper end itself is out.
    pub max_exclusive: bool,
}

impl ScoreRange {
    /// Whether no score can be in it.
    pub fn is_empty(&self) -> bool {
        self.min > self.max || (self.min == self.max && (self.min_exclusive || self.max_exclusive))
    }

    /// Whether `score` is not below the range.
    #[inline]
    pub(crate) fn reaches_min(&self, score: f64) -> bool {
        if self.min_exclusive { score > self.min } else { score >= self.min }
    }

    /// Whether `score` is not above the range.
    #[inline]
    pub(crate) fn reaches_max(&self, score: f64) -> bool {
        if self.max_exclusive { score < self.max } else { score <= self.max }
    }
}

/// One end of a range of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// `-`: before all.
    Least,
    /// `+`: after all.
    Greatest,
    /// `[member`.
    Inclusive(&'a [u8]),
    /// `(member`.
    Exclusive(&'a [u8]),
}

/// A range of members. Source of the syntax it comes from: <https://redis.io/docs/latest/commands/zrangebylex/>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LexRange<'a> {
    /// Lower end.
    pub min: LexBound<'a>,
    /// Upper end.
    pub max: LexBound<'a>,
}

impl LexRange<'_> {
    /// Whether a member is not below the range.
    #[inline]
    pub(crate) fn reaches_min(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::Least => true,
            LexBound::Greatest => false,
            LexBound::Inclusive(min) => member.cmp(min) != Ordering::Less,
            LexBound::Exclusive(min) => member.cmp(min) == Ordering::Greater,
        }
    }

    /// Whether a member is not above the range.
    #[inline]
    pub(crate) fn reaches_max(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::Least => false,
            LexBound::Greatest => true,
            LexBound::Inclusive(max) => member.cmp(max) != Ordering::Greater,
            LexBound::Exclusive(max) => member.cmp(max) == Ordering::Less,
        }
    }
}
