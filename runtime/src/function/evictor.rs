//! Bounds the idle instances of all functions together: their number, their
//! memory and their lifetime.
//!
//! An instance is counted from the first time that it is kept until it is
//! dropped, including while it is in use, so an invocation on a warm instance
//! changes no count that other cores read. If the budget is used up, an
//! instance is dropped rather than kept, and the keeper frees space by dropping
//! the instances that have been idle longest, of any function.
//!
//! The keeper has a thread of its own, because dropping an instance takes
//! longer than most invocations do. While no instance is kept the thread is
//! parked; otherwise it runs once per [`LIFETIME`].

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::instance::Clean;
use super::pool::Idle;

/// The minimum time before an idle instance is dropped; the maximum is twice as
/// long.
const LIFETIME: Duration = Duration::from_secs(30);

/// The size of an idle instance without its memory's resident pages: its
/// stack's first pages, its page tables, its store. A guest with deeply nested
/// calls leaves a larger stack behind, which is not counted.
const OVERHEAD: usize = 24 << 10;

/// Memory is counted in steps of this many bytes, so that an instance that
/// touches one page more than before need not be counted again.
const STEP: usize = 64 << 10;

/// The keeper of a host's idle instances. Dropping it ends its thread.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The limits on idle instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) instances: usize,
    pub(crate) bytes: usize,
}

/// The instances that a runtime reuses: those that wait for an invocation, and
/// those that were kept before and have one now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The number of instances.
    pub instances: usize,
    /// Their memory in bytes, as it is counted against
    /// [`idle_memory`](crate::RuntimeBuilder::idle_memory): their resident
    /// pages, rounded up.
    pub memory: u64,
}

/// The state that the keeper's thread and the functions share.
pub(super) struct Shared {
    budget: Budget,
    instances: AtomicUsize,
    bytes: AtomicUsize,
    functions: Mutex<Vec<Weak<Idle>>>,
    /// An instance was dropped because the budget was used up.
    full: AtomicBool,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

/// One instance's reservation in the budget.
pub(super) struct Charge {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Keeper {
    pub(crate) fn start(budget: Budget) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            budget,
            instances: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            functions: Mutex::default(),
            full: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let thread = thread::Builder::new().name("hourglass-keep".into()).spawn({
            let shared = shared.clone();
            move || shared.run()
        })?;
        shared.thread.get_or_init(|| thread.thread().clone());
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether the budget allows any idle instance.
    pub(super) fn keeps_any(&self) -> bool {
        let budget = self.shared.budget;
        budget.instances > 0 && budget.bytes >= STEP
    }

    /// The instances that are kept now.
    pub(crate) fn kept(&self) -> Kept {
        let instances = self.shared.instances.load(Ordering::SeqCst);
        Kept { instances, memory: self.shared.bytes.load(Ordering::SeqCst) as u64 }
    }

    /// Creates the pool of a function's idle instances.
    pub(super) fn idle(&self) -> Arc<Idle> {
        let idle = Arc::new(Idle::new(self.shared.clone()));
        let mut functions = self.shared.functions();
        functions.retain(|function| function.strong_count() > 0);
        functions.push(Arc::downgrade(&idle));
        idle
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            // The thread runs no foreign code; there is no panic to propagate.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Counts an instance that is to be kept. Returns false if the budget is
    /// used up.
    pub(super) fn admit(self: &Arc<Self>, clean: &mut Clean) -> bool {
        let bytes = (clean.resident() + OVERHEAD).next_multiple_of(STEP);
        let charge = clean.charge();
        let admitted = match charge {
            Some(charge) if charge.bytes >= bytes => return true,
            Some(charge) => charge.grow(bytes),
            None => {
                *charge = self.charge(bytes);
                charge.is_some()
            }
        };
        if !admitted && !self.full.swap(true, Ordering::SeqCst) {
            self.wake();
        }
        admitted
    }

    fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let instances = self.instances.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        // From here on, dropping it undoes the count.
        let charge = Charge { shared: self.clone(), bytes };
        // Counted before this check: either the thread sees the count and does
        // not park, or this check sees that it has parked.
        if self.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        let fits = instances < self.budget.instances && self.fits();
        fits.then_some(charge)
    }

    fn fits(&self) -> bool {
        self.bytes.load(Ordering::SeqCst) <= self.budget.bytes
    }

    #[cold]
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn functions(&self) -> MutexGuard<'_, Vec<Weak<Idle>>> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Outside of the lock, so that no thread waits while instances are
    /// dropped.
    fn idle(&self) -> Vec<Arc<Idle>> {
        self.functions().iter().filter_map(Weak::upgrade).collect()
    }

    fn run(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            if self.full.swap(false, Ordering::SeqCst) {
                self.make_room();
            }
            if let Some(then) = Instant::now().checked_sub(LIFETIME) {
                self.idle().iter().for_each(|idle| idle.drop_older(then));
            }
            self.asleep.store(true, Ordering::SeqCst);
            if self.instances.load(Ordering::SeqCst) == 0 {
                thread::park();
            } else {
                self.asleep.store(false, Ordering::SeqCst);
                thread::park_timeout(LIFETIME);
            }
            self.asleep.store(false, Ordering::SeqCst);
        }
    }

    /// Drops an eighth of all kept instances, the least recently used.
    fn make_room(&self) {
        let idle = self.idle();
        let mut ages: Vec<_> = idle.iter().flat_map(|idle| idle.ages()).collect();
        ages.sort_unstable();
        let mut bytes = self.budget.bytes / 8;
        let instances = (self.budget.instances / 8).max(1);
        let last = ages.iter().take(instances).take_while(|(_, held)| {
            let wanted = bytes > 0;
            bytes = bytes.saturating_sub(*held);
            wanted
        });
        if let Some((then, _)) = last.last() {
            idle.iter().for_each(|idle| idle.drop_older(*then));
        }
    }
}

impl Charge {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn grow(&mut self, bytes: usize) -> bool {
        self.shared.bytes.fetch_add(bytes - self.bytes, Ordering::SeqCst);
        self.bytes = bytes;
        self.shared.fits()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shared.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        self.shared.instances.fetch_sub(1, Ordering::SeqCst);
    }
}
