//! Periods of time, such as `250ms`, `10s` or `1m30s`.

use std::time::Duration;

use super::{Form, Notation, Unit, ValueError};

/// The units of time in milliseconds, the longest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest period, a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A period of time in whole milliseconds, up to a year.
pub(crate) struct Period {
    least: Duration,
}

impl Period {
    /// Zero is allowed.
    pub(crate) const ANY: Self = Self { least: Duration::ZERO };
    /// Zero is not allowed.
    pub(crate) const POSITIVE: Self = Self { least: Duration::from_millis(1) };

    /// A period as it is written. What is below a millisecond is left out.
    pub(crate) fn text(period: Duration) -> String {
        let mut left = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let mut text = String::new();
        for (unit, worth) in UNITS {
            if left >= worth {
                text += &format!("{}{unit}", left / worth);
                left %= worth;
            }
        }
        if text.is_empty() { "0s".to_owned() } else { text }
    }
}

impl Unit for Period {
    type Value = Duration;

    fn form(&self) -> Form {
        Form::new(
            "TIME",
            Notation::String,
            r#"a time in quotes, such as "250ms", "10s" or "1m30s""#,
        )
    }

    fn range(&self) -> String {
        format!("{} to {}", Self::text(self.least), Self::text(LONGEST))
    }

    fn parse(&self, text: &str) -> Result<Duration, ValueError> {
        let millis = milliseconds(text).ok_or_else(|| {
            let instead = "whole numbers of h, m, s and ms, such as `250ms`, `10s` or `1m30s`";
            ValueError::new(text, "not a time", instead)
        })?;
        let period = Duration::from_millis(millis);
        if (self.least..=LONGEST).contains(&period) {
            return Ok(period);
        }
        let instead = format!("a time from {}, such as `10s`, or leave it out", self.range());
        Err(ValueError::new(text, "out of range", instead))
    }

    fn show(&self, value: &Duration) -> String {
        Self::text(*value)
    }
}

/// The sum of parts such as `1m` and `30s`, each unit at most once and after the
/// longer ones.
fn milliseconds(text: &str) -> Option<u64> {
    let (mut total, mut rest, mut units) = (0_u64, text, UNITS.as_slice());
    loop {
        let (number, unit, after) = part(rest)?;
        let at = units.iter().position(|(name, _)| *name == unit)?;
        let (_, worth) = units.get(at)?;
        total = total.checked_add(number.checked_mul(*worth)?)?;
        if after.is_empty() {
            return Some(total);
        }
        (rest, units) = (after, units.get(at + 1..)?);
    }
}

/// Splits off a number, and the letters behind it.
pub(super) fn part(text: &str) -> Option<(u64, &str, &str)> {
    let (number, rest) = split_where(text, |c| !c.is_ascii_digit());
    let (unit, rest) = split_where(rest, |c| !c.is_ascii_alphabetic());
    Some((number.parse().ok()?, unit, rest))
}

fn split_where(text: &str, ends: impl FnMut(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn periods_are_sums_of_whole_numbers_with_units() {
        for (text, expected) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1h1m1s1ms", 3_661_001),
            ("0s", 0),
            ("90s", 90_000),
        ] {
            assert_eq!(Period::ANY.parse(text), Ok(Duration::from_millis(expected)), "{text}");
        }
    }

    #[test]
    fn a_malformed_period_is_refused_with_examples() {
        for text in [
            "",
            "10",
            "s",
            "10 s",
            "-1s",
            "+1s",
            "1.5s",
            "10sec",
            "10S",
            "1s1m",
            "1s2s",
            "1m30",
            "1d",
            "1ü",
            "99999999999999h",
        ] {
            let error = Period::ANY.parse(text).expect_err(text).to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("`1m30s`"), "{error}");
        }
    }

    #[test]
    fn a_period_out_of_range_is_refused_with_the_range() {
        for good in ["1ms", "8760h"] {
            assert!(Period::POSITIVE.parse(good).is_ok(), "{good}");
        }
        for bad in ["0s", "0h0ms", "8761h"] {
            let error = Period::POSITIVE.parse(bad).expect_err(bad).to_string();
            assert!(error.contains("from 1ms to 8760h, such as `10s`"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_period_is_read_as_it_is_shown(millis in 0..=365 * 24 * 3_600_000_u64) {
            let period = Duration::from_millis(millis);
            prop_assert_eq!(Period::ANY.parse(&Period::text(period)), Ok(period));
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(text: String) {
            let _ = Period::ANY.parse(&text);
        }
    }
}
