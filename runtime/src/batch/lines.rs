//! A stream of bytes as lines of bounded length.

/// Splits bytes that arrive in pieces into lines. It holds at most one line, and
/// skips the rest of a line that is too long.
#[derive(Debug)]
pub(crate) struct Lines {
    longest: usize,
    /// The beginning of a line, from the pieces before.
    begun: Vec<u8>,
    is_too_long: bool,
    number: u64,
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Its number in the input, from 1.
    pub(crate) number: u64,
    /// `None` if it is too long.
    pub(crate) text: Option<&'a [u8]>,
}

impl Lines {
    /// Lines of at most that many bytes.
    pub(crate) fn new(longest: usize) -> Self {
        Self { longest, begun: Vec::new(), is_too_long: false, number: 0 }
    }

    /// Calls `take` with each line that ends in `piece`. Empty lines are counted and
    /// left out.
    pub(crate) fn push(&mut self, mut piece: &[u8], mut take: impl FnMut(Line<'_>)) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (text, rest) = piece.split_at(end);
            piece = rest.get(1..).unwrap_or_default();
            if self.begun.is_empty() && !self.is_too_long && text.len() <= self.longest {
                self.number += 1;
                give(self.number, text, &mut take);
            } else {
                self.begin(text);
                self.end(&mut take);
            }
        }
        self.begin(piece);
    }

    /// Calls `take` with the last line, if the input does not end with an end of
    /// line.
    pub(crate) fn finish(mut self, mut take: impl FnMut(Line<'_>)) {
        if !self.begun.is_empty() || self.is_too_long {
            self.end(&mut take);
        }
    }

    fn begin(&mut self, text: &[u8]) {
        self.is_too_long |= self.begun.len() + text.len() > self.longest;
        if self.is_too_long {
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(text);
        }
    }

    fn end(&mut self, take: &mut impl FnMut(Line<'_>)) {
        self.number += 1;
        if std::mem::take(&mut self.is_too_long) {
            return take(Line { number: self.number, text: None });
        }
        give(self.number, &self.begun, take);
        self.begun.clear();
    }
}

fn give(number: u64, text: &[u8], take: &mut impl FnMut(Line<'_>)) {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if !text.is_empty() {
        take(Line { number, text: Some(text) });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All lines of an input that arrives in pieces of that length.
    fn lines(input: &[u8], piece: usize, longest: usize) -> Vec<(u64, Option<Vec<u8>>)> {
        let (mut lines, mut all) = (Lines::new(longest), Vec::new());
        let mut take = |line: Line<'_>| all.push((line.number, line.text.map(<[u8]>::to_vec)));
        for piece in input.chunks(piece) {
            lines.push(piece, &mut take);
            assert!(lines.begun.len() <= longest);
        }
        lines.finish(take);
        all
    }

    #[test]
    fn empty_lines_count_and_long_ones_are_skipped() {
        let input = b"one\r\n\n123456\nlast";
        let text = |text: &str| Some(text.as_bytes().to_vec());
        for piece in 1..=input.len() {
            let all = lines(input, piece, 4);
            assert_eq!(all, [(1, text("one")), (3, None), (4, text("last"))], "{piece}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            input in prop::collection::vec(prop::sample::select(&b"ab\r\n\n"[..]), 0..60),
            piece in 1_usize..9,
        ) {
            let whole = lines(&input, input.len().max(1), 5);
            prop_assert_eq!(lines(&input, piece, 5), whole);
        }
    }
}
