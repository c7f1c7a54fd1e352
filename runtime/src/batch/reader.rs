//! Reads the jobs of a batch from bytes that arrive in pieces.

use http::uri::PathAndQuery;

use super::job::Job;
use super::lines::{Line, Lines};
use super::record::Rejected;
use crate::outcome::Outcome;

/// The longest line is that of the longest body, escaped, and this for the rest.
const REST: u64 = 64 << 10;

/// Reads jobs. It holds at most one line.
#[derive(Debug)]
pub(crate) struct Reader {
    lines: Lines,
    /// The path of requests that name none.
    path: PathAndQuery,
    /// The longest body of a request.
    body: u64,
}

/// What becomes of a line.
#[derive(Debug)]
pub(crate) enum Entry {
    Job { line: u64, job: Job },
    Rejected(Rejected),
}

impl Reader {
    /// Reads jobs of that function, with bodies of at most that many bytes.
    pub(crate) fn new(function: &str, body: u64) -> Self {
        let longest = usize::try_from(body.saturating_mul(2).saturating_add(REST));
        // The name of a function is a segment of a path.
        let path = PathAndQuery::try_from(format!("/{function}"));
        let path = path.unwrap_or_else(|_| PathAndQuery::from_static("/"));
        Self { lines: Lines::new(longest.unwrap_or(usize::MAX)), path, body }
    }

    /// Calls `take` with each job whose line ends in `piece`. Lines that `skip`
    /// names by their numbers are left out.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        skip: impl Fn(u64) -> bool,
        mut take: impl FnMut(Entry),
    ) {
        let Self { lines, path, body } = self;
        lines.push(piece, |line| {
            if !skip(line.number) {
                take(entry(&line, path, *body));
            }
        });
    }

    /// Calls `take` with the last job, if its line has no end.
    pub(crate) fn finish(self, skip: impl Fn(u64) -> bool, mut take: impl FnMut(Entry)) {
        let Self { lines, path, body } = self;
        lines.finish(|line| {
            if !skip(line.number) {
                take(entry(&line, &path, body));
            }
        });
    }
}

fn entry(line: &Line<'_>, path: &PathAndQuery, body: u64) -> Entry {
    let number = line.number;
    let rejected = |id, outcome| Entry::Rejected(Rejected { id, line: number, outcome });
    let Some(text) = line.text else {
        return rejected(Default::default(), Outcome::BodyTooLarge { limit: body });
    };
    match Job::parse(text, path) {
        Ok(job) => Entry::Job { line: number, job },
        Err((id, reason)) => rejected(id, Outcome::BadRequest(reason)),
    }
}
