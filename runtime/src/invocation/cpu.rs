//! Counts the processor time that a future's polls take.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A future that adds what its polls cost to a counter.
///
/// The first poll is counted by the wall clock: most invocations end within
/// it, no guest runs for longer than a tick in it, and asking the system for
/// processor time would cost a short one a tenth of its run. All further polls
/// are counted by the thread's own clock, which leaves out the time in which
/// another thread had the processor.
pub(super) struct Metered<'a, F> {
    future: F,
    total: &'a mut Duration,
    polled: bool,
}

impl<'a, F> Metered<'a, F> {
    pub(super) fn new(future: F, total: &'a mut Duration) -> Self {
        Self { future, total, polled: false }
    }
}

impl<F: Future> Future for Metered<'_, Pin<&mut F>> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        if this.polled {
            let before = thread_time();
            let polled = this.future.as_mut().poll(cx);
            *this.total += thread_time().saturating_sub(before);
            polled
        } else {
            this.polled = true;
            let before = Instant::now();
            let polled = this.future.as_mut().poll(cx);
            *this.total += before.elapsed();
            polled
        }
    }
}

/// This thread's processor time.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}
