//! The idle instances of all functions: fresh ones that wait for the next
//! invocation, and the evictor that bounds their number, their memory and their
//! lifetime.
//!
//! Each version of a function has a [pool](Idle), and its instances end with
//! it. They are kept in stacks, one for each core that the process may use. The
//! most recently used instance is taken first, because its memory is warm, and
//! those at the bottom age until the evictor drops them. Only a thread that
//! finds its core's stack empty tries the other stacks, and none ever waits: it
//! is faster to create an instance.
//!
//! An instance is counted from the first time that it is kept until it is
//! dropped, including while it is in use, so an invocation on a warm instance
//! changes no count that other cores read. If the budget is used up, an
//! instance is dropped rather than kept, and the evictor frees space by dropping
//! the instances that have been idle longest, of any function.
//!
//! The evictor has a thread of its own, because dropping an instance takes
//! longer than most invocations do. While no instance is kept the thread is
//! parked; otherwise it runs once per [`LIFETIME`].

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::instance::ReadyInstance;
use crate::cores::PerCore;
use crate::limits::bytes::{ByteBudget, Reservation};
use crate::sync::lock;

/// The minimum time before an idle instance is dropped; the maximum is twice as
/// long.
const LIFETIME: Duration = Duration::from_secs(30);

/// The size of an idle instance without its memory's resident pages: its
/// stack's first pages, its page tables, its store. A guest with deeply nested
/// calls leaves a larger stack behind, which is not counted.
const OVERHEAD: u64 = 24 << 10;

/// Memory is counted in steps of this many bytes, so that an instance that
/// touches one page more than before need not be counted again.
const STEP: u64 = 64 << 10;

/// The evictor of a host's idle instances. Dropping it ends its thread.
pub(crate) struct Evictor {
    shared: Arc<EvictorState>,
    thread: Option<JoinHandle<()>>,
}

/// Idle instances of one version of a function.
pub(crate) struct Idle {
    stacks: PerCore<Stack>,
    evictor: Arc<EvictorState>,
    /// Whether instances are dropped rather than kept.
    closed: AtomicBool,
}

/// Instances, and the times since which they have been idle.
type Stack = Mutex<VecDeque<(Instant, ReadyInstance)>>;

/// The limits on idle instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdleLimits {
    pub(crate) instances: usize,
    pub(crate) bytes: u64,
}

/// The instances that a runtime reuses: those that wait for an invocation, and
/// those that were kept before and have one now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdleStats {
    /// The number of instances.
    pub instances: usize,
    /// Their memory in bytes, as it is counted against
    /// [`idle_memory`](crate::RuntimeBuilder::idle_memory): their resident
    /// pages, rounded up.
    pub memory: u64,
}

/// The state that the evictor's thread and the pools share.
struct EvictorState {
    limits: IdleLimits,
    instances: AtomicUsize,
    memory: Arc<ByteBudget>,
    pools: Mutex<Vec<Weak<Idle>>>,
    /// An instance was dropped because the budget was used up.
    full: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

/// One instance's reservation in the budget.
pub(super) struct IdleReservation {
    shared: Arc<EvictorState>,
    memory: Reservation,
}

impl Evictor {
    pub(crate) fn start(limits: IdleLimits) -> io::Result<Self> {
        let shared = Arc::new(EvictorState {
            limits,
            instances: AtomicUsize::new(0),
            memory: ByteBudget::new(limits.bytes),
            pools: Mutex::default(),
            full: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let thread = thread::Builder::new().name("hourglass-evict".into()).spawn({
            let shared = shared.clone();
            move || shared.run()
        })?;
        shared.thread.get_or_init(|| thread.thread().clone());
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether the budget allows any idle instance.
    pub(super) fn keeps_any(&self) -> bool {
        let IdleLimits { instances, bytes } = self.shared.limits;
        instances > 0 && bytes >= STEP
    }

    /// The instances that are kept now.
    pub(crate) fn idle_stats(&self) -> IdleStats {
        let instances = self.shared.instances.load(Ordering::SeqCst);
        IdleStats { instances, memory: self.shared.memory.reserved() }
    }

    /// Creates the pool of a function's idle instances.
    pub(super) fn pool(&self) -> Arc<Idle> {
        let (stacks, evictor) = (PerCore::new(|_, _| Stack::default()), self.shared.clone());
        let pool = Arc::new(Idle { stacks, evictor, closed: AtomicBool::new(false) });
        let mut pools = lock(&self.shared.pools);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(&pool));
        pool
    }
}

impl Drop for Evictor {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            // The thread runs no foreign code; there is no panic to propagate.
            let _ = thread.join();
        }
    }
}

impl EvictorState {
    /// Counts an instance that is to be kept. Returns false if the budget is
    /// used up.
    fn admit(self: &Arc<Self>, ready: &mut ReadyInstance) -> bool {
        let bytes = (ready.resident() as u64 + OVERHEAD).next_multiple_of(STEP);
        let reservation = &mut ready.0.reservation;
        let admitted = match reservation {
            Some(IdleReservation { memory, .. }) => match bytes.checked_sub(memory.bytes) {
                None | Some(0) => return true,
                Some(more) => memory.grow(more).is_ok(),
            },
            None => {
                *reservation = self.reserve(bytes);
                reservation.is_some()
            }
        };
        if !admitted && !self.full.swap(true, Ordering::SeqCst) {
            self.wake();
        }
        admitted
    }

    fn reserve(self: &Arc<Self>, bytes: u64) -> Option<IdleReservation> {
        let memory = self.memory.reserve(bytes)?;
        let others = self.instances.fetch_add(1, Ordering::SeqCst);
        // From here on, dropping it undoes the count.
        let reservation = IdleReservation { shared: self.clone(), memory };
        // Counted before this: the thread either sees the count and does not
        // park for good, or parks and is woken here.
        if others == 0 {
            self.wake();
        }
        (others < self.limits.instances).then_some(reservation)
    }

    #[cold]
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// The pools. The lock is not held while instances are dropped.
    fn pools(&self) -> Vec<Arc<Idle>> {
        lock(&self.pools).iter().filter_map(Weak::upgrade).collect()
    }

    fn run(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            if self.full.swap(false, Ordering::SeqCst) {
                self.make_room();
            }
            if let Some(then) = Instant::now().checked_sub(LIFETIME) {
                self.pools().iter().for_each(|pool| pool.drop_older(then));
            }
            if self.instances.load(Ordering::SeqCst) == 0 {
                thread::park();
            } else {
                thread::park_timeout(LIFETIME);
            }
        }
    }

    /// Drops an eighth of all kept instances, the least recently used.
    fn make_room(&self) {
        let pools = self.pools();
        let mut ages: Vec<_> = pools.iter().flat_map(|pool| pool.ages()).collect();
        ages.sort_unstable();
        let mut bytes = self.limits.bytes / 8;
        let instances = (self.limits.instances / 8).max(1);
        let last = ages.iter().take(instances).take_while(|(_, held)| {
            let wanted = bytes > 0;
            bytes = bytes.saturating_sub(*held);
            wanted
        });
        if let Some((then, _)) = last.last() {
            pools.iter().for_each(|pool| pool.drop_older(*then));
        }
    }
}

impl Drop for IdleReservation {
    fn drop(&mut self) {
        self.shared.instances.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Idle {
    /// Takes an instance for an invocation, if there is one.
    pub(super) fn take(&self) -> Option<ReadyInstance> {
        let mut stacks = self.stacks.iter();
        if let Some((_, ready)) = lock(stacks.next()?).pop_back() {
            return Some(ready);
        }
        stacks.find_map(|other| Some(other.try_lock().ok()?.pop_back()?.1))
    }

    /// Keeps an instance that is indistinguishable from a new one, if the
    /// host's budget allows it. `since` is the time at which its last use
    /// began.
    pub(super) fn put(&self, mut ready: ReadyInstance, since: Instant) {
        if !self.closed.load(Ordering::Relaxed)
            && self.evictor.admit(&mut ready)
            && let Some(stack) = self.stacks.own()
        {
            lock(stack).push_back((since, ready));
        }
    }

    /// Sets whether instances are kept from now on. One that is returned at this
    /// moment may be kept until the evictor drops it.
    pub(super) fn set_open(&self, open: bool) {
        self.closed.store(!open, Ordering::Relaxed);
    }

    /// Drops the instances that have been idle since `then` or before.
    pub(super) fn drop_older(&self, then: Instant) {
        for stack in self.stacks.iter() {
            // One at a time and outside of the lock: dropping takes long, and
            // each instance holds a slot until it is dropped.
            let next = || lock(stack).pop_front_if(|(since, _)| *since <= then);
            while let Some(oldest) = next() {
                drop(oldest);
            }
        }
    }

    /// The time since which each has been idle, and its reservation in bytes.
    fn ages(&self) -> Vec<(Instant, u64)> {
        let mut ages = Vec::new();
        for stack in self.stacks.iter() {
            let stack = lock(stack);
            ages.extend(stack.iter().filter_map(|(since, ready)| {
                Some((*since, ready.0.reservation.as_ref()?.memory.bytes))
            }));
        }
        ages
    }
}
