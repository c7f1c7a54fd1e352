//! How many jobs run at once.

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};

use crate::cores;

/// The choice on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concurrency {
    Auto,
    Fixed(usize),
}

impl FromStr for Concurrency {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
        Ok(Self::Fixed(number.context("write a number from 1 to 1000000, or `auto`")?))
    }
}

impl Concurrency {
    /// The number, if one was given.
    pub(super) fn fixed(self) -> Option<usize> {
        match self {
            Self::Auto => None,
            Self::Fixed(number) => Some(number),
        }
    }

    /// The number to begin with, and how it changes. `most` is what the runtime
    /// allows.
    pub(super) fn over(self, most: usize) -> Control {
        let (current, is_settled) = match self {
            Self::Fixed(number) => (number, true),
            Self::Auto => (cores::count().min(most), false),
        };
        Control { current, most, is_settled, rate: 0.0, done: 0, elapsed: Duration::ZERO }
    }
}

/// The share of all cores above which more concurrency only queues.
const BUSY: f64 = 0.85;

/// What twice the concurrency has to gain to be kept.
const GAIN: f64 = 1.1;

/// Doubles the concurrency while the cores are not busy and the rate grows with
/// it.
#[derive(Debug)]
pub(super) struct Control {
    current: usize,
    most: usize,
    is_settled: bool,
    /// The rate before the last change, in jobs per second.
    rate: f64,
    /// What was done since the last change, in which time.
    done: u64,
    elapsed: Duration,
}

impl Control {
    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// Takes the jobs that have ended in an interval, and the share of all cores
    /// that this process has used. Returns the concurrency from now on, if it
    /// changes.
    pub(super) fn observe(&mut self, done: u64, interval: Duration, load: f64) -> Option<usize> {
        self.done += done;
        self.elapsed += interval;
        // A rate is known once as many have ended as run at once.
        if self.is_settled || self.done < self.current as u64 || self.elapsed.is_zero() {
            return None;
        }
        let rate = self.done as f64 / self.elapsed.as_secs_f64();
        if rate < self.rate * GAIN {
            self.is_settled = true;
            self.current = self.current.div_ceil(2);
            return Some(self.current);
        }
        if load > BUSY || self.current >= self.most {
            self.is_settled = true;
            return None;
        }
        (self.rate, self.done, self.elapsed) = (rate, 0, Duration::ZERO);
        self.current = (self.current * 2).min(self.most);
        Some(self.current)
    }
}

/// The processor time of this process so far.
pub(super) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn auto(current: usize, most: usize) -> Control {
        Control { current, ..Concurrency::Auto.over(most) }
    }

    /// The concurrency after jobs that take a second each, on a machine that runs at
    /// most `limit` of them at once.
    fn settled(mut control: Control, limit: usize, load: f64) -> usize {
        for _ in 0..100 {
            let done = control.current().min(limit) as u64;
            control.observe(done, SECOND, load);
        }
        control.current()
    }

    #[test]
    fn it_grows_while_that_helps() {
        assert_eq!(settled(auto(2, 1_000), usize::MAX, 0.1), 1_000);
        assert_eq!(settled(auto(2, 1_000), 64, 0.1), 64);
    }

    #[test]
    fn busy_cores_are_enough() {
        assert_eq!(settled(auto(2, 1_000), usize::MAX, 0.95), 2);
    }

    #[test]
    fn slow_jobs_are_waited_for() {
        let mut control = auto(2, 1_000);
        assert_eq!(control.observe(1, SECOND, 0.1), None);
        assert_eq!(control.observe(1, SECOND, 0.1), Some(4));
    }

    #[test]
    fn a_number_that_is_given_stays() {
        let mut control = Concurrency::Fixed(5).over(1_000);
        assert_eq!(control.observe(1_000, SECOND, 0.1), None);
        assert_eq!(control.current(), 5);
    }

    #[test]
    fn a_number_is_checked() {
        assert_eq!("auto".parse::<Concurrency>().expect("it is valid"), Concurrency::Auto);
        assert_eq!("12".parse::<Concurrency>().expect("it is valid"), Concurrency::Fixed(12));
        for text in ["0", "-1", "many", "1000001"] {
            text.parse::<Concurrency>().expect_err(text);
        }
    }
}
