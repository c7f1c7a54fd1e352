//! Records for the host's log.

use std::fmt::{self, Display, Write};

/// The most that is sent of a field's value, in bytes.
const VALUE: usize = 1 << 10;
/// The most fields that are sent.
const FIELDS: usize = hourglass_abi::limit::LOG_FIELDS as usize;

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

/// Returns `start` followed by the formatted value, truncated to `most` bytes.
pub(crate) fn shown(start: &str, what: impl Display, most: usize) -> String {
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
