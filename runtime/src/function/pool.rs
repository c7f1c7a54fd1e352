//! A function's idle instances: fresh ones that wait for the next invocation.
//!
//! They are kept in stacks, one for each core that the process may use. The
//! most recently used instance is taken first, because its memory is warm, and
//! those at the bottom age until the [evictor](super::evictor) drops them. Only
//! a thread that finds its core's stack empty tries the other stacks, and none
//! ever waits: it is faster to create an instance.
//!
//! They belong to one version of a function and end with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::evictor::EvictorState;
use super::instance::ReadyInstance;
use crate::cores::PerCore;
use crate::sync::lock;

/// Idle instances of one version of a function.
pub(crate) struct Idle {
    stacks: PerCore<Stack>,
    evictor: Arc<EvictorState>,
}

type Stack = Mutex<VecDeque<IdleEntry>>;

struct IdleEntry {
    ready: ReadyInstance,
    since: Instant,
}

impl Idle {
    pub(super) fn new(evictor: Arc<EvictorState>) -> Self {
        Self { stacks: PerCore::new(|_, _| Stack::default()), evictor }
    }

    /// Takes an instance for an invocation, if there is one.
    pub(super) fn take(&self) -> Option<ReadyInstance> {
        let mut stacks = self.stacks.iter();
        if let Some(entry) = lock(stacks.next()?).pop_back() {
            return Some(entry.ready);
        }
        stacks.find_map(|other| Some(other.try_lock().ok()?.pop_back()?.ready))
    }

    /// Keeps an instance that is indistinguishable from a new one, if the
    /// host's budget allows it. `since` is the time at which its last use
    /// began.
    pub(super) fn put(&self, mut ready: ReadyInstance, since: Instant) {
        if self.evictor.admit(&mut ready)
            && let Some(stack) = self.stacks.own()
        {
            lock(stack).push_back(IdleEntry { ready, since });
        }
    }

    /// Drops the instances that have been idle since `then` or before.
    pub(super) fn drop_older(&self, then: Instant) {
        for stack in self.stacks.iter() {
            // One at a time and outside of the lock: dropping takes long, and
            // each instance holds a slot until it is dropped.
            let next = || lock(stack).pop_front_if(|oldest| oldest.since <= then);
            while let Some(oldest) = next() {
                drop(oldest);
            }
        }
    }

    /// The time since which each has been idle, and its reservation in bytes.
    pub(super) fn ages(&self) -> Vec<(Instant, u64)> {
        let mut ages = Vec::new();
        for stack in self.stacks.iter() {
            ages.extend(lock(stack).iter().map(|entry| (entry.since, entry.ready.reserved())));
        }
        ages
    }
}
