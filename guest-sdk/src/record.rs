//! Records for the host's log.

use std::fmt::{self, Display, Write};

#[cfg(target_arch = "wasm32")]
use crate::{abi, wire};

/// How much of a message is sent, in bytes.
#[cfg(any(target_arch = "wasm32", feature = "tracing"))]
const MESSAGE: usize = 8 << 10;
/// How much of a field's value is.
const VALUE: usize = 1 << 10;
/// How many fields are.
const FIELDS: usize = hourglass_abi::limit::LOG_FIELDS as usize;

/// The level of an error, as the host counts them.
#[cfg(target_arch = "wasm32")]
pub(crate) const ERROR: i32 = 1;

/// The target of what this crate logs itself.
#[cfg(target_arch = "wasm32")]
const TARGET: &str = "hourglass_sdk";

/// The fields of a record: names, and values in the encoding of the [contract](crate::abi#the-log).
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds a text, or as much of it as is sent.
    pub(crate) fn text(&mut self, name: &str, value: impl Display) {
        self.push(name, || shown("\"", value, VALUE));
    }

    /// Adds what reads the same in JSON: a number, or `true` or `false`.
    pub(crate) fn literal(&mut self, name: &str, value: impl Display) {
        self.push(name, || value.to_string());
    }

    /// A field of the same name is replaced.
    fn push(&mut self, name: &str, value: impl FnOnce() -> String) {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| known == name) {
            *known = value();
        } else if self.0.len() < FIELDS {
            self.0.push((name.to_owned(), value()));
        }
    }

    /// Names and encoded values.
    #[cfg(any(target_arch = "wasm32", test))]
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Sends a record, and gives the last level that the host logs, where it says so.
#[cfg(target_arch = "wasm32")]
pub(crate) fn send(
    level: i32,
    target: &str,
    message: impl Display,
    fields: &Fields,
) -> Option<usize> {
    let record = wire::record(&shown("", message, MESSAGE), target, fields.pairs());
    abi::log::log(level | abi::TYPED as i32, &record).ok()
}

/// A message, or as much of it as is sent.
#[cfg(feature = "tracing")]
pub(crate) fn message(message: impl Display) -> String {
    shown("", message, MESSAGE)
}

/// Logs an error of this crate's, or of the handler's.
#[cfg(target_arch = "wasm32")]
#[cold]
pub(crate) fn error(message: impl Display, fields: &Fields) {
    let _ = send(ERROR, TARGET, message, fields);
}

/// `start`, and what something displays as, or as much of it as is wanted.
fn shown(start: &str, what: impl Display, most: usize) -> String {
    let mut text = Text { text: start.to_owned(), most: start.len().saturating_add(most) };
    // An error is that it is longer.
    if write!(text, "{what}").is_err() {
        text.text.push('\u{2026}');
    }
    text.text
}

struct Text {
    text: String,
    most: usize,
}

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = self.most.saturating_sub(self.text.len());
        if part.len() <= room {
            self.text.push_str(part);
            return Ok(());
        }
        self.text.push_str(part.get(..part.floor_char_boundary(room)).unwrap_or_default());
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_types_and_bounds() {
        let mut fields = Fields::default();
        fields.text("user", "ada");
        fields.literal("n", -1.5);
        fields.text("user", "x".repeat(2_000));
        for number in 0..100 {
            fields.literal(&format!("n{number}"), number);
        }
        assert_eq!(fields.pairs().len(), FIELDS);
        assert_eq!(fields.pairs()[0].1, format!("\"{}\u{2026}", "x".repeat(VALUE)));
        assert_eq!(fields.pairs()[1], ("n".to_owned(), "-1.5".to_owned()));
    }
}
