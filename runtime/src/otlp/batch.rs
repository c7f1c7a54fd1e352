//! Batches: what is sent to the collector at once.

use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use tokio::time::Instant;

use super::client::FailureCause;
use crate::telemetry::export_queue::{ExportReceiver, Queued};
use crate::telemetry::exports::ExportCounts;

/// A batch is complete with this many spans or log records.
const BATCH: usize = 512;

/// The most spans or log records of a batch, and its greatest size in memory.
/// Encoded it may be three times as large, and receivers of gRPC take 4 MiB by
/// default.
const MOST: usize = 2_048;
const BYTES: usize = 1 << 20;

/// The interval at which the queue is emptied until a batch is complete. Waking
/// the thread for each item would cost more than the item.
const INTERVAL: Duration = Duration::from_millis(20);

/// The longest wait for a batch to be complete.
const DELAY: Duration = Duration::from_secs(1);

/// Counts what was sent, and logs when the collector stops taking it.
pub(super) struct Report<'a> {
    collector: &'a str,
    what: &'static str,
    counts: &'a ExportCounts,
    /// The cause of the last failure, if the transport does not report it.
    cause: Option<&'a FailureCause>,
    is_failing: bool,
}

/// Sends what comes through a queue, until the queue is closed. `take` adds an
/// item to a batch.
pub(super) async fn run<T, D>(
    mut queue: ExportReceiver<T>,
    take: impl Fn(T, &mut Vec<D>),
    send: impl AsyncFn(Vec<D>) -> OTelSdkResult,
    mut report: Report<'_>,
) {
    while let Some(first) = queue.recv().await {
        let (mut batch, mut bytes, mut next) = (Vec::new(), 0, Some(first));
        let (mut waiter, complete) = (None, Instant::now() + DELAY);
        loop {
            while let Some(item) = next.take() {
                match item {
                    Queued::Item(item, more) => {
                        take(item, &mut batch);
                        bytes += more;
                    }
                    Queued::Flush(one) => waiter = Some(one),
                }
                if batch.len() < MOST && bytes < BYTES && waiter.is_none() {
                    next = queue.try_recv();
                }
            }
            let is_complete = batch.len() >= BATCH || bytes >= BYTES || waiter.is_some();
            if is_complete || queue.is_closed() || Instant::now() >= complete {
                break;
            }
            tokio::time::sleep(INTERVAL).await;
            next = queue.try_recv();
        }
        if !batch.is_empty() {
            let len = batch.len();
            report.result(len, send(batch).await);
        }
        // It may have given up.
        let _ = waiter.map(|waiter| waiter.send(()));
    }
}

impl<'a> Report<'a> {
    pub(super) fn new(
        collector: &'a str,
        what: &'static str,
        counts: &'a ExportCounts,
        cause: Option<&'a FailureCause>,
    ) -> Self {
        Self { collector, what, counts, cause, is_failing: false }
    }

    fn result(&mut self, len: usize, result: OTelSdkResult) {
        let Self { collector, what, counts, cause, is_failing } = self;
        match result {
            Ok(()) => {
                counts.sent(len as u64);
                if std::mem::take(is_failing) {
                    tracing::info!(%collector, "the collector takes {what} again");
                }
            }
            Err(error) => {
                counts.failed(len as u64);
                if !std::mem::replace(is_failing, true) {
                    let cause = cause.and_then(FailureCause::take);
                    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                    tracing::warn!(
                        %collector,
                        "the collector does not take {what}: {error}{cause}; they are lost until \
                         it does"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;
    use crate::telemetry::export_queue::ExportQueue;

    fn take(item: u32, batch: &mut Vec<u32>) {
        batch.push(item);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_sent_when_it_is_full_or_a_second_old() {
        let (items, queue) = ExportQueue::new(4_096, 2 * BYTES);
        for size in [0; 2_100].into_iter().chain([BYTES, 1]) {
            assert!(items.put(1, size));
        }
        let (counts, sent) = (ExportCounts::default(), RefCell::new(Vec::new()));
        let started = Instant::now();
        let send = async |batch: Vec<u32>| {
            sent.borrow_mut().push((batch.len(), started.elapsed()));
            Ok(())
        };
        let feed = async {
            tokio::time::sleep(DELAY / 2).await;
            assert!(items.put(1, 1));
            tokio::time::sleep(DELAY * 2).await;
            drop(items);
        };
        tokio::join!(run(queue, take, send, Report::new("", "", &counts, None)), feed);
        let sent = sent.into_inner();
        let sizes: Vec<_> = sent.iter().map(|(len, _)| *len).collect();
        assert_eq!(sizes, [MOST, 53, 2]);
        assert_eq!((sent[0].1, sent[1].1), (Duration::ZERO, Duration::ZERO));
        assert!(sent[2].1 >= DELAY, "{sent:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_sends_at_once_and_ends_also_if_that_fails() {
        let (items, queue) = ExportQueue::new(8, BYTES);
        let counts = ExportCounts::default();
        assert!(items.put(1, 1));
        let started = Instant::now();
        let send = async |_| Err(OTelSdkError::InternalFailure("down".into()));
        let flush = async {
            items.flush().await;
            assert!(started.elapsed() <= INTERVAL);
            drop(items);
        };
        tokio::join!(run(queue, take, send, Report::new("", "", &counts, None)), flush);
        assert_eq!(counts.read(), [("sent", 0), ("failed", 1), ("dropped", 0)]);
    }
}
