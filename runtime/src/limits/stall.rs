//! The stall timeout of a peer: a client that sends a request's body or reads a
//! response, or another host that reads a request.
//!
//! Only the time spent waiting for the peer counts. A function that does not
//! read, or does not write, costs its client nothing.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// The bounds on the slowness of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StallLimits {
    /// The longest time without a byte sent or read by the peer while it is
    /// waited for.
    pub(crate) idle: Duration,
    /// The lowest average rate in bytes per second; 0 is no bound.
    pub(crate) rate: u64,
}

/// The account of one peer.
///
/// It starts with a credit of the idle time. Every byte adds the time that it
/// may take at the lowest rate, and waiting for the peer spends it. A slow
/// start is therefore allowed, and so is a pause.
#[derive(Debug)]
pub(crate) struct StallTimer {
    pub(crate) limits: StallLimits,
    bytes: u64,
    waited: Duration,
    /// The start of the current wait, if any.
    since: Option<Instant>,
    /// The time at which the peer times out. Kept between waits: resetting a
    /// timer costs less than creating one.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl StallTimer {
    pub(crate) fn new(limits: StallLimits) -> Self {
        Self { limits, bytes: 0, waited: Duration::ZERO, since: None, deadline: None }
    }

    /// Bytes were transferred.
    pub(crate) fn progress(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if let Some(since) = self.since.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
    }

    /// Nothing was transferred. Ready once the peer has timed out.
    pub(crate) fn poll_stalled(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let left = self.left();
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(left)));
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            // If the clock can't represent that moment, the deadline is
            // effectively infinite.
            let at = now.checked_add(left).unwrap_or(now + Duration::from_secs(1 << 30));
            deadline.as_mut().reset(at);
        }
        deadline.as_mut().poll(cx)
    }

    /// The time left to wait.
    fn left(&self) -> Duration {
        let StallLimits { idle, rate } = self.limits;
        match self.bytes.checked_div(rate) {
            None => idle,
            Some(bought) => {
                let credit = idle.saturating_add(Duration::from_secs(bought));
                credit.saturating_sub(self.waited).min(idle)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const IDLE: Duration = Duration::from_secs(10);

    /// Whether a client that sends `bytes` after every `each` times out before
    /// it has done so `times` times.
    async fn stalls(rate: u64, (bytes, each): (usize, Duration), times: u32) -> bool {
        let mut timer = StallTimer::new(StallLimits { idle: IDLE, rate });
        for _ in 0..times {
            let stalled = poll_fn(|cx| timer.poll_stalled(cx));
            if tokio::time::timeout(each, stalled).await.is_ok() {
                return true;
            }
            timer.progress(bytes);
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_allowed_and_a_halt_is_not() {
        assert!(!stalls(0, (1, IDLE - Duration::from_secs(1)), 100).await);
        assert!(stalls(0, (1, IDLE + Duration::from_secs(1)), 1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_below_the_minimum_rate_stalls() {
        let second = Duration::from_secs(1);
        assert!(!stalls(0, (1, second), 1_000).await);
        assert!(!stalls(10, (10, second), 1_000).await);
        assert!(!stalls(10, (1, second), 9).await, "a slow start is allowed");
        assert!(stalls(10, (9, second), 1_000).await);
        assert!(stalls(10, (1, second), 12).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_not_waited_for_does_not_stall() {
        let mut timer = StallTimer::new(StallLimits { idle: IDLE, rate: 10 });
        for _ in 0..100 {
            timer.progress(1);
            tokio::time::sleep(IDLE).await;
        }
        let stalled = poll_fn(|cx| timer.poll_stalled(cx));
        assert!(tokio::time::timeout(IDLE - Duration::from_secs(1), stalled).await.is_err());
    }
}
