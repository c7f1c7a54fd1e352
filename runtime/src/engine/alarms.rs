//! Timers with the resolution of a tick.
//!
//! Tokio's timers count whole milliseconds and round up in two places, so a
//! guest that waits would outlive its deadline by up to three ticks. The
//! ticker's thread wakes up at every tick anyway, and fires these alarms.
//!
//! An alarm fires only while the ticker runs: its waiter must keep the ticker
//! running.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::sync::lock;

/// The time at which an alarm fires, and a number that tells it from others at
/// the same time.
type Key = (Instant, u64);

/// The alarms of an engine, by the time at which they fire.
#[derive(Debug, Default)]
pub(crate) struct Alarms(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    set: BTreeMap<Key, Waker>,
    count: u64,
}

/// A wait until a point in time. It is never ready earlier, and at most about
/// one tick later.
///
/// # Cancel safety
/// Cancel safe.
#[derive(Debug)]
pub(crate) struct Alarm<'a> {
    alarms: &'a Alarms,
    at: Instant,
    set: Option<Key>,
}

impl Alarms {
    /// Waits until `at`.
    pub(crate) fn at(&self, at: Instant) -> Alarm<'_> {
        Alarm { alarms: self, at, set: None }
    }

    /// Wakes the waiters of all alarms that are due.
    pub(super) fn ring(&self) {
        let now = Instant::now();
        let next = || lock(&self.0).take_due(now);
        // Woken outside of the lock, because that runs foreign code.
        while let Some(waker) = next() {
            waker.wake();
        }
    }
}

impl Queue {
    fn take_due(&mut self, now: Instant) -> Option<Waker> {
        let first = self.set.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

impl Future for Alarm<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at <= Instant::now() {
            self.unset();
            return Poll::Ready(());
        }
        let (alarms, at) = (self.alarms, self.at);
        let mut queue = lock(&alarms.0);
        let key = *self.set.get_or_insert_with(|| {
            queue.count += 1;
            (at, queue.count)
        });
        queue.set.insert(key, cx.waker().clone());
        Poll::Pending
    }
}

impl Alarm<'_> {
    fn unset(&mut self) {
        if let Some(key) = self.set.take() {
            let waker = lock(&self.alarms.0).set.remove(&key);
            drop(waker);
        }
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.unset();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn only_what_is_due_rings_and_only_once() {
        let (alarms, count) = (Alarms::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let now = Instant::now();
        let mut soon = pin!(alarms.at(now + Duration::from_millis(1)));
        let mut late = pin!(alarms.at(now + Duration::from_secs(3_600)));
        assert!(late.as_mut().poll(&mut cx).is_pending());
        while soon.as_mut().poll(&mut cx).is_pending() {
            alarms.ring();
        }
        assert!(Instant::now() >= now + Duration::from_millis(1));
        let rung = count.0.load(Ordering::SeqCst);
        alarms.ring();
        assert!(late.as_mut().poll(&mut cx).is_pending());
        assert_eq!(count.0.load(Ordering::SeqCst), rung);
    }

    #[test]
    fn a_dropped_wait_leaves_nothing_behind() {
        let alarms = Alarms::default();
        {
            let mut alarm = pin!(alarms.at(Instant::now() + Duration::from_secs(3_600)));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(alarm.as_mut().poll(&mut cx).is_pending());
            assert!(alarm.as_mut().poll(&mut cx).is_pending());
            assert_eq!(lock(&alarms.0).set.len(), 1);
        }
        assert!(lock(&alarms.0).set.is_empty());
    }
}
