//! The invocations in flight: for people to see, and to end.
//!
//! An invocation enters itself once it has had to wait, or has used up a tick:
//! most end before that, and would be gone before anybody has read of them. The
//! list is kept once per core, and put together by whoever asks, which is rare.

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
    /// What [`Runtime::cancel`](crate::Runtime::cancel) knows it by: no other
    /// invocation of this runtime has it, then or later.
    pub id: u64,
    /// The function's name.
    pub function: Arc<str>,
    /// The invocation that called it, which may have ended.
    pub parent: Option<u64>,
    /// The id of the request that it is for, which its callees share.
    pub request_id: Option<String>,
    /// Since its admission.
    pub age: Duration,
    /// Until its deadline; zero once that has passed.
    pub remaining: Option<Duration>,
    /// How and why its context is done, where it is: it is then in its grace.
    pub done: Option<(Done, Cause)>,
}

/// All invocations in flight.
pub(crate) struct Listing {
    entries: PerCore<Mutex<Slab<Entry>>>,
    ids: PerCore<Ids>,
}

/// The ids that one core gives.
struct Ids {
    next: AtomicU64,
    /// As many as there are cores, so that no two of them give the same.
    step: u64,
}

struct Entry {
    id: u64,
    function: Arc<str>,
    parent: Option<u64>,
    ctx: Context,
    started: Instant,
}

/// An invocation's place in the list, left when this is dropped.
pub(crate) struct Listed<'a> {
    entries: &'a Mutex<Slab<Entry>>,
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

    /// An id that no invocation has had.
    pub(crate) fn id(&self) -> Option<u64> {
        let ids = self.ids.own()?;
        Some(ids.next.fetch_add(ids.step, Ordering::Relaxed))
    }

    /// Enters an invocation under `ctx` that was admitted at that moment.
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
        let place = lock(entries).insert(Entry { id, function, parent, ctx, started });
        Some(Listed { entries, place })
    }

    /// All of them, by their ids.
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

    /// Ends one with all that it called, and what those called, and so on; how
    /// many they were.
    pub(crate) fn cancel(&self, id: u64, cause: &Cause) -> usize {
        let mut others = self.map(|entry| (entry.id, entry.parent, entry.ctx.clone()));
        let (mut ids, mut ending) = (HashSet::new(), Vec::new());
        // A callee may have the smaller id, where it is another core's, so look
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
        // The uppermost first, so that the others hear of it from their caller
        // wherever their context is its child.
        ending.iter().for_each(|ctx| ctx.end(cause.clone()));
        ending.len()
    }

    fn map<T>(&self, each: impl Fn(&Entry) -> T) -> Vec<T> {
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
        // Outside the lock: it may be the last to hold the context.
        drop(entry);
    }
}

fn lock(entries: &Mutex<Slab<Entry>>) -> MutexGuard<'_, Slab<Entry>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        // The guard would end it; a context lives on when that is forgotten.
        let (ctx, guard) = Context::background().with_cancel();
        std::mem::forget(guard);
        ctx
    }

    #[test]
    fn whoever_is_in_flight_is_listed_under_an_id_of_its_own() {
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
    fn one_is_ended_with_all_that_it_called_and_nobody_else() {
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
