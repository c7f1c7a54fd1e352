//! Advances the engine's epoch once per tick while any invocation is in flight.
//!
//! There is one plain thread per engine: a timer per invocation would cost more
//! than most invocations do, and an async timer would wait behind the very
//! guests that it has to interrupt. The thread also fires the
//! [alarms](Alarms). While nothing runs the thread is parked, and an
//! idle process has no wake-ups. It lingers for [`LINGER`] ticks first, so that
//! a busy client's next request does not pay for waking it.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cores::PerCore;
use crate::sync::lock;

/// The number of idle ticks before the thread parks.
const LINGER: u32 = 100;

/// The thread that advances the epoch. Dropping the value ends the thread.
pub(crate) struct Ticker {
    shared: Arc<TickerState>,
    thread: Option<JoinHandle<()>>,
}

struct TickerState {
    /// The number of live guards that were created on each core.
    running: PerCore<AtomicUsize>,
    parked: AtomicBool,
    stop: AtomicBool,
    alarms: Alarms,
}

/// The epoch advances while one of these guards lives.
pub(crate) struct Ticking<'a>(Option<&'a AtomicUsize>);

impl Ticker {
    pub(crate) fn start(engine: wasmtime::Engine, tick: Duration) -> io::Result<Self> {
        let shared = Arc::new(TickerState {
            running: PerCore::new(|_, _| AtomicUsize::new(0)),
            parked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            alarms: Alarms::default(),
        });
        let thread = thread::Builder::new().name("hourglass-tick".into()).spawn({
            let shared = shared.clone();
            move || shared.run(&engine, tick)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps the epoch advancing until the guard is dropped.
    pub(crate) fn keep_running(&self) -> Ticking<'_> {
        // Sequentially consistent with the thread's own store and load: either
        // the thread sees this count and does not park, or `parked` is seen
        // here.
        let own = self.shared.running.own();
        if let Some(own) = own {
            own.fetch_add(1, Ordering::SeqCst);
        }
        if self.shared.parked.load(Ordering::SeqCst) {
            self.unpark();
        }
        Ticking(own)
    }

    /// The alarms, which fire only while a guard lives.
    pub(crate) fn alarms(&self) -> &Alarms {
        &self.shared.alarms
    }

    #[cold]
    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        if let Some(own) = self.0 {
            own.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.unpark();
        if let Some(thread) = self.thread.take() {
            // The thread only counts; there is no panic to propagate.
            let _ = thread.join();
        }
    }
}

impl TickerState {
    fn run(&self, engine: &wasmtime::Engine, tick: Duration) {
        let mut idle = 0;
        let mut next = Instant::now();
        while !self.stop.load(Ordering::SeqCst) {
            // Advances along a fixed grid, so that the duration of a tick is
            // not added to the next one; after a stall the grid restarts from
            // now.
            next += tick;
            match next.checked_duration_since(Instant::now()) {
                Some(left) => thread::sleep(left),
                None => next = Instant::now(),
            }
            engine.increment_epoch();
            self.alarms.ring();
            if self.is_needed() {
                idle = 0;
                continue;
            }
            idle += 1;
            if idle >= LINGER {
                self.park();
                idle = 0;
                next = Instant::now();
            }
        }
    }

    fn is_needed(&self) -> bool {
        self.running.iter().any(|running| running.load(Ordering::SeqCst) > 0)
    }

    fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        while !self.is_needed() && !self.stop.load(Ordering::SeqCst) {
            thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

/// The time at which an alarm fires, and a number that tells it from others at
/// the same time.
type Key = (Instant, u64);

/// The alarms of an engine: timers with the resolution of a tick, by the time at
/// which they fire.
///
/// Tokio's timers count whole milliseconds and round up in two places, so a
/// guest that waits would outlive its deadline by up to three ticks. The
/// ticker's thread wakes up at every tick anyway, and fires these alarms.
///
/// An alarm fires only while the ticker runs: its waiter must keep the ticker
/// running.
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
    fn ring(&self) {
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
    use std::task::Wake;

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
