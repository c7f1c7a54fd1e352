//! Fixed limits on what a guest can make the host read and keep, except bodies.
//!
//! Bodies have budgets ([`bytes`](super::bytes)). If a guest chooses the size
//! of anything else, a fixed limit here bounds it, checked before the host
//! reads, copies or parses it. `docs/limits.md` lists what holds what.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use hourglass_abi::limit;
use hourglass_abi::wire::pairs_len;
use http::HeaderMap;

/// The longest name of a function, in bytes.
pub(crate) const NAME: usize = limit::FUNCTION_NAME;

/// The longest head, in bytes as the ABI encodes it: the method, the URL, the
/// names and values of headers, and the length in front of each. It applies to
/// requests and responses, in both directions.
pub(crate) const HEAD: usize = limit::HEAD;

/// The longest text of a guest that an error quotes, in bytes.
pub(crate) const TEXT: usize = limit::QUOTE;

/// The longest error text that is kept, in bytes: a sentence of the host around
/// a few texts of a guest.
pub(crate) const MESSAGE: usize = 1 << 10;

/// The bytes of host memory that a header takes in addition to its name and its
/// value: an entry of a [`HeaderMap`], which grows by doubling.
const ENTRY: usize = 128;

/// Marks the end of a truncated text.
const ELLIPSIS: &str = "…";

/// Headers as bytes.
pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
}

/// The length of headers as the ABI encodes them.
pub(crate) fn headers_len(headers: &HeaderMap) -> usize {
    pairs_len(pairs(headers))
}

/// The bytes of host memory that headers count for.
pub(crate) fn held(headers: &HeaderMap) -> u64 {
    headers_len(headers) as u64 + entries(headers)
}

/// The part of [`held`] that is not names and values.
pub(crate) fn entries(headers: &HeaderMap) -> u64 {
    (headers.len() * ENTRY) as u64
}

/// Truncates a text to at most `most` bytes. A truncated text ends with an
/// ellipsis.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(most.saturating_sub(ELLIPSIS.len()));
    Cow::Owned([text.get(..end).unwrap_or_default(), ELLIPSIS].concat())
}

/// Truncates a text in place.
pub(crate) fn shorten(text: &mut String, most: usize) {
    if let Cow::Owned(short) = cut(text, most) {
        *text = short;
    }
}

/// Converts a guest's bytes to a text of at most [`TEXT`] bytes. No more of
/// them is read.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    let start = bytes.get(..TEXT + 1).unwrap_or(bytes);
    cut(&String::from_utf8_lossy(start), TEXT).into_owned()
}

/// Formats `value` in at most `most` bytes. No more of it is formatted.
pub(crate) fn display(value: &(impl Display + ?Sized), most: usize) -> String {
    let mut bounded = Bounded { text: String::new(), most };
    // An error means that the text is too long, which the text shows.
    let _ = write!(bounded, "{value}");
    cut(&bounded.text, most).into_owned()
}

/// A text that accepts one byte more than the limit, which marks it as too
/// long.
struct Bounded {
    text: String,
    most: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let left = (self.most + 1).saturating_sub(self.text.len());
        if part.len() < left {
            self.text.push_str(part);
            return Ok(());
        }
        let end = part.ceil_char_boundary(left);
        self.text.push_str(part.get(..end).unwrap_or(part));
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_cut_shows_it() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "lo…");
        assert_eq!(cut("aäää", 6), "aä…");
        assert_eq!(cut("anything", 0), "…");
        assert_eq!(lossy(&[0xff; 100]).chars().count(), 85);
        assert_eq!(lossy(b"plain"), "plain");
        assert_eq!(display(&"x".repeat(9), 9), "x".repeat(9));
        assert_eq!(display(&format_args!("{}{}", "xxxx", "yyyyyy"), 9), "xxxxyy…");
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_its_bound(text in ".{0,40}", most in 3_usize..60) {
            let short = cut(&text, most);
            prop_assert!(short.len() <= most);
            prop_assert_eq!(&*short == text.as_str(), text.len() <= most);
            prop_assert_eq!(display(&text, most), short);
        }
    }
}
