//! How the values of settings are written.

mod number;
mod period;
mod size;
mod text;

use std::ffi::OsStr;

pub(crate) use self::number::{Count, Share};
pub(crate) use self::period::Period;
pub(crate) use self::size::Size;
pub(crate) use self::text::{Address, Choice, FilePath, Switch, UrlPath, WebUrl};

/// A unit and a range: it parses values, checks them, and shows them.
pub(crate) trait Unit {
    type Value;

    /// How a value is written.
    fn form(&self) -> Form;

    /// The values allowed, such as `64KiB to 4GiB`. Empty if all are.
    fn range(&self) -> String {
        String::new()
    }

    /// Reads a value.
    ///
    /// # Errors
    /// The text is malformed, or the value is out of range.
    fn parse(&self, text: &str) -> Result<Self::Value, ValueError>;

    /// Reads a value of the command line or the environment.
    ///
    /// # Errors
    /// As those of [`parse`](Self::parse).
    fn parse_os(&self, text: &OsStr) -> Result<Self::Value, ValueError> {
        match text.to_str() {
            Some(text) => self.parse(text),
            None => {
                Err(ValueError::new(&text.to_string_lossy(), "not UTF-8", self.form().expected))
            }
        }
    }

    /// The value as it is written.
    fn show(&self, value: &Self::Value) -> String;
}

/// How a value is written.
pub(crate) struct Form {
    /// What stands for a value in the help, such as `SIZE`.
    pub(crate) placeholder: String,
    pub(crate) notation: Notation,
    /// What to write in the file, such as `a time in quotes, such as "10s"`.
    pub(crate) expected: String,
}

impl Form {
    pub(super) fn new(
        placeholder: impl Into<String>,
        notation: Notation,
        expected: impl Into<String>,
    ) -> Self {
        Self { placeholder: placeholder.into(), notation, expected: expected.into() }
    }
}

/// How a value is written in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notation {
    String,
    Number,
    StringOrNumber,
    Boolean,
}

/// A value that can't be used, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is {problem}: write {instead}")]
pub(crate) struct ValueError {
    pub(super) text: String,
    pub(super) problem: &'static str,
    pub(super) instead: String,
}

impl ValueError {
    pub(super) fn new(text: &str, problem: &'static str, instead: impl Into<String>) -> Self {
        Self { text: text.to_owned(), problem, instead: instead.into() }
    }
}
