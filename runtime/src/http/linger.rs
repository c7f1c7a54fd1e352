//! Reads and drops what a client still sends after its response is complete,
//! within bounds.
//!
//! Many clients send the whole body of a request before they read. Closing an
//! HTTP/1.1 connection with unread data makes the system send a reset, and an
//! HTTP/2 server library resets a stream (RFC 9113, section 8.1) if its body is
//! dropped unread. curl 7.88, Node 20 and httpx discard the response when that
//! reset arrives first.
//!
//! The bounds are the same for both versions: a time and a number of bytes per
//! response, and a number of clients per server. Past any of them the reset is
//! sent, as it would be without lingering.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// How long a client may keep sending after its response.
const TIME: Duration = Duration::from_secs(2);

/// How many unwanted bytes of a request are read. At 64 Mbit/s this is what
/// arrives in [`TIME`].
pub(super) const BYTES: u64 = 16 << 20;

/// How many clients of one server may keep sending at once.
const AT_ONCE: usize = 1_024;

/// A client that keeps sending after its response.
#[derive(Debug)]
pub(super) struct Linger {
    until: Pin<Box<Sleep>>,
    _slot: OwnedSemaphorePermit,
}

/// The slots for the clients of one server.
pub(super) fn slots() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(AT_ONCE))
}

impl Linger {
    /// Begins at the end of a response; `None` if too many clients linger
    /// already.
    pub(super) fn begin(slots: &Arc<Semaphore>) -> Option<Self> {
        let slot = slots.clone().try_acquire_owned().ok()?;
        Some(Self { until: Box::pin(sleep(TIME)), _slot: slot })
    }

    /// Ready when the client's time is over.
    pub(super) fn poll_over(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.until.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_lingers_for_a_bounded_time_and_few_at_once() {
        let all = slots();
        let mut some: Vec<_> = (0..AT_ONCE).map_while(|_| Linger::begin(&all)).collect();
        assert_eq!(some.len(), AT_ONCE);
        assert!(Linger::begin(&all).is_none());
        let mut one = some.pop().expect("there are some");
        assert!(poll_fn(|cx| Poll::Ready(one.poll_over(cx))).await.is_pending());
        tokio::time::sleep(TIME).await;
        poll_fn(|cx| one.poll_over(cx)).await;
        drop(one);
        assert!(Linger::begin(&all).is_some());
    }
}
