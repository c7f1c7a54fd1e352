//! When a function runs.

use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;

use crate::escape::OneLine;
use crate::jobs::time::Timestamp;

/// When a function runs, and what happens if a run is late or long.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub(super) function: String,
    /// The pattern as it was written.
    pub(super) pattern: String,
    cron: Cron,
    zone: TimeZone,
    pub(super) overlap: Overlap,
    pub(super) missed: Missed,
    pub(super) jitter: Duration,
}

/// What happens if a run is due while the one before is still under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It is left out. The default.
    #[default]
    Skip,
    /// It begins nevertheless, as a job of its own. Without a queue it waits for
    /// the end of the one before.
    Queue,
    /// The one before is canceled.
    CancelPrevious,
}

/// What happens to runs that were due while the host was not running, or was
/// suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// They are left out. The default.
    #[default]
    Skip,
    /// One of them, the last, is made up for. Runs of an earlier process are known
    /// only with a queue.
    RunOnce,
}

/// A schedule is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The pattern is invalid, or no time matches it.
    #[error(
        "`{}` is no schedule: {reason}; write minute, hour, day of month, month and day of week, \
         such as \"*/5 * * * *\"",
        OneLine(pattern)
    )]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no time zone of that name.
    #[error("there is no time zone `{}`; write one such as Europe/Berlin, or UTC", OneLine(.0))]
    Zone(String),
}

impl Schedule {
    /// A function that runs at the times that match a cron pattern, in UTC.
    ///
    /// The five fields are minute, hour, day of month, month and day of week. A
    /// sixth one in front of them is the second.
    ///
    /// # Errors
    /// [`ScheduleError::Pattern`].
    pub fn new(function: impl Into<String>, pattern: &str) -> Result<Self, ScheduleError> {
        let invalid = |reason| ScheduleError::Pattern { pattern: pattern.to_owned(), reason };
        let cron: Cron = pattern.parse().map_err(|error| invalid(format!("{error}")))?;
        let schedule = Self {
            function: function.into(),
            pattern: pattern.to_owned(),
            cron,
            zone: TimeZone::UTC,
            overlap: Overlap::default(),
            missed: Missed::default(),
            jitter: Duration::ZERO,
        };
        if schedule.next(Timestamp::now()).is_none() {
            return Err(invalid("no time matches it".to_owned()));
        }
        Ok(schedule)
    }

    /// Sets the time zone, by its name in the database of IANA. When clocks are
    /// set forward, a run in the hour that is left out is at its end. When they
    /// are set back, a run at a certain hour is once, and one that repeats in
    /// every hour is in both.
    ///
    /// # Errors
    /// [`ScheduleError::Zone`].
    pub fn zone(self, name: &str) -> Result<Self, ScheduleError> {
        let zone = TimeZone::get(name).map_err(|_| ScheduleError::Zone(name.to_owned()))?;
        Ok(Self { zone, ..self })
    }

    /// Sets what happens if a run is due while the one before is under way.
    /// Default [`Overlap::Skip`].
    #[must_use]
    pub fn overlap(self, overlap: Overlap) -> Self {
        Self { overlap, ..self }
    }

    /// Sets what happens to missed runs. Default [`Missed::Skip`].
    #[must_use]
    pub fn missed(self, missed: Missed) -> Self {
        Self { missed, ..self }
    }

    /// Delays each run by a random time of up to this, so that many hosts do not
    /// run at once. Default: none.
    #[must_use]
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// The next time after another; `None` if the pattern matches no later one.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(after.0.try_into().ok()?).ok()?;
        let after = after.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(Timestamp(next.timestamp().as_millisecond().try_into().ok()?))
    }

    /// The last time after `after` and not after `until`.
    pub(super) fn last(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let first = self.next(after).filter(|first| *first <= until)?;
        let until = jiff::Timestamp::from_millisecond(until.0.try_into().ok()?).ok()?;
        let until = until.to_zoned(self.zone.clone());
        let last = self.cron.find_previous_occurrence(&until, true).ok();
        let last = last.and_then(|last| last.timestamp().as_millisecond().try_into().ok());
        Some(last.map_or(first, |last| first.max(Timestamp(last))))
    }

    pub(super) fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        let moment: jiff::Timestamp = text.parse().expect("a moment");
        Timestamp(moment.as_millisecond() as u64)
    }

    /// The next times after a moment.
    fn next(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let first = schedule.next(moment(after));
        let all = std::iter::successors(first, |last| schedule.next(*last));
        all.take(count).map(|time| time.to_string()[..16].to_owned()).collect()
    }

    #[test]
    fn a_pattern_matches_as_in_cron() {
        let five = Schedule::new("f", "*/5 * * * *").expect("a pattern");
        let times = next(&five, "2026-11-29T00:01:00.5Z", 3);
        assert_eq!(times, ["2026-11-29T00:05", "2026-11-29T00:10", "2026-11-29T00:15"]);
        // Monday to Friday at nine.
        let work = Schedule::new("f", "0 9 * * MON-FRI").expect("a pattern");
        assert_eq!(next(&work, "2026-11-27T09:00:00Z", 1), ["2026-11-30T09:00"]);
        // Sunday is 0 and 7.
        for pattern in ["0 0 * * 0", "0 0 * * 7"] {
            let sunday = Schedule::new("f", pattern).expect("a pattern");
            assert_eq!(next(&sunday, "2026-11-27T00:00:00Z", 1), ["2026-11-29T00:00"]);
        }
    }

    #[test]
    fn clocks_that_are_set_leave_out_and_repeat_no_run() {
        let zone = |pattern| {
            let schedule = Schedule::new("f", pattern).expect("a pattern");
            schedule.zone("Europe/Berlin").expect("a zone")
        };
        // From 2:00 to 3:00 on March 29th: 2:30 does not exist.
        let times = next(&zone("30 2 * * *"), "2026-03-28T00:00:00Z", 3);
        assert_eq!(times, ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]);
        // From 3:00 to 2:00 on October 25th: 2:30 exists twice.
        let times = next(&zone("30 2 * * *"), "2026-10-24T00:00:00Z", 3);
        assert_eq!(times, ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]);
        let times = next(&zone("30 * * * *"), "2026-10-25T00:00:00Z", 3);
        assert_eq!(times, ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"]);
    }

    #[test]
    fn the_last_missed_time_is_found() {
        let daily = Schedule::new("f", "0 3 * * *").expect("a pattern");
        let last = |after: &str, until: &str| {
            let last = daily.last(moment(after), moment(until));
            last.map(|last| last.to_string()[..16].to_owned())
        };
        let missed = last("2026-11-20T03:00:00Z", "2026-11-29T02:00:00Z");
        assert_eq!(missed.as_deref(), Some("2026-11-28T03:00"));
        assert_eq!(last("2026-11-28T03:00:00Z", "2026-11-29T02:00:00Z"), None);
        let exact = last("2026-11-28T03:00:00Z", "2026-11-29T03:00:00Z");
        assert_eq!(exact.as_deref(), Some("2026-11-29T03:00"));
    }

    #[test]
    fn a_mistake_is_explained() {
        for bad in ["", "* * * *", "61 * * * *", "x", "0 0 30 2 *"] {
            let error = Schedule::new("f", bad).expect_err(bad).to_string();
            assert!(error.contains("is no schedule"), "{error}");
        }
        let schedule = Schedule::new("f", "* * * * *").expect("a pattern");
        let error = schedule.zone("Berlin").expect_err("it is no zone").to_string();
        assert!(error.contains("Europe/Berlin"), "{error}");
    }
}
