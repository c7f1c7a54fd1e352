//! Bounds the idle instances of all functions together: how many there are, how
//! much memory they hold, and how long they last.
//!
//! An instance is counted from the first time that it is kept until it is
//! dropped, also while it is in use: so an invocation on a warm instance
//! changes no count that other cores look at. Where the budget is used up, an
//! instance is dropped rather than kept, and the keeper makes room by dropping
//! those that have been idle for longest, whichever function's they are.
//!
//! It has a thread of its own, because dropping an instance takes longer than
//! most invocations do. While there is no instance to keep the thread is
//! parked; otherwise it looks round once in a [`LIFETIME`].

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::instance::Clean;
use super::pool::Idle;

/// How long an instance may be idle at least; at most it is twice as long.
const LIFETIME: Duration = Duration::from_secs(30);

/// What an idle instance takes beside its memory's resident pages: its stack's
/// first pages, its page tables, its store. A guest whose calls were nested
/// deeply has left a larger stack behind, which is not counted.
const OVERHEAD: usize = 24 << 10;

/// Memory is counted in steps of so many bytes, so that an instance that
/// touches a page more than before need not be counted again.
const STEP: usize = 64 << 10;

/// The keeper of a host's idle instances. Dropping it ends its thread.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// How much idle instances may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) instances: usize,
    pub(crate) bytes: usize,
}

/// What a runtime holds in instances that are used again: those that wait for
/// an invocation, and those that were kept before and have one now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// How many they are.
    pub instances: usize,
    /// How much memory they hold, in bytes, as it is counted against
    /// [`idle_memory`](crate::RuntimeBuilder::idle_memory): their resident
    /// pages, rounded up.
    pub memory: u64,
}

/// What the keeper's thread and the functions share.
pub(super) struct Shared {
    budget: Budget,
    instances: AtomicUsize,
    bytes: AtomicUsize,
    functions: Mutex<Vec<Weak<Idle>>>,
    /// An instance was dropped for want of room.
    full: AtomicBool,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

/// One instance's share of the budget.
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

    /// Whether there is room for any.
    pub(super) fn keeps_any(&self) -> bool {
        let budget = self.shared.budget;
        budget.instances > 0 && budget.bytes >= STEP
    }

    /// What is kept now.
    pub(crate) fn kept(&self) -> Kept {
        let instances = self.shared.instances.load(Ordering::SeqCst);
        Kept { instances, memory: self.shared.bytes.load(Ordering::SeqCst) as u64 }
    }

    /// A place for a function's idle instances.
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
            // It runs no code of anybody else's; there is no panic to hand on.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Counts an instance that is to be kept, or says that there is no room.
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
        // From here on dropping it takes back what was counted.
        let charge = Charge { shared: self.clone(), bytes };
        // Counted before this is looked at: either the thread sees the count
        // and does not park, or it is seen here that it has.
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

    /// Outside the lock, so that nobody waits for instances to be dropped.
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

    /// Drops an eighth of all that is kept, those that were used least
    /// recently.
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
