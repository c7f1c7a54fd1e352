//! Reads the jobs of a batch from bytes that arrive in pieces.

use http::uri::PathAndQuery;

use super::job::{Id, Job};
use super::lines::{Line, Lines};
use super::record::Rejected;
use crate::outcome::Outcome;

/// The longest line is that of the longest body, escaped, and this for the rest.
const REST: u64 = 64 << 10;

/// Reads a line as a job.
#[derive(Debug)]
pub(crate) struct Parser {
    /// The path of requests that name none.
    path: PathAndQuery,
    /// The longest body of a request.
    body: u64,
}

/// Reads jobs. It holds at most one line.
#[derive(Debug)]
pub(crate) struct Reader {
    lines: Lines,
    parser: Parser,
}

/// What becomes of a line.
#[derive(Debug)]
pub(crate) enum Entry {
    Job { line: u64, job: Job },
    Rejected(Rejected),
}

impl Parser {
    /// Reads jobs of that function, with bodies of at most that many bytes.
    pub(crate) fn new(function: &str, body: u64) -> Self {
        // The name of a function is a segment of a path.
        let path = PathAndQuery::try_from(format!("/{function}"));
        Self { path: path.unwrap_or_else(|_| PathAndQuery::from_static("/")), body }
    }

    /// Splits bytes into lines for it, which are not longer than needed.
    pub(crate) fn lines(&self) -> Lines {
        let longest = usize::try_from(self.body.saturating_mul(2).saturating_add(REST));
        Lines::new(longest.unwrap_or(usize::MAX))
    }

    /// What becomes of a line.
    pub(crate) fn entry(&self, line: &Line<'_>) -> Entry {
        let number = line.number;
        let rejected = |id, outcome| Entry::Rejected(Rejected { id, line: number, outcome });
        let Some(text) = line.text else {
            return rejected(Id::Line, Outcome::BodyTooLarge { limit: self.body });
        };
        match Job::parse(text, &self.path) {
            Ok(job) => Entry::Job { line: number, job },
            Err((id, reason)) => rejected(id, Outcome::BadRequest(reason)),
        }
    }
}

impl Reader {
    pub(crate) fn new(parser: Parser) -> Self {
        Self { lines: parser.lines(), parser }
    }

    /// Calls `take` with each job whose line ends in `piece`.
    pub(crate) fn push(&mut self, piece: &[u8], mut take: impl FnMut(Entry)) {
        let Self { lines, parser } = self;
        lines.push(piece, |line| take(parser.entry(&line)));
    }

    /// Calls `take` with the last job, if its line has no end.
    pub(crate) fn finish(self, mut take: impl FnMut(Entry)) {
        let Self { lines, parser } = self;
        lines.finish(|line| take(parser.entry(&line)));
    }
}
