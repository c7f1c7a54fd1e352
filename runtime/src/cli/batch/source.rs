//! The lines that wait: a thread adds them, and workers take them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::journal::Journal;
use crate::batch::Line;
use crate::sync::lock;

/// The pieces of the input that wait.
const AHEAD: usize = 2;

/// Lines between the thread that reads and the workers.
pub(super) struct Source {
    state: Mutex<State>,
    /// Wakes workers when there are lines, or none will follow.
    more: Notify,
    /// Wakes the thread when there is room.
    room: Condvar,
}

struct State {
    pieces: VecDeque<Piece>,
    journal: Journal,
    /// No piece follows.
    is_over: bool,
    /// No line is given out any more.
    is_stopped: bool,
    /// A line of the input was not added, or was taken and not run.
    is_incomplete: bool,
    error: Option<anyhow::Error>,
}

/// Lines of the input, one behind the other.
#[derive(Default)]
pub(super) struct Piece {
    text: Vec<u8>,
    lines: VecDeque<Part>,
    /// The length of the lines that were taken.
    taken: usize,
    read: Option<Instant>,
}

/// A line of a piece.
struct Part {
    number: u64,
    /// `None` if it is too long.
    len: Option<usize>,
}

/// A line that a worker has taken.
#[derive(Default)]
pub(super) struct Taken {
    number: u64,
    text: Vec<u8>,
    is_too_long: bool,
    /// When it was read.
    pub(super) read: Option<Instant>,
}

impl Piece {
    pub(super) fn add(&mut self, line: &Line<'_>) {
        self.text.extend_from_slice(line.text.unwrap_or_default());
        self.lines.push_back(Part { number: line.number, len: line.text.map(<[u8]>::len) });
    }

    fn take(&mut self, to: &mut Taken) -> bool {
        let Some(Part { number, len }) = self.lines.pop_front() else { return false };
        let end = self.taken + len.unwrap_or(0);
        to.text.clear();
        to.text.extend_from_slice(self.text.get(self.taken..end).unwrap_or_default());
        (to.number, to.is_too_long, to.read, self.taken) = (number, len.is_none(), self.read, end);
        true
    }
}

impl Taken {
    pub(super) fn line(&self) -> Line<'_> {
        Line { number: self.number, text: (!self.is_too_long).then_some(&self.text) }
    }
}

impl Source {
    pub(super) fn new(journal: Journal) -> Self {
        let state = State {
            pieces: VecDeque::new(),
            journal,
            is_over: false,
            is_stopped: false,
            is_incomplete: false,
            error: None,
        };
        Self { state: Mutex::new(state), more: Notify::new(), room: Condvar::new() }
    }

    /// Adds a piece, once there is room for it. False means that no more are needed.
    pub(super) fn add(&self, mut piece: Piece) -> bool {
        if piece.lines.is_empty() {
            return !lock(&self.state).is_stopped;
        }
        piece.read = Some(Instant::now());
        let is_full = |state: &mut State| state.pieces.len() >= AHEAD && !state.is_stopped;
        let state = self.room.wait_while(lock(&self.state), is_full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.is_stopped {
            return false;
        }
        state.pieces.push_back(piece);
        drop(state);
        self.more.notify_waiters();
        true
    }

    /// Ends the input, which was read to its end or not. What was added is still given
    /// out.
    pub(super) fn close(&self, is_whole: anyhow::Result<bool>) {
        let mut state = lock(&self.state);
        state.is_over = true;
        match is_whole {
            Ok(is_whole) => state.is_incomplete |= !is_whole,
            Err(error) => state.error = Some(error),
        }
        drop(state);
        self.more.notify_waiters();
    }

    /// Gives out no more lines.
    pub(super) fn stop(&self) {
        lock(&self.state).is_stopped = true;
        self.room.notify_all();
        self.more.notify_waiters();
    }

    /// Stops after a line was taken that is not run.
    pub(super) fn leave_out(&self) {
        lock(&self.state).is_incomplete = true;
        self.stop();
    }

    /// Waits for the next line, and takes it. False means that no more follow.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn next(&self, to: &mut Taken) -> bool {
        loop {
            if let Some(is_taken) = self.try_next(to) {
                return is_taken;
            }
            let more = self.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if let Some(is_taken) = self.try_next(to) {
                return is_taken;
            }
            more.await;
        }
    }

    /// Takes the next line if there is one. `None` means that one may follow.
    fn try_next(&self, to: &mut Taken) -> Option<bool> {
        let mut state = lock(&self.state);
        if state.is_stopped {
            return Some(false);
        }
        let Some(piece) = state.pieces.front_mut() else {
            return state.is_over.then_some(false);
        };
        if piece.take(to) && piece.lines.is_empty() {
            state.pieces.pop_front();
            self.room.notify_one();
        }
        // Recorded before it starts: a killed batch knows what may have run.
        if let Err(error) = state.journal.start(to.number) {
            state.error = Some(error.into());
            drop(state);
            self.stop();
            return Some(false);
        }
        Some(true)
    }

    /// Whether every line of the input was run. Called once no line is taken any more.
    ///
    /// # Errors
    /// Why lines could not be read.
    pub(super) fn finish(&self) -> anyhow::Result<bool> {
        let mut state = lock(&self.state);
        let is_whole = state.is_over && !state.is_incomplete && state.pieces.is_empty();
        state.error.take().map_or(Ok(is_whole), Err)
    }

    /// Removes the journal, because nothing is left to resume.
    pub(super) fn remove_journal(&self) {
        lock(&self.state).journal.remove();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::super::resume::Resume;
    use super::*;

    fn source() -> Source {
        let journal = Journal::open("-".as_ref(), "f", &Resume::default());
        Source::new(journal.expect("standard output needs no journal"))
    }

    /// A piece with those lines. The third line of an input is too long.
    fn piece(numbers: impl Iterator<Item = u64>) -> Piece {
        let mut piece = Piece::default();
        for number in numbers {
            let text = number.to_string();
            piece.add(&Line { number, text: (number != 3).then_some(text.as_bytes()) });
        }
        piece
    }

    #[tokio::test]
    async fn lines_are_taken_in_order_and_read_ahead_by_a_bounded_amount() {
        let (source, mut line) = (Arc::new(source()), Taken::default());
        assert!(source.add(piece(1..3)) && source.add(piece(3..5)));
        let adding = thread::spawn({
            let source = source.clone();
            move || {
                assert!(source.add(piece(5..6)));
                source.close(Ok(true));
            }
        });
        for number in 1..=5 {
            // Without room the thread waits, however long it had time to add.
            assert!(lock(&source.state).pieces.len() <= AHEAD);
            assert!(source.next(&mut line).await);
            let text = number.to_string();
            let expected = (number != 3).then_some(text.as_bytes());
            assert_eq!(line.line(), Line { number, text: expected });
        }
        assert!(!source.next(&mut line).await);
        assert!(source.finish().expect("it was read"));
        adding.join().expect("it does not panic");
    }

    #[tokio::test]
    async fn a_source_that_is_stopped_gives_out_nothing_and_takes_nothing() {
        let (source, mut line) = (Arc::new(source()), Taken::default());
        assert!(source.add(piece(1..3)) && source.next(&mut line).await);
        assert!(source.add(piece(3..5)));
        let adding = thread::spawn({
            let source = source.clone();
            move || source.add(piece(5..6))
        });
        source.stop();
        assert!(!adding.join().expect("it does not panic"));
        assert!(!source.next(&mut line).await);
        source.close(Ok(false));
        assert!(!source.finish().expect("it was read"));
    }

    #[tokio::test]
    async fn lines_before_an_error_are_given_out() {
        let (source, mut line) = (source(), Taken::default());
        assert!(source.add(piece(1..2)));
        source.close(Err(anyhow::anyhow!("the disk is gone")));
        assert!(source.next(&mut line).await && !source.next(&mut line).await);
        source.finish().expect_err("it was not read");
    }
}
