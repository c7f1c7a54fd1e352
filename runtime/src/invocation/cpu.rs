//! Counts the processor time that a future's polls take.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A future that adds what its polls cost to a counter.
///
/// The clock is the polling thread's own, so that time in which another thread
/// had the processor does not count.
pub(super) struct Metered<'a, F> {
    future: F,
    total: &'a mut Duration,
}

impl<'a, F> Metered<'a, F> {
    pub(super) fn new(future: F, total: &'a mut Duration) -> Self {
        Self { future, total }
    }
}

impl<F: Future> Future for Metered<'_, Pin<&mut F>> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let before = now();
        let polled = this.future.as_mut().poll(cx);
        *this.total += now().saturating_sub(before);
        polled
    }
}

/// This thread's processor time.
fn now() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}
