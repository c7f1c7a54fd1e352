//! Requests on their way to an exporter of traces.
//!
//! # What is exported
//! A request whose trace is sampled: its parent says so, or chance if it has no
//! parent. A request that failed or was slow is exported in any case, up to
//! [`UNSAMPLED`] of them a second, so that an overload does not become more work.
//!
//! # Bounds
//! [`WAITING`] requests and late spans wait for the exporter, of [`BYTES`] in
//! all. What exceeds the bounds is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::export_queue::{ExportQueue, ExportReceiver};
use super::recorder::{Recorded, Recording, Span};
use super::snapshot::ExportMetrics;
use crate::propagation::trace::{Trace, random};

/// The most requests and late spans that wait, and the most bytes of them.
const WAITING: usize = 4_096;
const BYTES: usize = 32 << 20;

/// The most requests of a second that are exported although they are not
/// sampled.
const UNSAMPLED: u64 = 1_000;

/// Which requests are exported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExportPolicy {
    /// The share of the traces that begin here, between 0 and 1.
    pub(crate) sample: f64,
    /// The duration from which on a request is slow.
    pub(crate) slow: Duration,
}

/// What an exporter gets.
#[derive(Debug)]
pub(crate) enum Export {
    Request(Arc<Recording>),
    /// A step that ended after its request was exported.
    Late(Box<Span>),
}

/// The way to an exporter.
#[derive(Debug)]
pub(crate) struct Exports {
    /// A new trace is sampled if a random number is less than this.
    threshold: u64,
    slow: Duration,
    pub(crate) queue: ExportQueue<Export>,
    started: Instant,
    /// A second since the start, and the unsampled requests in it.
    unsampled: AtomicU64,
    pub(crate) results: Arc<ExportResults>,
}

/// What became of everything that was to be exported.
#[derive(Debug, Default)]
pub(crate) struct ExportResults {
    pub(crate) spans: ExportCounts,
    pub(crate) logs: ExportCounts,
}

/// What became of spans or of log records.
#[derive(Debug, Default)]
pub(crate) struct ExportCounts {
    /// The collector has them.
    sent: AtomicU64,
    /// The collector did not take them.
    failed: AtomicU64,
    /// They exceeded a bound.
    dropped: AtomicU64,
}

impl Exports {
    pub(crate) fn new(policy: ExportPolicy) -> (Arc<Self>, ExportReceiver<Export>) {
        let (queue, requests) = ExportQueue::new(WAITING, BYTES);
        let exports = Self {
            // A number out of range is clamped.
            threshold: (policy.sample * u64::MAX as f64) as u64,
            slow: policy.slow,
            queue,
            started: Instant::now(),
            unsampled: AtomicU64::new(0),
            results: Arc::default(),
        };
        (Arc::new(exports), requests)
    }

    /// The root of a new trace.
    pub(crate) fn root(&self) -> Trace {
        let is_sampled = self.threshold == u64::MAX || random() < self.threshold;
        Trace::root().with_sampled(is_sampled)
    }

    /// What is exported of a request with this trace.
    pub(super) fn decide(&self, trace: Option<Trace>) -> Recorded {
        match trace {
            Some(trace) if trace.is_sampled() => Recorded::All,
            _ => Recorded::Slow(self.slow),
        }
    }

    /// Whether one more request can be exported. One that can't is counted as
    /// one span.
    pub(super) fn admits(&self, is_sampled: bool) -> bool {
        let is_admitted = self.queue.has_room()
            && (is_sampled || self.takes_unsampled(self.started.elapsed().as_secs()));
        if !is_admitted {
            self.results.spans.dropped(1);
        }
        is_admitted
    }

    /// Takes one of the unsampled requests of a second.
    fn takes_unsampled(&self, second: u64) -> bool {
        let taken = self.unsampled.fetch_update(Relaxed, Relaxed, |last| {
            let (in_second, count) = (last >> 32, last & u64::from(u32::MAX));
            match count {
                _ if in_second < second => Some(second << 32 | 1),
                UNSAMPLED.. => None,
                _ => Some(last + 1),
            }
        });
        taken.is_ok()
    }

    /// Exports a request that was [admitted](Self::admits).
    pub(super) fn send(&self, recording: Arc<Recording>) {
        let (bytes, spans) = (recording.size(), recording.span_count());
        self.put(Export::Request(recording), bytes, spans as u64);
    }

    /// Exports a step that ended after its request was exported.
    pub(super) fn send_late(&self, span: Span) {
        let bytes = span.size();
        self.put(Export::Late(Box::new(span)), bytes, 1);
    }

    fn put(&self, export: Export, bytes: usize, spans: u64) {
        if !self.queue.put(export, bytes) {
            self.results.spans.dropped(spans);
        }
    }

    pub(super) fn metrics(&self) -> ExportMetrics {
        ExportMetrics { spans: self.results.spans.read(), logs: self.results.logs.read() }
    }
}

impl ExportCounts {
    pub(crate) fn sent(&self, count: u64) {
        self.sent.fetch_add(count, Relaxed);
    }

    pub(crate) fn failed(&self, count: u64) {
        self.failed.fetch_add(count, Relaxed);
    }

    pub(crate) fn dropped(&self, count: u64) {
        self.dropped.fetch_add(count, Relaxed);
    }

    /// By result.
    pub(crate) fn read(&self) -> [(&'static str, u64); 3] {
        let Self { sent, failed, dropped } = self;
        [("sent", sent), ("failed", failed), ("dropped", dropped)]
            .map(|(result, count)| (result, count.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exports(sample: f64) -> (Arc<Exports>, ExportReceiver<Export>) {
        Exports::new(ExportPolicy { sample, slow: Duration::from_secs(1) })
    }

    fn recording(name: &str) -> Arc<Recording> {
        let now = Instant::now();
        let span = Span { name: name.into(), ..Span::example(1, now, now, "response") };
        Recording::new(span, None).into()
    }

    /// The spans that were dropped.
    fn dropped(exports: &Exports) -> u64 {
        exports.metrics().spans[2].1
    }

    #[test]
    fn a_share_of_the_roots_is_sampled() {
        for (share, least, most) in [(0.0, 0, 0), (1.0, 10_000, 10_000), (0.5, 4_500, 5_500)] {
            let exports = exports(share).0;
            let sampled = (0..10_000).filter(|_| exports.root().is_sampled()).count();
            assert!((least..=most).contains(&sampled), "{share}: {sampled}");
        }
    }

    #[test]
    fn unsampled_requests_are_limited_for_each_second() {
        let exports = exports(1.0).0;
        assert!((0..UNSAMPLED).all(|_| exports.takes_unsampled(0)));
        assert!(!exports.takes_unsampled(0));
        assert!(exports.takes_unsampled(7) && exports.admits(true));
        // A thread that was delayed takes of the present second.
        assert!((1..UNSAMPLED).all(|_| exports.takes_unsampled(6)));
        assert!(!exports.takes_unsampled(7));
    }

    #[test]
    fn what_waits_is_bounded_in_number() {
        let (exports, mut queue) = exports(1.0);
        for _ in 0..WAITING {
            assert!(exports.admits(true));
            exports.send(recording("f"));
        }
        assert!(!exports.admits(true));
        assert_eq!(dropped(&exports), 1);
        exports.send(recording("f"));
        assert_eq!(dropped(&exports), 2);
        queue.try_recv().expect("they wait");
        assert!(exports.admits(true));
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let (exports, mut queue) = exports(1.0);
        let large = recording(&"x".repeat(1 << 20));
        let taken = (0..100).take_while(|_| {
            let is_admitted = exports.admits(true);
            exports.send(large.clone());
            is_admitted
        });
        assert_eq!(taken.count(), 32);
        while queue.try_recv().is_some() {}
        assert!(exports.admits(true));
    }
}
