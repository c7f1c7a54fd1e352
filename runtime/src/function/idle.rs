//! A function's idle instances: fresh ones that wait for the next invocation.
//!
//! They are kept in stacks, one for each core that the process may use, and
//! each thread has its stack. The instance that was used last is taken first,
//! as its memory is warm, and those at the bottom grow old until the
//! [keeper](super::keeper) drops them. Only who finds his own stack empty looks
//! into the others', and nobody ever waits: it is quicker to make an instance.
//!
//! They belong to one version of a function and end with it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::instance::Clean;
use super::keeper::Shared;

/// Idle instances of one version of a function.
pub(crate) struct Idle {
    stacks: Box<[Stack]>,
    keeper: Arc<Shared>,
}

/// One core's; alone on its cache lines.
#[repr(align(128))]
#[derive(Default)]
struct Stack(Mutex<VecDeque<Resting>>);

struct Resting {
    clean: Clean,
    since: Instant,
}

impl Idle {
    pub(super) fn new(keeper: Arc<Shared>) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { stacks: (0..cores).map(|_| Stack::default()).collect(), keeper }
    }

    /// An instance for an invocation, if there is one.
    pub(super) fn take(&self) -> Option<Clean> {
        let (before, from_own) = self.stacks.split_at(own_stack(self.stacks.len()));
        let (own, behind) = from_own.split_first()?;
        if let Some(resting) = own.lock().pop_back() {
            return Some(resting.clean);
        }
        let mut others = behind.iter().chain(before);
        others.find_map(|other| Some(other.0.try_lock().ok()?.pop_back()?.clean))
    }

    /// Keeps an instance that nobody could tell from a new one, where the host
    /// has room for it.
    pub(super) fn put(&self, mut clean: Clean) {
        if self.keeper.admit(&mut clean)
            && let Some(stack) = self.stacks.get(own_stack(self.stacks.len()))
        {
            stack.lock().push_back(Resting { clean, since: Instant::now() });
        }
    }

    /// Drops those that have been idle since `then` or before.
    pub(super) fn drop_older(&self, then: Instant) {
        for stack in &self.stacks {
            // One at a time and outside the lock: dropping takes long, and each
            // that is on its way out still holds a slot.
            while let Some(oldest) = stack.take_older(then) {
                drop(oldest);
            }
        }
    }

    /// How long each has been idle, and how much of the budget it holds.
    pub(super) fn ages(&self) -> Vec<(Instant, usize)> {
        let mut ages = Vec::new();
        for stack in &self.stacks {
            let stack = stack.lock();
            ages.extend(stack.iter().map(|each| (each.since, each.clean.charged())));
        }
        ages
    }
}

impl Stack {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Resting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_older(&self, then: Instant) -> Option<Resting> {
        let mut stack = self.lock();
        stack.front().filter(|oldest| oldest.since <= then)?;
        stack.pop_front()
    }
}

/// Which of so many stacks is this thread's.
fn own_stack(stacks: usize) -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
    }
    THREAD.with(|thread| thread % stacks.max(1))
}
