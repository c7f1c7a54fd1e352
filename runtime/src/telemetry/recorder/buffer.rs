//! The spans and log lines of one request, from everything that it started.
//!
//! The invocations of a request share one buffer. It is created when the first
//! of them calls, fetches or logs.
//!
//! # Bounds
//! [`SPANS`] spans, [`LINES`] log lines, and [`TEXT`] bytes of text. What
//! exceeds them is counted.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::span::{LogLine, Span};
use crate::sync::lock;
use crate::telemetry::exports::Exports;

/// The most spans and log lines of a request, and the most bytes of their
/// texts.
const SPANS: usize = 128;
const LINES: usize = 256;
const TEXT: usize = 64 << 10;

/// Collects what one request starts.
#[derive(Debug, Default)]
pub(crate) struct SpanBuffer {
    buffered: Mutex<Buffered>,
    /// The way of spans that come after the request was exported.
    exported: OnceLock<Arc<Exports>>,
}

/// What was collected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffered {
    /// In the order in which they ended.
    pub(crate) spans: Vec<Span>,
    pub(crate) lines: Vec<LogLine>,
    /// The number of spans and lines that exceeded the bounds.
    pub(crate) left_out: u64,
    /// Whether a span has failed.
    has_failed: bool,
    text: usize,
}

/// An invocation's access to the buffer of its request.
#[derive(Debug)]
pub(crate) struct SpanRecorder {
    kept: Kept,
    buffer: OnceLock<Arc<SpanBuffer>>,
}

/// Where the spans of what an invocation starts are recorded.
#[derive(Clone, Debug)]
pub(crate) struct SpanParent {
    pub(crate) buffer: Arc<SpanBuffer>,
    /// The invocation's id.
    pub(crate) id: Option<u64>,
}

/// What is kept of a request, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// By the recorder.
    pub(crate) recorded: Recorded,
    /// By the exporter.
    pub(crate) exported: Recorded,
}

/// Which requests are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Nothing,
    /// If it failed.
    Failures,
    /// If it failed, or took at least this long.
    Slow(Duration),
    All,
}

impl Recorded {
    /// Whether a request is kept.
    pub(crate) fn keeps(self, is_failed: bool, duration: Duration) -> bool {
        match self {
            Self::Nothing => false,
            Self::Failures => is_failed,
            Self::Slow(least) => is_failed || duration >= least,
            Self::All => true,
        }
    }
}

impl Kept {
    const NOTHING: Self = Self { recorded: Recorded::Nothing, exported: Recorded::Nothing };

    /// Whether a request is kept anywhere.
    pub(crate) fn keeps(self, is_failed: bool, duration: Duration) -> bool {
        self.recorded.keeps(is_failed, duration) || self.exported.keeps(is_failed, duration)
    }
}

impl SpanRecorder {
    /// Records nothing.
    pub(crate) const fn off() -> Self {
        Self { kept: Kept::NOTHING, buffer: OnceLock::new() }
    }

    /// Records into a buffer, or into one of its own.
    pub(crate) fn new(kept: Kept, buffer: Option<Arc<SpanBuffer>>) -> Self {
        Self { kept, buffer: buffer.map_or_else(OnceLock::new, OnceLock::from) }
    }

    /// Records everything into a buffer, if there is one.
    pub(crate) fn within(buffer: Option<Arc<SpanBuffer>>) -> Self {
        match buffer {
            Some(buffer) => {
                let kept = Kept { recorded: Recorded::All, ..Kept::NOTHING };
                Self { kept, buffer: buffer.into() }
            }
            None => Self::off(),
        }
    }

    pub(crate) fn kept(&self) -> Kept {
        self.kept
    }

    /// The request's buffer, if it is recorded.
    pub(crate) fn buffer(&self) -> Option<&Arc<SpanBuffer>> {
        (self.kept != Kept::NOTHING).then(|| self.buffer.get_or_init(Arc::default))
    }

    /// The request's buffer, if anything was recorded.
    pub(crate) fn into_buffer(self) -> Option<Arc<SpanBuffer>> {
        self.buffer.into_inner()
    }
}

impl SpanBuffer {
    pub(crate) fn add_span(&self, span: Span) {
        let mut buffered = lock(&self.buffered);
        // With the lock held, so that each span is either exported with the
        // others or late.
        if let Some(exports) = self.exported.get() {
            exports.send_late(span.clone());
        }
        buffered.has_failed |= span.is_failed();
        let fits = buffered.spans.len() < SPANS;
        if buffered.takes(fits, span.len()) {
            buffered.spans.push(span);
        } else if span.is_failed() {
            buffered.replace_a_success(span);
        }
    }

    pub(crate) fn add_line(&self, line: LogLine) {
        let mut buffered = lock(&self.buffered);
        let fits = buffered.lines.len() < LINES;
        if buffered.takes(fits, line.source.len() + line.text.len()) {
            buffered.lines.push(line);
        }
    }

    /// Whether a span has failed.
    pub(crate) fn has_failed(&self) -> bool {
        lock(&self.buffered).has_failed
    }

    /// The number of spans that were collected.
    pub(crate) fn span_count(&self) -> usize {
        lock(&self.buffered).spans.len()
    }

    /// What has been collected so far. A callee may still add to it after its
    /// caller has ended.
    pub(crate) fn read(&self) -> Buffered {
        lock(&self.buffered).clone()
    }

    /// What has been collected so far, to be exported. What is added from now on
    /// is exported by itself.
    pub(crate) fn export(&self, exports: &Arc<Exports>) -> Buffered {
        let buffered = lock(&self.buffered);
        self.exported.get_or_init(|| exports.clone());
        buffered.clone()
    }

    /// About the bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        let buffered = lock(&self.buffered);
        let spans = buffered.spans.len() * size_of::<Span>();
        spans + buffered.lines.len() * size_of::<LogLine>() + buffered.text
    }
}

impl Buffered {
    /// Puts a failed span in the place of the latest one that has not failed.
    fn replace_a_success(&mut self, failed: Span) {
        let last = self.spans.iter_mut().rev().find(|span| !span.is_failed());
        let Some(last) = last else { return };
        let text = self.text - last.len() + failed.len();
        if text <= TEXT {
            (self.text, *last) = (text, failed);
        }
    }

    /// Whether an entry with this many bytes of text is taken.
    fn takes(&mut self, fits: bool, text: usize) -> bool {
        let is_taken = fits && self.text + text <= TEXT;
        if is_taken {
            self.text += text;
        } else {
            self.left_out += 1;
        }
        is_taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tracing::Level;

    use super::*;

    fn line(text: &str) -> LogLine {
        let (at, level) = (Instant::now(), Level::INFO);
        LogLine { at, span: None, level, source: "stderr".into(), text: text.into() }
    }

    #[test]
    fn a_buffer_is_bounded_and_counts_the_rest() {
        let (buffer, now) = (SpanBuffer::default(), Instant::now());
        for id in 0..1_000 {
            buffer.add_span(Span::example(id, now, now, "response"));
            buffer.add_line(line("short"));
        }
        let read = buffer.read();
        assert_eq!((read.spans.len(), read.lines.len()), (SPANS, LINES));
        assert_eq!(read.left_out as usize, 2_000 - SPANS - LINES);
        assert!(!buffer.has_failed());
        // A failure takes the place of a success.
        buffer.add_span(Span::example(0, now, now, "trap"));
        assert!(buffer.has_failed());
        let spans = buffer.read().spans;
        assert_eq!((spans.len(), spans[SPANS - 1].outcome), (SPANS, "trap"));

        let buffer = SpanBuffer::default();
        (0..100).for_each(|_| buffer.add_line(line(&"x".repeat(8 << 10))));
        assert_eq!(buffer.read().lines.len(), 7);
    }

    #[test]
    fn a_callee_records_into_its_callers_buffer() {
        let kept = Kept { recorded: Recorded::Failures, ..Kept::NOTHING };
        let caller = SpanRecorder::new(kept, None);
        let callee = SpanRecorder::within(caller.buffer().cloned());
        let now = Instant::now();
        callee.buffer().expect("one").add_span(Span::example(2, now, now, "response"));
        assert_eq!(caller.into_buffer().expect("one").read().spans.len(), 1);
        assert!(SpanRecorder::off().buffer().is_none());
    }
}
