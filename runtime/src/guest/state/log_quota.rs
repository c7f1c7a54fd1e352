//! What a guest has the host log, bounded twice: each invocation, and each
//! function in a second. What counts is what the log gets, which may be several
//! times what the guest gave. Where something is left out the log says so, and
//! how much it was.

use crate::log::{self, About, Line, Rate, Taken};

/// How much one invocation may log, in bytes.
const MOST: usize = 64 << 10;

/// What a line counts for beside its text: its fields take room too.
const LINE: usize = 64;

/// What one invocation has had logged.
#[derive(Default)]
pub(crate) struct Journal {
    logged: usize,
    /// How many bytes were left out, once any were.
    left_out: Option<u64>,
}

/// Who speaks, and how much of it is listened to.
#[derive(Clone, Copy)]
pub(crate) struct Speaker<'a> {
    pub(crate) about: About<'a>,
    pub(crate) rate: &'a Rate,
}

impl Journal {
    /// Logs a line, unless that is too much.
    pub(crate) fn add(&mut self, speaker: &Speaker<'_>, line: &impl Line) {
        let len = line.len();
        match self.left_out {
            None if let Some(shown) = self.shown(line) => {
                let cost = shown.saturating_add(LINE);
                self.logged = self.logged.saturating_add(cost);
                speaker.say(len, cost, |about| line.log(about));
            }
            _ => self.leave_out(speaker, len),
        }
    }

    /// Drops `len` bytes of output, and all that the invocation logs after them.
    pub(crate) fn leave_out(&mut self, speaker: &Speaker<'_>, len: usize) {
        if self.left_out.is_none() {
            speaker.mark(None, "(what the invocation says from here on is left out)");
        }
        let bytes = self.left_out.unwrap_or_default();
        self.left_out = Some(bytes.saturating_add(len as u64));
    }

    /// How much of a line would be shown, where there is room for it.
    fn shown(&self, line: &impl Line) -> Option<usize> {
        let room = MOST.checked_sub(self.logged)?.checked_sub(LINE)?;
        // It may be as long as the guest's memory; then it is not even read.
        if line.len() <= room { line.shown(room) } else { None }
    }

    /// Tells how much was left out. To be called when the guest has ended.
    pub(crate) fn finish(&mut self, speaker: &Speaker<'_>) {
        if let Some(bytes) = self.left_out.take() {
            let why = "(the invocation had more to say than is logged of one)";
            speaker.mark(Some(bytes), why);
        }
    }
}

impl Speaker<'_> {
    /// Logs that something is left out.
    fn mark(&self, bytes: Option<u64>, why: &str) {
        self.say(0, LINE, |about| log::left_out(about, bytes, why));
    }

    /// Logs a line that costs so many bytes, of which the guest said `len`,
    /// unless the second is over-full.
    fn say(&self, len: usize, cost: usize, log: impl FnOnce(&About<'_>)) {
        let about = &self.about;
        match self.rate.take(len, cost.saturating_sub(len)) {
            Taken::Logged => log(about),
            Taken::After(bytes) => {
                let why = "(the function had more to say than is logged of one in a second)";
                log::left_out(about, Some(bytes.into()), why);
                log(about);
            }
            Taken::Full => {
                let why = "(what the function says in the rest of this second is left out)";
                log::left_out(about, None, why);
            }
            Taken::LeftOut => {}
        }
    }
}
