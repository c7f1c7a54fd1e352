//! Advances the engine's epoch once per tick while any invocation is in flight.
//!
//! There is one plain thread per engine: a timer per invocation would cost more
//! than most invocations do, and an async timer would wait behind the very
//! guests that it has to interrupt. The thread also fires the
//! [alarms](super::alarms). While nothing runs the thread is parked, and an
//! idle process has no wake-ups. It lingers for [`LINGER`] ticks first, so that
//! a busy client's next request does not pay for waking it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::alarms::Alarms;
use crate::cores::PerCore;

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
