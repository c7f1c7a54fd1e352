//! A text in an answer.

use std::fmt;
use std::ops::Deref;

use serde::Deserialize;

use crate::escape::OneLine;
use crate::limits::fixed;

/// The longest text, in bytes before it is escaped.
const LONGEST: usize = 4 << 10;

/// A text from guests and clients, made safe for one line of a terminal:
/// escaped, without tabs, and of bounded length.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Text(Box<str>);

impl From<String> for Text {
    fn from(text: String) -> Self {
        let escaped = OneLine(fixed::cut(&text, LONGEST)).to_string();
        Self(escaped.replace('\t', " ").into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_escaped_and_cut() {
        let text: Text = serde_json::from_str(r#""a\tb\u001b[2J\n""#).expect("a text");
        assert_eq!(&*text, r"a b\u{1b}[2J\n");
        assert!(Text::from("x".repeat(1 << 20)).len() <= LONGEST);
    }
}
