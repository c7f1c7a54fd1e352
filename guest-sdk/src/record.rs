//! Records for the host's log.

use std::fmt::{self, Display, Write};

#[cfg(target_arch = "wasm32")]
use crate::{abi, wire};

/// The most that is sent of a message, in bytes.
#[cfg(target_arch = "wasm32")]
const MESSAGE: usize = 8 << 10;
/// The most that is sent of a field's value, in bytes.
const VALUE: usize = 1 << 10;
/// The most fields that are sent.
const FIELDS: usize = hourglass_abi::limit::LOG_FIELDS as usize;

/// The host's number for the level `error`.
#[cfg(target_arch = "wasm32")]
pub(crate) const ERROR: i32 = 1;

/// The target of this crate's own records.
#[cfg(target_arch = "wasm32")]
const TARGET: &str = "hourglass_sdk";

/// The fields of a record: names, and values in the encoding of the
/// [interface](crate::abi#the-log).
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds a text, truncated to the limit.
    pub(crate) fn text(&mut self, name: &str, value: impl Display) {
        self.push(name, || shown("\"", value, VALUE));
    }

    /// Adds a value that has the same text in JSON: a number, `true` or `false`.
    pub(crate) fn literal(&mut self, name: &str, value: impl Display) {
        self.push(name, || value.to_string());
    }

    /// Adds a field, or replaces the field of the same name.
    fn push(&mut self, name: &str, value: impl FnOnce() -> String) {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| known == name) {
            *known = value();
        } else if self.0.len() < FIELDS {
            self.0.push((name.to_owned(), value()));
        }
    }

    /// Returns the names and the encoded values.
    #[cfg(any(target_arch = "wasm32", test))]
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Sends a record, and returns the last level that the host logs, if the host reports it.
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

/// Logs an error of this crate or of the handler.
#[cfg(target_arch = "wasm32")]
#[cold]
pub(crate) fn error(message: impl Display, fields: &Fields) {
    let _ = send(ERROR, TARGET, message, fields);
}

/// Returns `start` followed by the formatted value, truncated to `most` bytes.
fn shown(start: &str, what: impl Display, most: usize) -> String {
    let mut text = Text { text: start.to_owned(), most: start.len().saturating_add(most) };
    // An error means that the text was truncated.
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
        let buffer = self.most.saturating_sub(self.text.len());
        if part.len() <= buffer {
            self.text.push_str(part);
            return Ok(());
        }
        self.text.push_str(part.get(..part.floor_char_boundary(buffer)).unwrap_or_default());
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
