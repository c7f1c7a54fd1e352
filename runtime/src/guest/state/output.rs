//! A guest's output: standard output and error, and log records.
//!
//! The streams are logged line by line, and the end of standard error is kept
//! for the report of a trap. All output is limited per invocation and per
//! function per second. The limits count bytes as the log shows them, which may
//! be several times the bytes that the guest wrote. If output is left out, the
//! log shows that, and how many bytes it was.

use tracing::Level;

use crate::log::{self, About, LogRecord, Origin, Rate, RateDecision};
use crate::telemetry::recorder::SpanRecorder;

/// The most bytes of standard error that a trap's report carries.
const TAIL: usize = 4 << 10;

/// The longest line, in bytes. A longer one is split.
const LINE: usize = 8 << 10;

/// The most bytes that one invocation may log.
const MAX_LOGGED: usize = 64 << 10;

/// The bytes that a record counts for in addition to its text, because its fields
/// take space too.
const RECORD: usize = 64;

/// A guest's standard output and standard error.
#[derive(Default)]
pub(crate) struct Stdio {
    /// The start of a line that is not complete yet.
    out: Vec<u8>,
    err: Vec<u8>,
    tail: Vec<u8>,
    pub(crate) quota: LogQuota,
}

/// The stream that a guest writes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    Out,
    Err,
}

impl Stdio {
    /// Takes bytes that the guest wrote, and logs at most `lines` lines,
    /// because logging takes time. Returns the number of bytes accepted.
    pub(crate) fn write(
        &mut self,
        sink: Sink,
        bytes: &[u8],
        source: &LogSource<'_>,
        lines: &mut usize,
    ) -> usize {
        let accepted = if log::is_stdio_logged() {
            self.print(sink, bytes, source, lines)
        } else {
            bytes.len()
        };
        if sink == Sink::Err {
            self.keep_tail(bytes.get(..accepted).unwrap_or(bytes));
        }
        accepted
    }

    fn print(
        &mut self,
        sink: Sink,
        bytes: &[u8],
        source: &LogSource<'_>,
        lines: &mut usize,
    ) -> usize {
        let mut accepted = 0;
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let mut rest = part;
            while !rest.is_empty() {
                if *lines == 0 {
                    return accepted;
                }
                let line = self.line(sink);
                let room = LINE.saturating_sub(line.len()).min(rest.len());
                let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
                line.extend_from_slice(now);
                rest = later;
                accepted += now.len();
                if line.ends_with(b"\n") || line.len() >= LINE {
                    self.log(sink, source);
                    *lines -= 1;
                }
            }
        }
        accepted
    }

    /// Logs the last line if it has no newline, and how many bytes were left
    /// out. Call it when the guest has ended.
    pub(crate) fn finish(&mut self, source: &LogSource<'_>) {
        for sink in [Sink::Out, Sink::Err] {
            if !self.line(sink).is_empty() {
                self.log(sink, source);
            }
        }
        self.quota.finish(source);
    }

    /// Keeps an error that the guest has logged for the report of a trap, as if
    /// it were written to standard error.
    pub(crate) fn keep(&mut self, message: &[u8]) {
        self.keep_tail(message);
        self.keep_tail(b"\n");
    }

    /// The end of standard error and of the errors that the guest logged.
    pub(crate) fn tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.tail);
        // Replacing invalid UTF-8 makes the text longer.
        let start = text.ceil_char_boundary(text.len().saturating_sub(TAIL));
        text.get(start..).unwrap_or_default().to_owned()
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or(bytes));
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
    }

    fn line(&mut self, sink: Sink) -> &mut Vec<u8> {
        match sink {
            Sink::Out => &mut self.out,
            Sink::Err => &mut self.err,
        }
    }

    fn log(&mut self, sink: Sink, source: &LogSource<'_>) {
        let mut line = std::mem::take(self.line(sink));
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let origin = Origin::Stream(if sink == Sink::Out { "stdout" } else { "stderr" });
        self.quota.add(source, &LogRecord { level: Level::INFO, message: text, origin });
        // The next line reuses the buffer.
        line.clear();
        *self.line(sink) = line;
    }
}

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
    pub(crate) spans: &'a SpanRecorder,
    /// The invocation's id.
    pub(crate) id: Option<u64>,
}

impl LogQuota {
    /// Logs a line, unless the limit is reached.
    pub(crate) fn add(&mut self, source: &LogSource<'_>, line: &LogRecord<'_>) {
        let len = line.len();
        match self.left_out {
            None if let Some(shown) = self.shown(line) => {
                let cost = shown.saturating_add(RECORD);
                self.logged = self.logged.saturating_add(cost);
                source.log(len, cost, |about| {
                    line.log(about);
                    source.record(line);
                });
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
        let room = MAX_LOGGED.checked_sub(self.logged)?.checked_sub(RECORD)?;
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
    /// Adds a line to the recording of the request.
    fn record(&self, line: &LogRecord<'_>) {
        if let Some(buffer) = self.spans.buffer() {
            buffer.add_line(line.recorded(self.id));
        }
    }

    /// Logs that output is left out.
    fn mark(&self, bytes: Option<u64>, why: &str) {
        self.log(0, RECORD, |about| log::left_out(about, bytes, why));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    #[test]
    fn the_tail_is_the_end() {
        let (ctx, rate) = (Context::background(), Rate::of_output());
        let about = About { function: "f", ctx: &ctx, step: None };
        let spans = SpanRecorder::off();
        let source = LogSource { about, rate: &rate, spans: &spans, id: None };
        let mut stdio = Stdio::default();
        stdio.write(Sink::Err, &[b'a'; TAIL], &source, &mut 9);
        stdio.write(Sink::Err, b"the end", &source, &mut 9);
        stdio.write(Sink::Out, b"not this", &source, &mut 9);
        assert_eq!(stdio.tail().len(), TAIL);
        assert!(stdio.tail().ends_with("athe end"));
        stdio.write(Sink::Err, &[0xff; TAIL], &source, &mut 9);
        assert!((TAIL - 3..=TAIL).contains(&stdio.tail().len()));
    }
}
