//! Values as people write them, on the command line, in the environment and in
//! the file alike: a span of time (`1m30s`), a size (`64MiB`), an address
//! (`127.0.0.1:8080`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// The units of time, the longest first.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The units of size, the largest first.
const SIZES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Why a value can't be read; it says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnitError {
    #[error(
        "`{0}` is no span of time: write whole numbers of h, m, s and ms, such as `250ms`, `10s` or `1m30s`"
    )]
    Time(String),
    #[error(
        "`{0}` is no size: write a whole number of KiB, MiB or GiB, such as `64MiB`, or of bytes alone"
    )]
    Size(String),
    #[error("`{0}` is no share: write a number above 0 and at most 1, such as 0.5")]
    Share(String),
    #[error(
        "`{0}` is no address: write a host and a port, such as `127.0.0.1:8080`; port 0 stands for any free one"
    )]
    Address(String),
}

/// A span of time, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period(pub(crate) Duration);

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let millis = milliseconds(text).ok_or_else(|| UnitError::Time(text.to_owned()))?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

/// The sum of parts such as `1m` and `30s`, each unit at most once and after
/// the longer ones.
fn milliseconds(text: &str) -> Option<u64> {
    let (mut total, mut rest, mut units) = (0_u64, text, TIMES.as_slice());
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
fn part(text: &str) -> Option<(u64, &str, &str)> {
    let (number, rest) = split_where(text, |c| !c.is_ascii_digit());
    let (unit, rest) = split_where(rest, |c| !c.is_ascii_alphabetic());
    Some((number.parse().ok()?, unit, rest))
}

fn split_where(text: &str, ends: impl FnMut(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, worth) in TIMES {
            if left >= worth {
                write!(f, "{}{unit}", left / worth)?;
                left %= worth;
            }
        }
        Ok(())
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bytes = match part(text) {
            Some((number, "", "")) => Some(number),
            Some((number, unit, "")) => SIZES
                .iter()
                .find(|(name, _)| *name == unit)
                .and_then(|(_, worth)| number.checked_mul(*worth)),
            _ => None,
        };
        bytes.map(Self).ok_or_else(|| UnitError::Size(text.to_owned()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, worth): &&(&str, u64)| self.0 >= *worth && self.0.is_multiple_of(*worth);
        match SIZES.iter().find(fits) {
            Some((unit, worth)) => write!(f, "{}{unit}", self.0 / worth),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A part of a whole: above 0, at most 1.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Share(pub(crate) f64);

impl TryFrom<f64> for Share {
    type Error = UnitError;

    fn try_from(share: f64) -> Result<Self, UnitError> {
        let good = share > 0.0 && share <= 1.0;
        good.then_some(Self(share)).ok_or_else(|| UnitError::Share(share.to_string()))
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let share: f64 = text.parse().map_err(|_| UnitError::Share(text.to_owned()))?;
        share.try_into()
    }
}

/// A host and a port to listen on. The host is looked up when it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) String);

impl FromStr for Address {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let good = text.rsplit_once(':').is_some_and(|(host, port)| {
            let is_port =
                port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
            // An IPv6 address stands in brackets, or its end is taken for a port.
            is_port && !host.is_empty() && (host.starts_with('[') == host.contains(':'))
        });
        if good { Ok(Self(text.to_owned())) } else { Err(UnitError::Address(text.to_owned())) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a value from the file: from a string, or from a number where one
/// stands for a value.
struct Written<T> {
    expected: &'static str,
    number: fn(u64) -> Option<T>,
}

impl<T: FromStr<Err = UnitError>> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let value = u64::try_from(number).ok().and_then(self.number);
        value.ok_or_else(|| E::invalid_type(Unexpected::Signed(number), &self))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expected = "a span of time in quotes, such as \"250ms\", \"10s\" or \"1m30s\"";
        from.deserialize_any(Written { expected, number: |_| None })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expected = "a size in quotes, such as \"64MiB\", or a number of bytes";
        from.deserialize_any(Written { expected, number: |bytes| Some(Self(bytes)) })
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expected = "an address in quotes, such as \"127.0.0.1:8080\"";
        from.deserialize_any(Written { expected, number: |_| None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Option<u128> {
        text.parse::<Period>().ok().map(|period| period.0.as_millis())
    }

    fn bytes(text: &str) -> Option<u64> {
        text.parse::<Size>().ok().map(|size| size.0)
    }

    #[test]
    fn shares_are_above_nothing_and_at_most_the_whole() {
        for (text, expected) in [("0.5", Some(0.5)), ("1", Some(1.0)), (".25", Some(0.25))] {
            assert_eq!(text.parse::<Share>().ok().map(|share| share.0), expected, "{text}");
        }
        for bad in ["0", "-1", "1.01", "50%", "NaN", "inf", ""] {
            let error = bad.parse::<Share>().expect_err(bad);
            assert!(error.to_string().contains("such as 0.5"), "{error}");
        }
    }

    #[test]
    fn spans_of_time_are_read() {
        for (text, expected) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1h1m1s1ms", 3_661_001),
            ("0s", 0),
            ("90s", 90_000),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_of_time_is_refused_in_words() {
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
            assert_eq!(millis(text), None, "{text}");
        }
        let error = "10x".parse::<Period>().expect_err("no unit");
        assert!(error.to_string().contains("`10x`") && error.to_string().contains("`1m30s`"));
    }

    #[test]
    fn sizes_are_read() {
        for (text, expected) in
            [("64MiB", 64 << 20), ("10KiB", 10 << 10), ("1GiB", 1 << 30), ("4096", 4096), ("0", 0)]
        {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_in_words() {
        for text in
            ["", "MiB", "64MB", "64 MiB", "64mib", "1MiB1KiB", "-1", "1.5GiB", "99999999999GiB"]
        {
            assert_eq!(bytes(text), None, "{text}");
        }
        let error = "64MB".parse::<Size>().expect_err("no unit");
        assert!(error.to_string().contains("`64MB`") && error.to_string().contains("MiB"));
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for text in ["127.0.0.1:8080", "[::1]:0", "localhost:80", "0.0.0.0:65535"] {
            assert!(text.parse::<Address>().is_ok(), "{text}");
        }
        for text in
            ["", "8080", ":8080", "localhost", "localhost:http", "127.0.0.1:65536", "::1", "::1:80"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(millis in 0..u64::MAX / 2, size: u64) {
            let period = Period(Duration::from_millis(millis));
            prop_assert_eq!(period.to_string().parse(), Ok(period));
            prop_assert_eq!(Size(size).to_string().parse(), Ok(Size(size)));
        }

        #[test]
        fn no_text_is_too_strange(text: String) {
            let _ = (text.parse::<Period>(), text.parse::<Size>(), text.parse::<Address>());
        }
    }
}
