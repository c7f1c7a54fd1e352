//! Makes text from modules, requests and files safe for a terminal and a log:
//! control characters cannot move the cursor or forge a line, and bidi marks
//! cannot reorder the output.

use std::fmt::{self, Display, Write};

/// A text on one line. Control characters except tabs, line ends and bidi
/// marks appear as Rust escapes.
pub(crate) struct OneLine<T>(pub(crate) T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { to: f, keeps_lines: false }, "{}", self.0)
    }
}

/// Like [`OneLine`], but line feeds are kept: for text of several lines with
/// parts that are already escaped, and for a body that is shown whole.
#[cfg(feature = "cli")]
pub(crate) struct Lines<T>(pub(crate) T);

#[cfg(feature = "cli")]
impl<T: Display> Display for Lines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { to: f, keeps_lines: true }, "{}", self.0)
    }
}

struct Escaping<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    keeps_lines: bool,
}

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_escaped = |char: char| is_escaped(char) && !(self.keeps_lines && char == '\n');
        text.split_inclusive(is_escaped).try_for_each(|part| match part.chars().next_back() {
            Some(char) if is_escaped(char) => {
                self.to.write_str(part.strip_suffix(char).unwrap_or_default())?;
                write!(self.to, "{}", char.escape_default())
            }
            _ => self.to.write_str(part),
        })
    }
}

/// A line of JSON in which every character that [`OneLine`] escapes is escaped
/// in JSON's way. JSON allows these characters only inside strings.
#[cfg(feature = "server")]
pub(crate) fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if is_escaped(char) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(char);
        }
    }
    escaped
}

/// A text of several lines that may contain colors: like [`Lines`], but the
/// sequences that select a color (SGR) are kept.
#[cfg(feature = "cli")]
pub(crate) fn colored(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, sequence) = rest.split_at(at);
        let parameters = sequence.get(2..).unwrap_or_default();
        let end = parameters.find(|char: char| !char.is_ascii_digit() && char != ';');
        let is_color = end.is_some_and(|end| parameters[end..].starts_with('m'));
        let len = if is_color { 3 + end.unwrap_or_default() } else { 2 };
        let (sequence, after) = sequence.split_at(len);
        let _ = write!(escaped, "{}", Lines(before));
        if is_color {
            escaped.push_str(sequence);
        } else {
            let _ = write!(escaped, "{}", Lines(sequence));
        }
        rest = after;
    }
    let _ = write!(escaped, "{}", Lines(rest));
    escaped
}

fn is_escaped(char: char) -> bool {
    char != '\t' && (char.is_control() || is_layout(char))
}

/// Whether a character ends a line or changes the direction of text.
pub(crate) fn is_layout(char: char) -> bool {
    const MARKS: [char; 3] = ['\u{61c}', '\u{200e}', '\u{200f}'];
    matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') || MARKS.contains(&char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_or_turns_a_line() {
        let forged = "a\nb\r\u{1b}[2K\u{0}c\td\u{85}\u{2028}\u{202e}\u{2069}ü \\ \"e\"";
        let expected = r#"a\nb\r\u{1b}[2K\u{0}c	d\u{85}\u{2028}\u{202e}\u{2069}ü \ "e""#;
        assert_eq!(OneLine(forged).to_string(), expected);
        let marks = "\u{61c}a\u{200e}\u{200f}b";
        assert_eq!(OneLine(marks).to_string(), r"\u{61c}a\u{200e}\u{200f}b");
        assert_eq!(OneLine(OneLine(forged)).to_string(), expected);
    }

    #[cfg(feature = "cli")]
    #[test]
    fn lines_keep_their_ends_and_nothing_else() {
        let text = "a\n\tb\r\u{1b}[31m\u{9b}2J\u{202e}\n";
        let expected = "a\n\tb\\r\\u{1b}[31m\\u{9b}2J\\u{202e}\n";
        assert_eq!(Lines(text).to_string(), expected);
    }

    #[cfg(feature = "cli")]
    #[test]
    fn only_colors_pass_as_colors() {
        for (text, expected) in [
            ("\u{1b}[1;31merror\u{1b}[0m\n", "\u{1b}[1;31merror\u{1b}[0m\n"),
            ("\u{1b}[m\u{1b}[2J", "\u{1b}[m\\u{1b}[2J"),
            ("\u{1b}]0;title\u{7}\u{1b}[31", "\\u{1b}]0;title\\u{7}\\u{1b}[31"),
            ("\u{1b}[\u{1b}[1m", "\\u{1b}[\u{1b}[1m"),
            ("\u{1b}[ü\u{1b}", "\\u{1b}[ü\\u{1b}"),
        ] {
            assert_eq!(colored(text), expected, "{text:?}");
        }
    }

    #[cfg(feature = "cli")]
    #[test]
    fn json_stays_the_same_value() {
        let value = "\u{7f}\u{9b}\u{202e}\u{1b}\n\tü \u{1f600}";
        let text = serde_json::to_string(value).expect("a string is JSON");
        let escaped = json(&text);
        assert!(escaped.chars().all(|char| !is_escaped(char)), "{escaped:?}");
        assert_eq!(serde_json::from_str::<String>(&escaped).expect("it is JSON"), value);
    }
}
