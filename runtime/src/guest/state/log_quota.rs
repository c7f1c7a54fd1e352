//! Guest log output, limited per invocation and per function per second. The
//! limits count bytes as the log shows them, which may be several times the
//! bytes that the guest wrote. If output is left out, the log shows that, and how
//! many bytes it was.

use crate::log::{self, About, LogRecord, Rate, RateDecision};

/// The most bytes that one invocation may log.
const MAX_LOGGED: usize = 64 << 10;

/// The bytes that a line counts for in addition to its text, because its fields
/// take space too.
const LINE: usize = 64;

/// The log output of one invocation.
#[derive(Default)]
pub(crate) struct LogQuota {
    logged: usize,
    /// The number of bytes left out, once any were.
    left_out: Option<u64>,
}

/// The source of log output, and its limits.
#[derive(Clone, Copy)]
pub(crate) struct LogSource<'a> {
    pub(crate) about: About<'a>,
    pub(crate) rate: &'a Rate,
}

impl LogQuota {
    /// Logs a line, unless the limit is reached.
    pub(crate) fn add(&mut self, source: &LogSource<'_>, line: &LogRecord<'_>) {
        let len = line.len();
        match self.left_out {
            None if let Some(shown) = self.shown(line) => {
                let cost = shown.saturating_add(LINE);
                self.logged = self.logged.saturating_add(cost);
                source.log(len, cost, |about| line.log(about));
            }
            _ => self.leave_out(source, len),
        }
    }

    /// Drops `len` bytes of output, and all later output of the invocation.
    pub(crate) fn leave_out(&mut self, source: &LogSource<'_>, len: usize) {
        if self.left_out.is_none() {
            source.mark(None, "(further output of the invocation is left out)");
        }
        let bytes = self.left_out.unwrap_or_default();
        self.left_out = Some(bytes.saturating_add(len as u64));
    }

    /// The number of bytes that the log would show of a line, if they fit.
    fn shown(&self, line: &LogRecord<'_>) -> Option<usize> {
        let room = MAX_LOGGED.checked_sub(self.logged)?.checked_sub(LINE)?;
        // A line may be as long as the guest's memory. Such a line is not even
        // read.
        if line.len() <= room { line.shown(room) } else { None }
    }

    /// Logs how many bytes were left out. Call it when the guest has ended.
    pub(crate) fn finish(&mut self, source: &LogSource<'_>) {
        if let Some(bytes) = self.left_out.take() {
            let why = "(the invocation exceeded its limit on log output)";
            source.mark(Some(bytes), why);
        }
    }
}

impl LogSource<'_> {
    /// Logs that output is left out.
    fn mark(&self, bytes: Option<u64>, why: &str) {
        self.log(0, LINE, |about| log::left_out(about, bytes, why));
    }

    /// Logs a line of `len` bytes of the guest, which counts for `cost` bytes,
    /// unless the limit of the current second is reached.
    fn log(&self, len: usize, cost: usize, log: impl FnOnce(&About<'_>)) {
        let about = &self.about;
        match self.rate.take(len, cost.saturating_sub(len)) {
            RateDecision::Logged => log(about),
            RateDecision::After(bytes) => {
                let why = "(the function exceeded its limit on log output per second)";
                log::left_out(about, Some(bytes), why);
                log(about);
            }
            RateDecision::Full => {
                let why = "(output of the function in the rest of this second is left out)";
                log::left_out(about, None, why);
            }
            RateDecision::LeftOut => {}
        }
    }
}
