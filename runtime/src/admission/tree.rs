//! Call trees: a root invocation with all calls below it, however deep, also
//! those that were detached and go on without it.
//!
//! A tree's calls hold at most a share of the permits that are free or the
//! tree's own: with half, a tree that holds `n` gets another one while more than
//! `n` are free. A call beyond the share waits, the deepest first and in order
//! among equals, until a permit of its tree is returned or enough become free
//! elsewhere.
//!
//! # No deadlock
//! One rule keeps callers from waiting for each other: a call waits only while
//! its tree holds a permit at its depth or below it. A call at depth `d`
//! (a root's calls have depth 1) that finds none there takes one beyond the
//! share, or fails as busy where the host is full.
//!
//! So the deepest invocation that holds a permit never waits for one: its calls
//! would be deeper still, where nothing is held. It comes to its end, at its
//! deadline at the latest, and returns its permit. If that was the last one at
//! the depth of a waiting call, the permit passes to that call directly. Hence a
//! tree in which calls wait always holds a permit that will be returned, and a
//! call that waits is let in, or its context ends.
//!
//! Permits beyond the share were taken at different depths, each below those
//! before it, so there are at most as many as calls may be nested
//! ([`max_depth`](crate::RuntimeBuilder::max_depth)).
//!
//! # Bounds
//! A call that waits holds its request and a task, and no permit. Of one tree as
//! many may wait as may be in flight on the host, or 1,024 if that is more; of
//! all trees four times as many. One more fails as busy. Those that were made and
//! have not come here yet are bounded by [`begun`](super::begun).
//!
//! # Locks
//! A tree's lock comes before that of [`growth`](super::growth). Permits are
//! handed over after both are released, as that wakes tasks.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;

use super::sync::{AtomicUsize, Mutex, MutexGuard};
use super::{Admission, WAITING_TREES};
use crate::context::{Cause, Context};
use crate::outcome::Outcome;

/// What one tree's calls hold. It is made with the first call.
#[derive(Default)]
pub(crate) struct CallTree {
    state: Mutex<State>,
    /// How many of its calls were made and have not ended.
    pub(super) begun: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// How many permits its calls hold.
    held: usize,
    /// How many of its calls wait.
    waiting: usize,
    /// By depth: the root's calls first.
    levels: Vec<Level>,
    /// How many calls have ever waited.
    tickets: u64,
    /// How many free permits it waits for, as [`growth`](super::growth) lists it.
    listed: Option<usize>,
}

/// The calls of one depth.
#[derive(Default)]
struct Level {
    held: usize,
    /// Those that wait, by their tickets, which are in order.
    queue: BTreeMap<u64, oneshot::Sender<CallPermit>>,
}

/// A call's right to run, returned when it is dropped.
pub(crate) struct CallPermit(Option<Place>);

/// Where in which tree a call is.
#[derive(Clone)]
struct Place {
    admission: Arc<Admission>,
    tree: Arc<CallTree>,
    level: usize,
}

/// A permit on its way to a call that waited.
pub(super) struct Grant(oneshot::Sender<CallPermit>, CallPermit);

/// A call that has come to the door.
enum Entered {
    Admitted(CallPermit),
    Waiting(Waiting),
}

/// A call that waits. Dropping it gives up its place in the queue.
struct Waiting {
    place: Place,
    ticket: u64,
    permit: oneshot::Receiver<CallPermit>,
}

impl Admission {
    /// Lets a call in that is made in a tree, at a depth that counts from 1. It
    /// waits where the tree has its share, until `ctx` is done at the latest.
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
        let place = Place { admission: self.clone(), tree: tree.clone(), level };
        let waiting = match self.enter(place)? {
            Entered::Admitted(permit) => return Ok(permit),
            Entered::Waiting(waiting) => waiting,
        };
        // Boxed, so that a call that need not wait is no larger for it.
        let admitted = async {
            tokio::select! {
                biased;
                permit = waiting.admitted() => Ok(permit),
                done = ctx.done() => {
                    Err(Outcome::Done(done, ctx.cause().unwrap_or(Cause::Canceled)))
                }
            }
        };
        Box::pin(admitted).await
    }

    /// Takes a permit, or a place in the queue.
    fn enter(self: &Arc<Self>, place: Place) -> Result<Entered, Outcome> {
        let mut state = place.tree.lock();
        let alone = state.is_alone(place.level);
        let in_turn = || state.next().is_none_or(|next| next < place.level);
        if alone || (in_turn() && self.permits.has_free(self.needed(state.held))) {
            if let Some(permit) = self.permits.take() {
                permit.forget();
                state.hold(place.level);
                if state.waiting > 0 {
                    // It needs more now, and is listed under that: with too low a
                    // number it would hide others.
                    let needed = self.needed(state.held);
                    self.growth.list(&place.tree, &mut state.listed, Some(needed));
                }
                drop(state);
                return Ok(Entered::Admitted(CallPermit(Some(place))));
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
        Ok(Entered::Waiting(Waiting { place, ticket, permit }))
    }

    /// How many permits have to be free for a tree that holds `held` to get
    /// another.
    fn needed(&self, held: usize) -> usize {
        // The cast rounds down, saturates, and makes 0 of 0 times infinity. The
        // largest number stands for no tree in the list of those that wait.
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

    /// Lets in what may start of a tree. What it needs is listed before each look
    /// at what is free.
    fn settle(self: &Arc<Self>, tree: &Arc<CallTree>, state: &mut State, grants: &mut Vec<Grant>) {
        loop {
            let needed = (state.waiting > 0).then(|| self.needed(state.held));
            self.growth.list(tree, &mut state.listed, needed);
            let Some(needed) = needed else { return state.trim() };
            if !self.permits.has_free(needed) {
                return;
            }
            let Some(permit) = self.permits.take() else { return };
            permit.forget();
            grants.extend(self.let_in(tree, state));
        }
    }

    /// Lets the next call in, with a permit that was taken for it.
    fn let_in(self: &Arc<Self>, tree: &Arc<CallTree>, state: &mut State) -> Option<Grant> {
        let level = state.next()?;
        let (_, sender) = state.levels.get_mut(level)?.queue.pop_first()?;
        state.waiting -= 1;
        state.hold(level);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let place = Place { admission: self.clone(), tree: tree.clone(), level };
        Some(Grant(sender, CallPermit(Some(place))))
    }

    /// Lets in what waits in any tree and may start, as permits were returned.
    #[cold]
    pub(super) fn grown(self: &Arc<Self>, grants: &mut Vec<Grant>) {
        while let Some(tree) = self.growth.next(&self.permits) {
            let before = grants.len();
            self.settle(&tree, &mut tree.lock(), grants);
            if grants.len() == before {
                // Another thread was quicker, and looks again when it is done.
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
    /// Whether the tree holds nothing at this depth or below it.
    fn is_alone(&self, level: usize) -> bool {
        self.levels.iter().skip(level).all(|level| level.held == 0)
    }

    /// The depth of the call that is to be let in next.
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

    /// Forgets the depths at which nothing is left.
    fn trim(&mut self) {
        let used = self.levels.iter().rposition(|level| level.held > 0 || !level.queue.is_empty());
        self.levels.truncate(used.map_or(0, |last| last + 1));
    }
}

impl Place {
    /// Returns the permit, or passes it on within the tree. Gives all calls that
    /// can start now.
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

impl Waiting {
    async fn admitted(mut self) -> CallPermit {
        match (&mut self.permit).await {
            Ok(permit) => permit,
            // The sender is kept until this is dropped.
            Err(_) => pending().await,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Place { admission, tree, level } = &self.place;
        let mut state = tree.lock();
        let left = state.levels.get_mut(*level).and_then(|level| level.queue.remove(&self.ticket));
        if left.is_none() {
            // It was let in: the permit is returned with the receiver.
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
        // A call may have been given up at that very moment. This is a loop so
        // that many of them do not nest.
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
