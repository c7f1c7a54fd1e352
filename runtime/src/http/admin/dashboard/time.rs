//! Moments and durations, as JSON: milliseconds since the Unix epoch, and
//! microseconds.

use std::time::{Duration, Instant, SystemTime};

/// Converts moments of the monotonic clock to those of the system's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    instant: Instant,
    unix: Duration,
}

impl Clock {
    pub(super) fn now() -> Self {
        Self::new(Instant::now(), SystemTime::now())
    }

    /// A clock by which `instant` was at `system`.
    pub(super) fn new(instant: Instant, system: SystemTime) -> Self {
        let unix = system.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { instant, unix }
    }

    /// The time at which this clock was made.
    pub(super) fn unix_ms(&self) -> f64 {
        millis(self.unix)
    }

    /// A moment this long ago.
    pub(super) fn before(&self, age: Duration) -> f64 {
        millis(self.unix.saturating_sub(age))
    }

    /// A moment this far in the future.
    pub(super) fn after(&self, remaining: Duration) -> f64 {
        millis(self.unix.saturating_add(remaining))
    }

    pub(super) fn at(&self, instant: Instant) -> f64 {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.after(later),
            None => self.before(self.instant.duration_since(instant)),
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A duration in microseconds, to a tenth.
pub(super) fn micros(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e7).round() / 10.0
}
