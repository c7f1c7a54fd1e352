//! Moments, as a command line gives them and as reports show them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};

use crate::schema::{Period, Unit as _};

/// The microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// A moment, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl Moment {
    /// Parses a period before `now`, or a moment in the form of RFC 3339.
    pub(super) fn parse(text: &str, now: i64) -> anyhow::Result<Self> {
        if let Ok(ago) = Period::ANY.parse(text) {
            let ago = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
            return Ok(Self(now.saturating_sub(ago)));
        }
        // A date alone is its first moment.
        let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let Ok(moment) = humantime::parse_rfc3339_weak(&whole) else {
            bail!(
                "write a time ago such as `90m` or `24h`, or a moment in UTC such as `2026-01-31` or \
                 `2026-01-31T12:00:00Z`"
            );
        };
        let since = moment.duration_since(UNIX_EPOCH).context("it is before 1970")?;
        Ok(Self(i64::try_from(since.as_micros())?))
    }
}

/// The moment in UTC, to the second.
pub(super) fn shown(micros: i64) -> String {
    let since = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    let moment = UNIX_EPOCH.checked_add(since).filter(|moment| *moment < last());
    match moment {
        Some(moment) => humantime::format_rfc3339_seconds(moment).to_string(),
        None => "after 9999".to_owned(),
    }
}

/// The begin of the hour that contains a moment.
pub(super) fn hour(micros: i64) -> i64 {
    micros - micros.rem_euclid(HOUR)
}

/// The first moment that has no four digits for its year.
fn last() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(253_402_300_800)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_periods_ago_or_dates() {
        let now = 1_000_000 * HOUR;
        let parsed = |text| Moment::parse(text, now).expect(text).0;
        assert_eq!(parsed("1h"), now - HOUR);
        assert_eq!(parsed("1h30m"), now - 3 * HOUR / 2);
        assert_eq!(parsed("0s"), now);
        assert_eq!(parsed("1970-01-02"), 24 * HOUR);
        assert_eq!(parsed("1970-01-01T01:00:00Z"), HOUR);
        assert_eq!(parsed("1970-01-01 01:00:00"), HOUR);
        for text in
            ["", "yesterday", "1", "-1h", "1969-01-01", "2026-13-01", "9".repeat(99).as_str()]
        {
            let error = Moment::parse(text, now).expect_err(text).to_string();
            assert!(error.contains("write") || error.contains("1970"), "{error}");
        }
    }

    #[test]
    fn every_moment_can_be_shown() {
        assert_eq!(shown(HOUR), "1970-01-01T01:00:00Z");
        assert_eq!(shown(i64::MIN), "1970-01-01T00:00:00Z");
        assert_eq!(shown(253_402_300_799_999_999), "9999-12-31T23:59:59Z");
        for late in [253_402_300_800_000_000, i64::MAX] {
            assert_eq!(shown(late), "after 9999");
        }
        assert_eq!((hour(HOUR + 1), hour(-1)), (HOUR, -HOUR));
    }
}
