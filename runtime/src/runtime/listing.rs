//! The list of invocations in flight, for operators to read and to cancel from.
//!
//! An invocation adds itself once it has had to wait, or has used up a tick.
//! Most invocations end before that, and would be gone before a reader sees
//! them. Each core has a list of its own. A reader merges them, which is rare.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::body::REQUEST_ID;
use crate::context::{Cause, Context, Done};
use crate::cores::PerCore;

/// One invocation in flight, as [`Runtime::invocations`](crate::Runtime::invocations)
/// lists it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InvocationInfo {
    /// The id for [`Runtime::cancel`](crate::Runtime::cancel). No other
    /// invocation of this runtime ever has it.
    pub id: u64,
    /// The function's name.
    pub function: Arc<str>,
    /// The id of the invocation that called it, which may have ended.
    pub parent: Option<u64>,
    /// The id of its request, which its callees share.
    pub request_id: Option<String>,
    /// Time since its admission.
    pub age: Duration,
    /// Time until its deadline; zero once that has passed.
    pub remaining: Option<Duration>,
    /// How and why its context is done, if it is. The invocation is then in its
    /// grace period.
    pub done: Option<(Done, Cause)>,
}

/// All invocations in flight.
pub(crate) struct Listing {
    entries: PerCore<Mutex<Slab<ListEntry>>>,
    ids: PerCore<Ids>,
}

/// The ids that one core assigns.
struct Ids {
    next: AtomicU64,
    /// The number of cores, so that no two cores assign the same id.
    step: u64,
}

struct ListEntry {
    id: u64,
    function: Arc<str>,
    parent: Option<u64>,
    ctx: Context,
    started: Instant,
}

/// An entry of the list, removed on drop.
pub(crate) struct Listed<'a> {
    entries: &'a Mutex<Slab<ListEntry>>,
    place: usize,
}

impl Listing {
    pub(crate) fn new() -> Self {
        Self {
            entries: PerCore::new(|_, _| Mutex::default()),
            ids: PerCore::new(|core, cores| Ids {
                next: AtomicU64::new(core as u64 + 1),
                step: cores as u64,
            }),
        }
    }

    /// An id that no other invocation has had.
    pub(crate) fn id(&self) -> Option<u64> {
        let ids = self.ids.own()?;
        Some(ids.next.fetch_add(ids.step, Ordering::Relaxed))
    }

    /// Adds an invocation under `ctx`, which was admitted at `started`.
    pub(crate) fn enter(
        &self,
        id: Option<u64>,
        function: &Arc<str>,
        parent: Option<u64>,
        ctx: &Context,
        started: Instant,
    ) -> Option<Listed<'_>> {
        let (id, entries) = (id?, self.entries.own()?);
        let (function, ctx) = (function.clone(), ctx.clone());
        let place = lock(entries).insert(ListEntry { id, function, parent, ctx, started });
        Some(Listed { entries, place })
    }

    /// All invocations, sorted by id.
    pub(crate) fn list(&self) -> Vec<InvocationInfo> {
        let now = Instant::now();
        let mut all = self.map(|entry| InvocationInfo {
            id: entry.id,
            function: entry.function.clone(),
            parent: entry.parent,
            request_id: entry.ctx.value(&REQUEST_ID),
            age: now.saturating_duration_since(entry.started),
            remaining: entry.ctx.remaining(),
            done: entry.ctx.err().zip(entry.ctx.cause()),
        });
        all.sort_unstable_by_key(|info| info.id);
        all
    }

    /// Cancels an invocation and all invocations below it, at any depth.
    /// Returns their number.
    pub(crate) fn cancel(&self, id: u64, cause: &Cause) -> usize {
        let mut others = self.map(|entry| (entry.id, entry.parent, entry.ctx.clone()));
        let (mut ids, mut ending) = (HashSet::new(), Vec::new());
        // A callee that another core listed may have the smaller id, so search
        // until nothing more is found.
        loop {
            let before = ending.len();
            others.retain(|(own, parent, ctx)| {
                let meant = *own == id || parent.is_some_and(|parent| ids.contains(&parent));
                if meant {
                    ids.insert(*own);
                    ending.push(ctx.clone());
                }
                !meant
            });
            if ending.len() == before {
                break;
            }
        }
        // The uppermost first. If the context of another is a child of its
        // caller's, it is then canceled through the caller.
        ending.iter().for_each(|ctx| ctx.end(cause.clone()));
        ending.len()
    }

    fn map<T>(&self, each: impl Fn(&ListEntry) -> T) -> Vec<T> {
        let mut all = Vec::new();
        for entries in self.entries.iter() {
            all.extend(lock(entries).iter().map(|(_, entry)| each(entry)));
        }
        all
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let entry = lock(self.entries).try_remove(self.place);
        // Dropped outside the lock: it may hold the last reference to the
        // context.
        drop(entry);
    }
}

fn lock(entries: &Mutex<Slab<ListEntry>>) -> MutexGuard<'_, Slab<ListEntry>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        // The guard would cancel it. If the guard is forgotten, the context
        // stays alive.
        let (ctx, guard) = Context::background().with_cancel();
        std::mem::forget(guard);
        ctx
    }

    #[test]
    fn every_invocation_in_flight_is_listed_under_its_own_id() {
        let live = Listing::new();
        let now = Instant::now();
        let enter = |id| live.enter(id, &"f".into(), None, &context(), now).expect("a place");
        let ids = [live.id(), live.id(), live.id()].map(|id| id.expect("an id"));
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
        let listed = || live.list().iter().map(|info| info.id).collect::<Vec<_>>();
        let first = enter(Some(ids[0]));
        let second = enter(Some(ids[1]));
        assert_eq!(listed().len(), 2);
        drop(first);
        assert_eq!(listed(), [ids[1]]);
        let third = enter(Some(ids[2]));
        drop((second, third));
        assert!(listed().is_empty());
    }

    #[test]
    fn cancel_ends_an_invocation_and_all_that_it_called() {
        let live = Listing::new();
        let contexts: Vec<_> = (0..5).map(|_| context()).collect();
        let enter = |at: usize, parent| {
            let id = live.id();
            let listed = live.enter(id, &"f".into(), parent, &contexts[at], Instant::now());
            (id, listed.expect("a place"))
        };
        let (root, _listed) = enter(0, None);
        let (child, _child) = enter(1, root);
        let (_, _grandchild) = enter(2, child);
        let (_, _other) = enter(3, None);
        let (_, _orphan) = enter(4, Some(u64::MAX));
        assert_eq!(live.cancel(u64::MAX, &Cause::Operator), 0);
        let root = root.expect("an id");
        assert_eq!(live.cancel(root, &Cause::Operator), 3);
        let causes: Vec<_> = contexts.iter().map(Context::cause).collect();
        let ended = Some(Cause::Operator);
        assert_eq!(causes, [ended.clone(), ended.clone(), ended, None, None]);
    }
}
