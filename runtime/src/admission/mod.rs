//! Decides whether an invocation may start. A bounded number may run at once,
//! and none starts once the runtime drains.
//!
//! An invocation without a caller (a root) starts at once or fails. A call
//! belongs to the call tree of its root, and a tree may hold only a share of
//! the permits: beyond that its calls wait, see [`tree`].
//!
//! # Layout
//! - [`Admission`]: the limit and the entry point; [`Permit`]: a root's permit;
//!   [`Begun`]: a call that has not ended.
//! - [`permits`]: the permits themselves, and the trees that can continue once
//!   more of them are free.
//! - [`tree`]: the permits that a call tree holds, and its waiting calls.

mod permits;
mod tree;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;

use self::permits::{Growth, Permits};
use self::sync::{AtomicBool, AtomicUsize};
use self::tree::Grant;
pub(crate) use self::tree::{CallPermit, CallTree};
use crate::outcome::Outcome;

/// The minimum of the limit on waiting calls of one tree, even if few
/// invocations may be in flight.
const LEAST_WAITING: usize = 1_024;

/// The limit on all waiting calls, as a multiple of the limit per tree.
const WAITING_TREES: usize = 4;

/// The host's capacity and its use.
#[derive(Debug)]
pub(crate) struct Admission {
    permits: Permits,
    /// The number of permits that must be free, per permit that a call tree
    /// holds, for the tree to get another.
    reserve: f64,
    growth: Growth,
    /// The number of calls that were made and have not ended, in all trees.
    begun: AtomicUsize,
    /// The number of waiting calls, in all trees.
    waiting: AtomicUsize,
    /// The maximum number of waiting calls of one tree.
    most_waiting: usize,
    draining: AtomicBool,
    idle: Notify,
}

/// A root's permit to run, returned when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Arc<Admission>);

/// A call that was made. It ends when this is dropped.
///
/// Calls are counted from the start, including those that no task has polled
/// yet. A guest can make calls faster than they reach admission. If each of them
/// makes more, as in a function that calls itself, their number would double
/// without end. Each takes several KiB. A call is therefore refused once as
/// many have been made as may run and wait.
pub(crate) struct Begun {
    admission: Arc<Admission>,
    tree: Arc<CallTree>,
}

impl Admission {
    /// Admits up to `most` invocations at once. A call tree may hold `share` of
    /// the permits that are free or its own.
    pub(crate) fn new(most: usize, share: f64) -> Arc<Self> {
        // NaN counts as 0, and 0 makes the reserve infinite: then a tree has
        // one call in flight.
        let share = if share > 0.0 { share.min(1.0) } else { 0.0 };
        Arc::new(Self {
            permits: Permits::new(most),
            reserve: (1.0 - share) / share,
            growth: Growth::new(),
            begun: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            most_waiting: most.max(LEAST_WAITING),
            draining: AtomicBool::new(false),
            idle: Notify::new(),
        })
    }

    /// Admits a root, or returns the reason why not. It never waits.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Permit<'_>, Outcome> {
        // Taken before the flag is read, because a drain sets the flag before
        // the permits are counted: one of the two sees the other.
        let permit = self.permits.take().then(|| Permit(self));
        if self.draining.load(Ordering::SeqCst) {
            return Err(Outcome::Draining);
        }
        permit.ok_or(Outcome::Busy)
    }

    /// Counts a call of a tree.
    ///
    /// # Errors
    /// There are too many calls in its tree, or in total.
    pub(crate) fn begin_call(self: &Arc<Self>, tree: &Arc<CallTree>) -> Result<Begun, Outcome> {
        let of_tree = tree.begun.fetch_add(1, Ordering::Relaxed);
        let of_all = self.begun.fetch_add(1, Ordering::Relaxed);
        // From here on, dropping it undoes the count.
        let begun = Begun { admission: self.clone(), tree: tree.clone() };
        let (most, waiting) = (self.permits.most, self.most_waiting);
        let fits = of_tree < most.saturating_add(waiting)
            && of_all < most.saturating_add(waiting.saturating_mul(WAITING_TREES));
        if fits { Ok(begun) } else { Err(Outcome::Busy) }
    }

    /// The number of invocations in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.permits.taken()
    }

    /// Admits no more roots. Calls are still admitted, so that the invocations
    /// in flight can complete.
    pub(crate) fn close(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Waits until nothing is in flight.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            if self.in_flight() == 0 {
                return;
            }
            notified.await;
        }
    }

    /// Must be called after a permit was returned. Adds the calls that can
    /// start now to `grants`.
    fn returned(self: &Arc<Self>, grants: &mut Vec<Grant>) {
        if self.draining.load(Ordering::SeqCst) && self.in_flight() == 0 {
            self.idle.notify_waiters();
        }
        if self.growth.is_awaited() {
            self.grown(grants);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut grants = Vec::new();
        self.0.permits.put_back();
        self.0.returned(&mut grants);
        tree::deliver(grants);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.tree.begun.fetch_sub(1, Ordering::Relaxed);
        self.admission.begun.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The locks and atomics of admission: those of the standard library, or those
/// of loom. With loom the tests in `tests/interleavings` explore every
/// interleaving of the threads.
mod sync {
    #[cfg(interleavings)]
    pub(super) use loom::sync::{Mutex, MutexGuard, atomic::AtomicBool, atomic::AtomicUsize};
    #[cfg(not(interleavings))]
    pub(super) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool, atomic::AtomicUsize};

    /// A fence between a store and a load that are both sequentially
    /// consistent. Loom treats them as release and acquire, so it needs the
    /// fence to order them.
    pub(super) fn ordered() {
        #[cfg(interleavings)]
        loom::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(all(test, not(interleavings)))]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_is_given_back() {
        let admission = Admission::new(2, 0.5);
        let first = admission.admit().expect("room");
        let _second = admission.admit().expect("room");
        assert!(matches!(admission.admit(), Err(Outcome::Busy)));
        assert_eq!(admission.in_flight(), 2);
        drop(first);
        assert!(admission.admit().is_ok());
    }

    #[tokio::test]
    async fn a_closed_door_drains() {
        let admission = Admission::new(2, 0.5);
        let permit = admission.admit().expect("room");
        admission.close();
        assert!(matches!(admission.admit(), Err(Outcome::Draining)));
        let waiting = admission.idle();
        let mut waiting = std::pin::pin!(waiting);
        tokio::select! {
            biased;
            () = &mut waiting => panic!("one is still in flight"),
            () = std::future::ready(()) => {}
        }
        drop(permit);
        waiting.await;
    }

    #[test]
    fn a_tree_makes_as_many_calls_as_can_run_and_wait() {
        let (admission, tree) = (Admission::new(2, 0.5), Arc::default());
        let begin = |tree| admission.begin_call(tree).ok();
        let mut begun: Vec<_> = std::iter::from_fn(|| begin(&tree)).collect();
        assert_eq!(begun.len(), 2 + admission.most_waiting);
        let other = Arc::default();
        assert!(begin(&other).is_some());
        begun.pop();
        assert!(begin(&tree).is_some());
        begun.clear();
        let trees: Vec<Arc<CallTree>> = (0..8).map(|_| Arc::default()).collect();
        let all: usize = trees
            .iter()
            .map(|tree| {
                let before = begun.len();
                begun.extend(std::iter::from_fn(|| begin(tree)));
                begun.len() - before
            })
            .sum();
        assert_eq!(all, 2 + WAITING_TREES * admission.most_waiting);
    }
}
