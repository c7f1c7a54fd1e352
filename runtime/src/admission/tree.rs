//! Call trees: a root invocation with all calls below it, at any depth,
//! including those that were detached and outlive it.
//!
//! A tree's calls hold at most a share of the permits that are free or the
//! tree's own. With a share of one half, a tree that holds `n` permits gets
//! another one while more than `n` are free. A call beyond the share waits, the
//! deepest first and in FIFO order within a depth, until a permit of its tree
//! is returned or enough become free elsewhere.
//!
//! # No deadlock
//! One rule keeps callers from waiting for each other: a call waits only while
//! its tree holds a permit at its depth or below it. If the tree holds none
//! there, a call at depth `d` (a root's calls have depth 1) takes one beyond
//! the share, or fails as busy if the host is full.
//!
//! So the deepest invocation that holds a permit never waits for one: its calls
//! would be deeper still, where the tree holds none. It ends, at its deadline
//! at the latest, and returns its permit. If that was the last one at the depth
//! of a waiting call, the permit passes to that call directly. Hence a tree
//! with waiting calls always holds a permit that will be returned, and a
//! waiting call is admitted, or its context ends.
//!
//! Permits beyond the share were taken at different depths, each below the
//! previous one, so their number is at most the maximum depth of nested calls
//! ([`max_depth`](crate::RuntimeBuilder::max_depth)).
//!
//! # Bounds
//! A waiting call holds its request and a task, and no permit. In one tree as
//! many calls may wait as invocations may be in flight on the host, or 1,024 if
//! that is more; in all trees, four times as many. One more fails as busy.
//! Calls that were made and have not reached admission yet are bounded by
//! [`Begun`](super::Begun).
//!
//! # Locks
//! A tree's lock is taken before that of [`Growth`](super::permits::Growth).
//! Permits are handed over after both are released, because that wakes tasks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;

use super::sync::{AtomicUsize, Mutex, MutexGuard};
use super::{Admission, WAITING_TREES};
use crate::context::{Cause, Context};
use crate::outcome::Outcome;

/// The permits and waiting calls of one tree. It is created with the first
/// call.
#[derive(Default)]
pub(crate) struct CallTree {
    state: Mutex<State>,
    /// The number of its calls that were made and have not ended.
    pub(super) begun: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// The number of permits that its calls hold.
    held: usize,
    /// The number of its calls that wait.
    waiting: usize,
    /// By depth: the root's calls first.
    levels: Vec<Level>,
    /// The number of calls that have ever waited.
    tickets: u64,
    /// The number of free permits that it waits for, under which
    /// [`Growth`](super::permits::Growth) lists it.
    listed: Option<usize>,
}

/// The calls of one depth.
#[derive(Default)]
struct Level {
    held: usize,
    /// The waiting calls by their tickets, which ascend.
    queue: BTreeMap<u64, oneshot::Sender<CallPermit>>,
}

/// A call's permit to run, returned when it is dropped.
pub(crate) struct CallPermit(Option<TreePlace>);

/// The tree and the depth of a call.
#[derive(Clone)]
struct TreePlace {
    admission: Arc<Admission>,
    tree: Arc<CallTree>,
    level: usize,
}

/// A permit on its way to a waiting call.
pub(super) struct Grant(oneshot::Sender<CallPermit>, CallPermit);

/// A waiting call. Dropping it gives up its place in the queue.
struct Waiting {
    place: TreePlace,
    ticket: u64,
    permit: oneshot::Receiver<CallPermit>,
}

impl Admission {
    /// Admits a call of a tree, at a depth that counts from 1. If the tree has
    /// its share, the call waits, until `ctx` is done at the latest.
    ///
    /// # Errors
    /// The host is full, too many calls wait, or the context is done.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub(crate) async fn admit_call(
        self: &Arc<Self>,
        tree: &Arc<CallTree>,
        depth: u32,
        ctx: &Context,
    ) -> Result<CallPermit, Outcome> {
        let level = depth.saturating_sub(1) as usize;
        let place = TreePlace { admission: self.clone(), tree: tree.clone(), level };
        let mut waiting = match self.enter(place)? {
            Ok(permit) => return Ok(permit),
            Err(waiting) => waiting,
        };
        // Boxed, so that the future of a call that does not wait stays small.
        let admitted = async move {
            tokio::select! {
                biased;
                Ok(permit) = &mut waiting.permit => Ok(permit),
                done = ctx.done() => {
                    Err(Outcome::Done(done, ctx.cause().unwrap_or(Cause::Canceled)))
                }
            }
        };
        Box::pin(admitted).await
    }

    /// Takes a permit, or a place in the queue.
    fn enter(self: &Arc<Self>, place: TreePlace) -> Result<Result<CallPermit, Waiting>, Outcome> {
        let mut state = place.tree.lock();
        let alone = state.is_alone(place.level);
        let in_turn = || state.next().is_none_or(|next| next < place.level);
        if alone || (in_turn() && self.permits.has_free(self.needed(state.held))) {
            if self.permits.take() {
                state.hold(place.level);
                if state.waiting > 0 {
                    // The tree needs more free permits now and is listed under
                    // that number. A number that is too low would hide other
                    // trees.
                    let needed = self.needed(state.held);
                    self.growth.list(&place.tree, &mut state.listed, Some(needed));
                }
                drop(state);
                return Ok(Ok(CallPermit(Some(place))));
            }
            if alone {
                return Err(Outcome::Busy);
            }
        }
        if !self.may_wait(state.waiting) {
            return Err(Outcome::Busy);
        }
        let (sender, permit) = oneshot::channel();
        let ticket = state.queue(place.level, sender);
        let mut grants = Vec::new();
        self.settle(&place.tree, &mut state, &mut grants);
        drop(state);
        deliver(grants);
        Ok(Err(Waiting { place, ticket, permit }))
    }

    /// The number of permits that must be free for a tree that holds `held` to
    /// get another.
    fn needed(&self, held: usize) -> usize {
        // The cast rounds down, saturates, and turns 0 times infinity into 0.
        // In the list of waiting trees the largest number means that no tree
        // waits.
        ((held as f64 * self.reserve) as usize).min(usize::MAX - 2) + 1
    }

    /// Counts one more waiting call, if a tree with `waiting` of them may have
    /// another.
    fn may_wait(&self, waiting: usize) -> bool {
        let most = self.most_waiting;
        let all = self.waiting.fetch_add(1, Ordering::SeqCst);
        let allowed = waiting < most && all < most.saturating_mul(WAITING_TREES);
        if !allowed {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        allowed
    }

    /// Admits the calls of a tree that may start. The number that the tree
    /// needs is listed before each check of the free permits.
    fn settle(self: &Arc<Self>, tree: &Arc<CallTree>, state: &mut State, grants: &mut Vec<Grant>) {
        loop {
            let needed = (state.waiting > 0).then(|| self.needed(state.held));
            self.growth.list(tree, &mut state.listed, needed);
            let Some(needed) = needed else { return state.trim() };
            if !self.permits.has_free(needed) || !self.permits.take() {
                return;
            }
            grants.extend(self.let_in(tree, state));
        }
    }

    /// Admits the next call, with a permit that was taken for it.
    fn let_in(self: &Arc<Self>, tree: &Arc<CallTree>, state: &mut State) -> Option<Grant> {
        let level = state.next()?;
        let (_, sender) = state.levels.get_mut(level)?.queue.pop_first()?;
        state.waiting -= 1;
        state.hold(level);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let place = TreePlace { admission: self.clone(), tree: tree.clone(), level };
        Some(Grant(sender, CallPermit(Some(place))))
    }

    /// Admits the waiting calls of any tree that may start after permits were
    /// returned.
    #[cold]
    pub(super) fn grown(self: &Arc<Self>, grants: &mut Vec<Grant>) {
        while let Some(tree) = self.growth.next(&self.permits) {
            let before = grants.len();
            self.settle(&tree, &mut tree.lock(), grants);
            if grants.len() == before {
                // Another thread was faster, and checks again when it is done.
                return;
            }
        }
    }
}

impl CallTree {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the tree holds no permit at this depth or below it.
    fn is_alone(&self, level: usize) -> bool {
        self.levels.iter().skip(level).all(|level| level.held == 0)
    }

    /// The depth of the call that is admitted next.
    fn next(&self) -> Option<usize> {
        if self.waiting == 0 {
            return None;
        }
        self.levels.iter().rposition(|level| !level.queue.is_empty())
    }

    fn level(&mut self, level: usize) -> Option<&mut Level> {
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Level::default);
        }
        self.levels.get_mut(level)
    }

    fn hold(&mut self, level: usize) {
        self.held += 1;
        if let Some(level) = self.level(level) {
            level.held += 1;
        }
    }

    fn queue(&mut self, level: usize, sender: oneshot::Sender<CallPermit>) -> u64 {
        self.tickets += 1;
        self.waiting += 1;
        let ticket = self.tickets;
        if let Some(level) = self.level(level) {
            level.queue.insert(ticket, sender);
        }
        ticket
    }

    /// Removes the depths that hold no permit and no waiting call.
    fn trim(&mut self) {
        let used = self.levels.iter().rposition(|level| level.held > 0 || !level.queue.is_empty());
        self.levels.truncate(used.map_or(0, |last| last + 1));
    }
}

impl TreePlace {
    /// Returns the permit, or passes it on within the tree. Returns grants for
    /// all calls that can start now.
    fn release(self) -> Vec<Grant> {
        let (Self { admission, tree, level }, mut grants) = (self, Vec::new());
        let mut state = tree.lock();
        state.held -= 1;
        if let Some(level) = state.levels.get_mut(level) {
            level.held -= 1;
        }
        let passes = state.next().is_some_and(|next| {
            let others = admission.needed(state.held) - 1;
            state.is_alone(next) || admission.permits.has_free(others)
        });
        if passes {
            grants.extend(admission.let_in(&tree, &mut state));
        } else {
            admission.permits.put_back();
        }
        admission.settle(&tree, &mut state, &mut grants);
        drop(state);
        if !passes {
            admission.returned(&mut grants);
        }
        grants
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let TreePlace { admission, tree, level } = &self.place;
        let mut state = tree.lock();
        let left = state.levels.get_mut(*level).and_then(|level| level.queue.remove(&self.ticket));
        if left.is_none() {
            // The call was admitted: the permit is returned with the receiver.
            return;
        }
        state.waiting -= 1;
        admission.waiting.fetch_sub(1, Ordering::SeqCst);
        let mut grants = Vec::new();
        admission.settle(tree, &mut state, &mut grants);
        drop(state);
        deliver(grants);
    }
}

/// Hands permits over, outside of all locks.
pub(super) fn deliver(mut grants: Vec<Grant>) {
    while let Some(Grant(sender, permit)) = grants.pop() {
        // The call may have been given up at that very moment. A loop, so that
        // many such calls do not nest.
        if let Err(mut permit) = sender.send(permit)
            && let Some(place) = permit.0.take()
        {
            grants.extend(place.release());
        }
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            deliver(place.release());
        }
    }
}

impl fmt::Debug for CallTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { held, waiting, .. } = &*self.lock();
        f.debug_struct("CallTree").field("held", held).field("waiting", waiting).finish()
    }
}

#[cfg(all(test, not(interleavings)))]
mod tests;
