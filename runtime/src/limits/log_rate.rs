//! Limits on how much a function may log per second, all its invocations
//! together.
//!
//! Two rates share 256 KiB per second: one for guest output, one for the
//! records of failures. A function therefore can't hide its failures behind its
//! output, nor fill the log with either.
//!
//! A rate is one word: the current second, and the bytes taken of it. It is
//! read only when something is logged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The most bytes of guest output per second.
const OUTPUT: u32 = 192 << 10;

/// The most bytes of failure records per second.
const FAILURES: u32 = 64 << 10;

/// The log output of a function in the current second.
#[derive(Debug)]
pub(crate) struct Rate {
    most: u32,
    since: Instant,
    /// A [`Second`].
    word: AtomicU64,
}

/// The decision about a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RateDecision {
    /// It is logged.
    Logged,
    /// It is logged, the first after this many bytes were left out.
    After(u32),
    /// It is left out, as the first in this second.
    Full,
    /// It is left out, and was not the first.
    LeftOut,
}

/// One second of a function's log output.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    /// Its number. The numbers wrap around after 68 years.
    number: u32,
    /// Whether output was left out.
    full: bool,
    /// The bytes logged, or if `full` the bytes left out.
    bytes: u32,
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

    fn new(most: u32) -> Self {
        Self { most, since: Instant::now(), word: AtomicU64::new(Second::default().word()) }
    }

    /// Takes `bytes` and `more` of the current second. If they do not fit, only
    /// `bytes` are reported as left out.
    pub(crate) fn take(&self, bytes: usize, more: usize) -> RateDecision {
        let count = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        let second = self.since.elapsed().as_secs() as u32 & (u32::MAX >> 1);
        self.take_at(second, count(bytes), count(more))
    }

    fn take_at(&self, number: u32, bytes: u32, more: u32) -> RateDecision {
        let mut before = self.word.load(Ordering::Relaxed);
        loop {
            let (after, taken) = Second::of(before).take(self.most, number, bytes, more);
            // The word orders no other memory, so `Relaxed` is enough.
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.word.compare_exchange_weak(before, after.word(), success, failure) {
                Ok(_) => return taken,
                Err(now) => before = now,
            }
        }
    }
}

impl Second {
    fn of(word: u64) -> Self {
        Self { number: (word >> 33) as u32, full: word >> 32 & 1 == 1, bytes: word as u32 }
    }

    fn word(self) -> u64 {
        u64::from(self.number) << 33 | u64::from(self.full) << 32 | u64::from(self.bytes)
    }

    fn take(self, most: u32, number: u32, bytes: u32, more: u32) -> (Self, RateDecision) {
        let cost = bytes.saturating_add(more);
        // A thread that was delayed may have an earlier second. The rate never
        // goes back.
        if number > self.number {
            let taken =
                if self.full { RateDecision::After(self.bytes) } else { RateDecision::Logged };
            return (Self { number, full: false, bytes: cost }, taken);
        }
        if self.full {
            return (
                Self { bytes: self.bytes.saturating_add(bytes), ..self },
                RateDecision::LeftOut,
            );
        }
        match self.bytes.saturating_add(cost) {
            sum if sum <= most => (Self { bytes: sum, ..self }, RateDecision::Logged),
            _ => (Self { full: true, bytes, ..self }, RateDecision::Full),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u32 = 256 << 10;

    #[test]
    fn a_second_is_filled_and_the_next_one_tells_what_was_left_out() {
        let rate = Rate::new(MOST);
        assert_eq!(rate.take_at(0, MOST - 3, 2), RateDecision::Logged);
        assert_eq!(rate.take_at(0, 0, 1), RateDecision::Logged);
        assert_eq!(rate.take_at(0, 2, 9), RateDecision::Full);
        assert_eq!(rate.take_at(0, 3, 9), RateDecision::LeftOut);
        assert_eq!(rate.take_at(7, MOST, 0), RateDecision::After(5));
        assert_eq!(
            rate.take_at(6, 1, 0),
            RateDecision::Full,
            "a late one belongs to the present second"
        );
        assert_eq!(rate.take_at(8, 1, 0), RateDecision::After(1));
        assert_eq!(rate.take_at(9, 1, 0), RateDecision::Logged);
    }

    #[test]
    fn a_second_is_read_as_it_was_written() {
        for number in [0, 1, u32::MAX >> 1] {
            for full in [false, true] {
                for bytes in [0, 1, u32::MAX] {
                    let second = Second::of(Second { number, full, bytes }.word());
                    assert_eq!((second.number, second.full, second.bytes), (number, full, bytes));
                }
            }
        }
    }

    #[test]
    fn many_take_no_more_than_one_may() {
        let rate = Rate::new(MOST);
        let logged =
            |_| (0..2_000).filter(|_| rate.take_at(0, 50, 50) == RateDecision::Logged).count();
        let all: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|at| scope.spawn(move || logged(at))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(all, MOST as usize / 100);
    }
}
