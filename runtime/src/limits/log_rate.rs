//! Limits on how much a function may log per second, all its invocations
//! together.
//!
//! Two rates share 256 KiB per second: one for guest output, one for the
//! records of failures. A function therefore can't hide its failures behind its
//! output, nor fill the log with either. A rate is locked only when something is
//! logged.

use std::sync::Mutex;
use std::time::Instant;

use crate::sync::lock;

/// The maximum size of guest output per second, in bytes.
const OUTPUT: usize = 192 << 10;

/// The maximum size of failure records per second, in bytes.
const FAILURES: usize = 64 << 10;

/// The log output of a function in the current second.
#[derive(Debug)]
pub(crate) struct Rate {
    limit: usize,
    since: Instant,
    second: Mutex<Second>,
}

/// The decision about a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RateDecision {
    /// It is logged.
    Logged,
    /// It is logged, the first after this many bytes were left out.
    After(u64),
    /// It is left out, as the first in this second.
    Full,
    /// It is left out, and was not the first.
    LeftOut,
}

/// One second of a function's log output.
#[derive(Debug, Default)]
struct Second {
    number: u64,
    logged: usize,
    /// The bytes left out, once any were.
    left_out: Option<u64>,
}

impl Rate {
    /// The rate of guest output.
    pub(crate) fn of_output() -> Self {
        Self::new(OUTPUT)
    }

    /// The rate of failure records.
    pub(crate) fn of_failures() -> Self {
        Self::new(FAILURES)
    }

    fn new(limit: usize) -> Self {
        Self { limit, since: Instant::now(), second: Mutex::default() }
    }

    /// Takes `bytes` and `more` of the current second. If they do not fit, only
    /// `bytes` are reported as left out.
    pub(crate) fn take(&self, bytes: usize, more: usize) -> RateDecision {
        self.take_at(self.since.elapsed().as_secs(), bytes, more)
    }

    fn take_at(&self, number: u64, bytes: usize, more: usize) -> RateDecision {
        let mut second = lock(&self.second);
        let cost = bytes.saturating_add(more);
        // A thread that was delayed may have an earlier second. The rate never
        // goes back.
        if number > second.number {
            let former =
                std::mem::replace(&mut *second, Second { number, logged: cost, left_out: None });
            return former.left_out.map_or(RateDecision::Logged, RateDecision::After);
        }
        if let Some(left_out) = &mut second.left_out {
            *left_out = left_out.saturating_add(bytes as u64);
            return RateDecision::LeftOut;
        }
        match second.logged.saturating_add(cost) {
            sum if sum <= self.limit => {
                second.logged = sum;
                RateDecision::Logged
            }
            _ => {
                second.left_out = Some(bytes as u64);
                RateDecision::Full
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 256 << 10;

    #[test]
    fn a_second_is_filled_and_the_next_one_tells_what_was_left_out() {
        let rate = Rate::new(LIMIT);
        assert_eq!(rate.take_at(0, LIMIT - 3, 2), RateDecision::Logged);
        assert_eq!(rate.take_at(0, 0, 1), RateDecision::Logged);
        assert_eq!(rate.take_at(0, 2, 9), RateDecision::Full);
        assert_eq!(rate.take_at(0, 3, 9), RateDecision::LeftOut);
        assert_eq!(rate.take_at(7, LIMIT, 0), RateDecision::After(5));
        assert_eq!(
            rate.take_at(6, 1, 0),
            RateDecision::Full,
            "a late one belongs to the present second"
        );
        assert_eq!(rate.take_at(8, 1, 0), RateDecision::After(1));
        assert_eq!(rate.take_at(9, 1, 0), RateDecision::Logged);
    }

    #[test]
    fn many_take_no_more_than_one_may() {
        let rate = Rate::new(LIMIT);
        let logged =
            |_| (0..2_000).filter(|_| rate.take_at(0, 50, 50) == RateDecision::Logged).count();
        let all: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|at| scope.spawn(move || logged(at))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(all, LIMIT / 100);
    }
}
