//! What guests say, as text that can be told from the host's own.

use std::fmt::{self, Display, Write};

/// A text that a guest has had a say in, as one line that does to a terminal
/// what plain text does: no end of a line, no other control character, nothing
/// that turns the direction of what follows. Those are shown as Rust would
/// write them.
pub(crate) struct OneLine<T>(pub(crate) T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| match char {
            '\t' => self.0.write_char(char),
            char if char.is_control() || is_layout(char) => {
                write!(self.0, "{}", char.escape_default())
            }
            char => self.0.write_char(char),
        })
    }
}

/// Whether a character ends lines or turns their direction.
fn is_layout(char: char) -> bool {
    matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A guest's own fields, as `name=value name="another value"`: one field of the
/// line, since only those have names that are not known beforehand.
pub(super) struct Fields<'a>(pub(super) &'a [(&'a [u8], &'a [u8])]);

impl Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.0.iter().enumerate() {
            let (space, name) = (if place > 0 { " " } else { "" }, Word(name));
            write!(f, "{space}{name}={}", Word(value))?;
        }
        Ok(())
    }
}

/// A text between quotes, unless it is a plain word.
struct Word<'a>(&'a [u8]);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.0);
        let plain = |char: char| char.is_alphanumeric() || "-_.:/+".contains(char);
        if !text.is_empty() && text.chars().all(plain) {
            f.write_str(&text)
        } else {
            write!(f, "{text:?}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, OneLine};

    #[test]
    fn fields_are_told_apart() {
        let fields: [(&[u8], &[u8]); 4] =
            [(b"user", b"ada"), (b"at", b"a b=\"c\""), (b"x y", b""), (b"n", b"-1.5\n")];
        let expected = r#"user=ada at="a b=\"c\"" "x y"="" n="-1.5\n""#;
        assert_eq!(Fields(&fields).to_string(), expected);
    }

    #[test]
    fn nothing_ends_or_turns_a_line() {
        let forged = "a\nb\r\u{1b}[2K\u{0}c\td\u{85}\u{2028}\u{202e}\u{2069}ü \\ \"e\"";
        let expected = r#"a\nb\r\u{1b}[2K\u{0}c	d\u{85}\u{2028}\u{202e}\u{2069}ü \ "e""#;
        assert_eq!(OneLine(forged).to_string(), expected);
    }
}
