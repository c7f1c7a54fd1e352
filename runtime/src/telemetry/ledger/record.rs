//! The record of one invocation: as it waits in a buffer, and as it is written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::totals::Totals;
use crate::outcome::Usage;

/// Precedes the version in the name of a function. No name contains it.
pub(super) const VERSION: char = '@';

/// The longest principal that is recorded as it is, in bytes.
pub(super) const PRINCIPAL: usize = 256;

/// The bytes that a longer principal keeps of its own. A hash follows them, so
/// that different principals stay different.
const KEPT: usize = 200;

/// A record in a buffer, without its principal. It fills one cache line, because
/// moving a line between cores costs more than what is done with a record.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Record {
    /// The id of the function's name.
    pub(super) function: u32,
    /// The position of the outcome's name.
    pub(super) outcome: u8,
    /// The position of the cause's name.
    pub(super) cause: Option<u8>,
    /// Set by the buffer.
    pub(super) has_principal: bool,
    /// Nanoseconds since the ledger was opened.
    pub(super) ended: i64,
    pub(super) amounts: Amounts,
}

/// What an invocation used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Amounts {
    /// Nanoseconds from its admission to its end.
    pub(crate) wall: u64,
    /// Nanoseconds of processor time.
    pub(crate) cpu: u64,
    /// Its largest linear memory in bytes.
    pub(crate) peak_memory: u64,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) calls: u32,
    pub(crate) fetches: u32,
}

/// A record as it is written. The names are positions in the names of its
/// block; 0 stands for no name, 1 for the first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) function: u32,
    pub(super) principal: u32,
    pub(super) outcome: u32,
    pub(super) cause: u32,
    /// Microseconds from the time of the block.
    pub(super) ended: i64,
    pub(super) amounts: Amounts,
}

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invocation<'a> {
    pub(crate) function: &'a str,
    /// The version of its module, if it has one.
    pub(crate) version: Option<&'a str>,
    pub(crate) principal: Option<&'a str>,
    pub(crate) outcome: &'a str,
    pub(crate) cause: Option<&'a str>,
    /// Microseconds since 1970.
    pub(crate) ended: i64,
    pub(crate) amounts: Amounts,
}

impl Amounts {
    pub(super) fn new(usage: &Usage) -> Self {
        Self {
            wall: nanos(usage.wall),
            cpu: nanos(usage.cpu),
            peak_memory: usage.peak_memory,
            request_bytes: usage.request_bytes,
            response_bytes: usage.response_bytes,
            calls: usage.calls,
            fetches: usage.fetches,
        }
    }
}

impl Invocation<'_> {
    /// Adds it to a sum.
    pub(crate) fn add_to(&self, totals: &mut Totals) {
        totals.add(&self.amounts, self.outcome != crate::outcome::Outcome::Response.name());
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A principal in bounded length.
pub(super) fn principal(name: String) -> Box<str> {
    if name.len() <= PRINCIPAL {
        return name.into_boxed_str();
    }
    let kept = name.get(..name.floor_char_boundary(KEPT)).unwrap_or_default();
    let hash = blake3::hash(name.as_bytes()).to_hex();
    format!("{kept}…{}", hash.get(..32).unwrap_or_default()).into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_cache_line() {
        assert_eq!(size_of::<Record>(), 64);
    }

    #[test]
    fn long_principals_are_cut_and_stay_different() {
        let long = |end: &str| principal("ä".repeat(500) + end);
        assert_eq!(&*principal("x".repeat(PRINCIPAL)), "x".repeat(PRINCIPAL));
        assert!(long("a").len() <= PRINCIPAL && long("a").starts_with("ä"));
        assert_eq!(long("a"), long("a"));
        assert_ne!(long("a"), long("b"));
    }
}
