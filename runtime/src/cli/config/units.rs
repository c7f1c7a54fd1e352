//! Values as people write them, on the command line, in the environment and in
//! the file alike: a span of time (`1m30s`), a size (`64MiB`), an address
//! (`127.0.0.1:8080`).

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
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
    #[error("`{0}` is longer than a year: write at most `8760h`")]
    TooLong(String),
    #[error("`{0}` is no time at all: write a span such as `10s`, or leave it out for the default")]
    NoTime(String),
    #[error(
        "`{0}` can't be a function's memory: write from `64KiB`, one page, to `4GiB`, all that a module can address"
    )]
    Memory(String),
    #[error(
        "`{0}` lets nothing through: write a size such as `10MiB`, or leave it out for the default"
    )]
    NoSize(String),
    #[error("`{0}` is no count: write a whole number from 1 on, or leave it out for the default")]
    NoCount(String),
    #[error("`{0}` is no whole number: write one from 0 to 4294967295")]
    NoNumber(String),
    #[error("the path is empty: write that of a file or folder, such as `./name`, or leave it out")]
    NoPath,
}

/// The longest span of time, a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// From one page of a module's memory to as many as it can address.
const MEMORY: RangeInclusive<u64> = 1 << 16..=1 << 32;

/// Reads a span of time that is not zero.
pub(crate) fn timeout(text: &str) -> Result<Period, UnitError> {
    match text.parse()? {
        Period(Duration::ZERO) => Err(UnitError::NoTime(text.to_owned())),
        period => Ok(period),
    }
}

/// Reads the size of a function's memory.
pub(crate) fn memory(text: &str) -> Result<Size, UnitError> {
    let Size(bytes) = text.parse()?;
    let is_good = MEMORY.contains(&bytes);
    is_good.then_some(Size(bytes)).ok_or_else(|| UnitError::Memory(text.to_owned()))
}

/// Reads a size that is not zero.
pub(crate) fn bound(text: &str) -> Result<Size, UnitError> {
    match text.parse()? {
        Size(0) => Err(UnitError::NoSize(text.to_owned())),
        size => Ok(size),
    }
}

/// Reads a number that is not zero.
pub(crate) fn count(text: &str) -> Result<u32, UnitError> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| UnitError::NoCount(text.to_owned()))
}

/// The same in the file, for `deserialize_with`.
pub(crate) mod file {
    use super::{
        A_COUNT, A_NUMBER, A_SIZE, A_TIME, Deserializer, Period, Read, Size, UnitError, Written,
    };

    pub(crate) fn timeout<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Period>, D::Error> {
        let written = Written { expected: A_TIME, text: super::timeout, number: None };
        from.deserialize_any(written).map(Some)
    }

    pub(crate) fn memory<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Size>, D::Error> {
        let text: Read<Size> = super::memory;
        from.deserialize_any(Written { expected: A_SIZE, text, number: Some(text) }).map(Some)
    }

    pub(crate) fn bound<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Size>, D::Error> {
        let text: Read<Size> = super::bound;
        from.deserialize_any(Written { expected: A_SIZE, text, number: Some(text) }).map(Some)
    }

    pub(crate) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
        let text: Read<u32> = |text| Err(UnitError::NoCount(format!("\"{text}\"")));
        let number: Read<u32> = super::count;
        from.deserialize_any(Written { expected: A_COUNT, text, number: Some(number) }).map(Some)
    }

    pub(crate) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
        let text: Read<u32> = |text| Err(UnitError::NoNumber(format!("\"{text}\"")));
        let number: Read<u32> =
            |text| text.parse().map_err(|_| UnitError::NoNumber(text.to_owned()));
        from.deserialize_any(Written { expected: A_NUMBER, text, number: Some(number) }).map(Some)
    }
}

/// A span of time, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period(pub(crate) Duration);

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let millis = milliseconds(text).ok_or_else(|| UnitError::Time(text.to_owned()))?;
        let time = Duration::from_millis(millis);
        if time <= LONGEST { Ok(Self(time)) } else { Err(UnitError::TooLong(text.to_owned())) }
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
#[derive(Debug, Clone, Copy, PartialEq)]
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

/// A path in the file. An empty one is refused: joined to the file's own folder it
/// would stand for that folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilePath(pub(crate) PathBuf);

impl FromStr for FilePath {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text.is_empty() { Err(UnitError::NoPath) } else { Ok(Self(text.into())) }
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

const A_TIME: &str = "a span of time in quotes, such as \"250ms\", \"10s\" or \"1m30s\"";
const A_SIZE: &str = "a size in quotes, such as \"64MiB\", or a number of bytes";
const A_NUMBER: &str = "a whole number from 0 on, without quotes";
const A_PATH: &str = "a path in quotes, such as \"./name\"";
const A_COUNT: &str = "a whole number from 1 on, without quotes";
const AN_ADDRESS: &str = "an address in quotes, such as \"127.0.0.1:8080\"";

/// Reads a share from the file.
struct ShareVisitor;

/// How a value is read from its text.
type Read<T> = fn(&str) -> Result<T, UnitError>;

/// Reads a value from the file: from a string, or from a number where one
/// stands for a value.
struct Written<T> {
    expected: &'static str,
    text: Read<T>,
    number: Option<Read<T>>,
}

impl<T> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match self.number {
            Some(read) if number >= 0 => read(&number.to_string()).map_err(E::custom),
            _ => Err(E::invalid_type(Unexpected::Signed(number), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written { expected: A_TIME, text: str::parse, number: None })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read: Read<Self> = str::parse;
        from.deserialize_any(Written { expected: A_SIZE, text: read, number: Some(read) })
    }
}

impl Visitor<'_> for ShareVisitor {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number above 0 and at most 1, such as 0.5, without quotes")
    }

    fn visit_f64<E: Error>(self, share: f64) -> Result<Share, E> {
        share.try_into().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, share: i64) -> Result<Share, E> {
        self.visit_f64(share as f64)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ShareVisitor)
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written { expected: A_PATH, text: str::parse, number: None })
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written { expected: AN_ADDRESS, text: str::parse, number: None })
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
            "8761h",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
        let error = "10x".parse::<Period>().expect_err("no unit");
        assert!(error.to_string().contains("`10x`") && error.to_string().contains("`1m30s`"));
    }

    #[test]
    fn values_without_effect_are_refused_in_words() {
        fn said<T>(read: Result<T, UnitError>) -> String {
            read.map_or_else(|error| error.to_string(), |_| "it is good".to_owned())
        }
        for good in ["1ms", "8760h"] {
            assert_eq!(said(timeout(good)), "it is good");
        }
        for good in ["64KiB", "4GiB"] {
            assert_eq!(said(memory(good)), "it is good");
        }
        for (said, instead) in [
            (said(timeout("0s")), "`10s`"),
            (said(timeout("0h0ms")), "`10s`"),
            (said(timeout("8761h")), "`8760h`"),
            (said(memory("8GiB")), "`4GiB`"),
            (said(memory("4294967297")), "`4GiB`"),
            (said(memory("0")), "`64KiB`"),
            (said(memory("65535")), "`64KiB`"),
            (said(bound("0")), "`10MiB`"),
            (said(bound("0MiB")), "`10MiB`"),
            (said(count("0")), "from 1 on"),
            (said(count("-1")), "from 1 on"),
            (said(count("4294967296")), "from 1 on"),
        ] {
            assert!(said.contains(instead), "{said}");
        }
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
        fn what_is_shown_is_read_as_the_same(millis in 0..=365 * 24 * 3_600_000_u64, size: u64) {
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
