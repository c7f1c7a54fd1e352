//! The limits of a request's head, on the command line, in the environment and
//! in the file alike.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::units::Size;
use crate::http::header_limits::{BYTES, COUNT};

/// Why a limit can't be set; it says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error(
        "`{text}` is no limit for a request's head: write a size from {} to {}",
        Size(*BYTES.start() as u64), Size(*BYTES.end() as u64)
    )]
    Bytes { text: String },
    #[error(
        "`{text}` is no limit for header fields: write a number from {} to {}",
        COUNT.start(), COUNT.end()
    )]
    Count { text: String },
}

/// How many bytes the head of a request may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderBytes(pub(crate) usize);

impl FromStr for HeaderBytes {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let bytes = text.parse::<Size>().ok().and_then(|size| usize::try_from(size.0).ok());
        let bytes = bytes.filter(|bytes| BYTES.contains(bytes));
        bytes.map(Self).ok_or_else(|| HeadError::Bytes { text: text.to_owned() })
    }
}

/// How many header fields a request may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderCount(pub(crate) usize);

impl FromStr for HeaderCount {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let count = text.parse().ok().filter(|count| COUNT.contains(count));
        count.map(Self).ok_or_else(|| HeadError::Count { text: text.to_owned() })
    }
}

impl<'de> Deserialize<'de> for HeaderBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // As text, so that what is out of range is refused in the same words.
        let size = Size::deserialize(from)?;
        size.to_string().parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for HeaderCount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Count)
    }
}

struct Count;

impl Visitor<'_> for Count {
    type Value = HeaderCount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number from {} to {}, without quotes", COUNT.start(), COUNT.end())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<HeaderCount, E> {
        number.to_string().parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_set_is_read_and_the_rest_says_what_to_write() {
        assert_eq!("64KiB".parse(), Ok(HeaderBytes(64 << 10)));
        assert_eq!("4096".parse(), Ok(HeaderBytes(4 << 10)));
        assert_eq!("256".parse(), Ok(HeaderCount(256)));
        for text in ["", "0", "4095", "65KiB", "64kb", "-1", "1GiB"] {
            let said = text.parse::<HeaderBytes>().expect_err(text).to_string();
            assert!(said.contains("from 4KiB to 64KiB"), "{said}");
            let said = text.parse::<HeaderCount>().expect_err(text).to_string();
            assert!(said.contains("from 16 to 256"), "{said}");
        }
    }
}
