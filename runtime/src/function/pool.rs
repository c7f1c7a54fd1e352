//! A function's idle instances: fresh ones that wait for the next invocation.
//!
//! They are kept in stacks, one for each core that the process may use. The
//! most recently used instance is taken first, because its memory is warm, and
//! those at the bottom age until the [keeper](super::evictor) drops them. Only
//! a thread that finds its core's stack empty tries the other stacks, and none
//! ever waits: it is faster to create an instance.
//!
//! They belong to one version of a function and end with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::evictor::Shared;
use super::instance::Clean;
use crate::cores::PerCore;

/// Idle instances of one version of a function.
pub(crate) struct Idle {
    stacks: PerCore<Stack>,
    keeper: Arc<Shared>,
}

#[derive(Default)]
struct Stack(Mutex<VecDeque<Resting>>);

struct Resting {
    clean: Clean,
    since: Instant,
}

impl Idle {
    pub(super) fn new(keeper: Arc<Shared>) -> Self {
        Self { stacks: PerCore::new(|_, _| Stack::default()), keeper }
    }

    /// Takes an instance for an invocation, if there is one.
    pub(super) fn take(&self) -> Option<Clean> {
        let mut stacks = self.stacks.iter();
        if let Some(resting) = stacks.next()?.lock().pop_back() {
            return Some(resting.clean);
        }
        stacks.find_map(|others| Some(others.0.try_lock().ok()?.pop_back()?.clean))
    }

    /// Keeps an instance that is indistinguishable from a new one, if the
    /// host's budget allows it. `since` is the time at which its last use
    /// began.
    pub(super) fn put(&self, mut clean: Clean, since: Instant) {
        if self.keeper.admit(&mut clean)
            && let Some(stack) = self.stacks.own()
        {
            stack.lock().push_back(Resting { clean, since });
        }
    }

    /// Drops the instances that have been idle since `then` or before.
    pub(super) fn drop_older(&self, then: Instant) {
        for stack in self.stacks.iter() {
            // One at a time and outside of the lock: dropping takes long, and
            // each instance holds a slot until it is dropped.
            while let Some(oldest) = stack.take_older(then) {
                drop(oldest);
            }
        }
    }

    /// The time since which each has been idle, and its reservation in bytes.
    pub(super) fn ages(&self) -> Vec<(Instant, usize)> {
        let mut ages = Vec::new();
        for stack in self.stacks.iter() {
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
