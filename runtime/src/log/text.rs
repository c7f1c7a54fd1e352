//! Guest text, escaped so that it can be told apart from the host's. For the
//! escaping see [`escape`](crate::escape).

use std::fmt::{self, Display, Write};

/// The length of a text in a log, whatever the log's format; `None` if it
/// exceeds `most`. The text must have no control characters except tabs.
pub(super) fn shown(what: impl Display, most: usize) -> Option<usize> {
    let mut count = Count { left: most };
    write!(count, "{what}").ok()?;
    Some(most.saturating_sub(count.left))
}

/// Counts the bytes written to it, up to a limit.
struct Count {
    left: usize,
}

impl Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // JSON escapes these with a `\`.
        let more = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\t')).count();
        let left = self.left.checked_sub(text.len().saturating_add(more));
        self.left = left.ok_or(fmt::Error)?;
        Ok(())
    }
}

/// A text in quotes, unless it is a plain word.
pub(super) struct Word<'a>(pub(super) &'a [u8]);

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
    use super::shown;
    use crate::escape::OneLine;

    #[test]
    fn what_is_shown_is_what_any_format_needs() {
        for (text, len) in [("", 0), ("plain ü", 8), ("\u{1b}x", 8), ("\"\\\t", 6), ("\n", 3)] {
            assert_eq!(shown(OneLine(text), len), Some(len), "{text:?}");
            assert_eq!(len.checked_sub(1).and_then(|most| shown(OneLine(text), most)), None);
        }
    }
}
