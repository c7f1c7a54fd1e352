//! Counts the processor time that a future's polls take.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What a future's polls cost.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) cpu: Duration,
    /// Whether it was not ready at its first poll.
    pub(super) waited: bool,
}

/// A future whose polls are counted.
///
/// The first poll is counted by the wall clock: most invocations end within
/// it, no guest runs for longer than a tick in it, and asking the system for
/// processor time would cost a short one a tenth of its run. All further polls
/// are counted by the thread's own clock, which leaves out the time in which
/// another thread had the processor.
pub(super) struct Metered<'a, F> {
    future: F,
    meter: &'a mut Meter,
    /// When the first poll began, until it has ended.
    first: Option<Instant>,
}

impl<'a, F> Metered<'a, F> {
    /// Counts from `started`, which was just before the first poll.
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
