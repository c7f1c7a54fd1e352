//! Measures the processor time of a future's polls.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The cost of a future's polls.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) cpu: Duration,
    /// Whether the first poll returned `Pending`.
    pub(super) waited: bool,
}

/// A future that measures the cost of its polls.
///
/// The first poll is measured by the wall clock: most invocations end within
/// it, no guest runs for longer than a tick in it, and asking the system for
/// processor time would cost a short one a tenth of its run. All further polls
/// are measured by the thread's own clock, which excludes the time in which
/// another thread had the processor.
pub(super) struct Metered<'a, F> {
    future: F,
    meter: &'a mut Meter,
    /// The start of the first poll, until that poll has ended.
    first: Option<Instant>,
}

impl<'a, F> Metered<'a, F> {
    /// Measures from `started`, which was just before the first poll.
    pub(super) fn new(future: F, started: Instant, meter: &'a mut Meter) -> Self {
        Self { future, meter, first: Some(started) }
    }
}

impl<F: Future> Future for Metered<'_, Pin<&mut F>> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        if let Some(started) = this.first.take() {
            let polled = this.future.as_mut().poll(cx);
            this.meter.cpu += started.elapsed();
            this.meter.waited = polled.is_pending();
            polled
        } else {
            let before = thread_time();
            let polled = this.future.as_mut().poll(cx);
            this.meter.cpu += thread_time().saturating_sub(before);
            polled
        }
    }
}

/// This thread's processor time.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}
