//! The tree behind the contexts: which are done, why, and which waiters are
//! notified.
//!
//! # How it works
//!
//! A node *ends* once, by writing its [`End`]; a *sweep* then ends every
//! descendant, takes all of them out of the tree, wakes the waiters and
//! launches jobs. Whether a node has ended is a single atomic load plus, if it
//! has a deadline, one read of the clock. No node owns a timer.
//!
//! # Invariants
//!
//! - A thread holds at most one node's lock at a time, and runs no foreign code
//!   under it, so there is no lock order to violate.
//! - A node that has ended takes no more children: both are decided under its
//!   lock.
//! - A node leaves its parent's list only once it has no children left. A
//!   thread that sweeps a node during another thread's sweep of it therefore
//!   helps, and never returns before all of the node's descendants have ended.
//! - Parents and children own each other until the child is swept or abandoned,
//!   which the drop of its guard guarantees. So a node never outlives its place
//!   in the tree, and dropping one never drops a chain of others.
//! - A node's deadline is no later than its parent's. An expiry that has not
//!   been noticed yet therefore needs no propagation.
//! - An end has one moment, which decides for every descendant whether its own
//!   deadline had passed by then. So a whole sweep reads the clock once.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, sleep_until};

use super::after::Job;
use super::cause::{Cause, Done};
use super::sync::{AtomicU8, AtomicUsize, Mutex, MutexGuard};

/// Lists of children no longer than this are not worth shrinking. Without a
/// floor, every first child would pay for an allocation and every last one for
/// freeing it.
const KEPT: usize = 8;

/// How and why a node ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) done: Done,
    pub(super) cause: Cause,
    /// The time of the end: the deadline, or the moment of the cancel.
    pub(super) at: Instant,
}

/// When a node ends by itself, and the cause of that end.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    pub(super) cause: Cause,
}

impl Deadline {
    /// The end that the deadline caused, if it had passed at `by`.
    fn end(&self, by: Instant) -> Option<End> {
        (self.at <= by).then(|| End {
            done: Done::DeadlineExceeded,
            cause: self.cause.clone(),
            at: self.at,
        })
    }
}

/// One cancelable context.
pub(super) struct Node {
    deadline: Option<Deadline>,
    /// A copy of the state's `done`, which can be read without the lock.
    done: Flag,
    /// The node's index in its parent's list, read and written only under the
    /// parent's lock: it is atomic only because the node is shared.
    place: AtomicUsize,
    state: Mutex<State>,
}

/// The mutable part of a node. The sweep clears all of it except the end.
#[derive(Default)]
struct State {
    end: Option<End>,
    parent: Option<Arc<Node>>,
    children: Children,
    /// Created by the first waiter: most nodes never have one.
    waiters: Option<Arc<Notify>>,
    job: Option<Box<Job>>,
}

impl Node {
    /// A node attached to `parent`, with the earlier of the parent's deadline
    /// and its own. If the parent has ended, the node has that end from the
    /// start.
    ///
    /// Takes its own deadline by reference because copying it into place is
    /// measurably cheaper than moving it there step by step.
    pub(super) fn derive(
        parent: Option<&Arc<Node>>,
        own: Option<&Deadline>,
        job: Option<Box<Job>>,
    ) -> Arc<Node> {
        let inherited = parent.and_then(|parent| parent.deadline.as_ref());
        let deadline = match (inherited, own) {
            (Some(inherited), Some(own)) if own.at < inherited.at => Some(own),
            (Some(inherited), _) => Some(inherited),
            (None, own) => own,
        };
        let node = Arc::new(Node {
            deadline: deadline.cloned(),
            done: Flag::default(),
            place: AtomicUsize::new(0),
            state: Mutex::new(State { parent: parent.cloned(), job, ..State::default() }),
        });
        if let Some(end) = parent.and_then(|parent| parent.adopt(&node)) {
            node.write(&mut node.state(), &end);
            node.finish(end);
        }
        node
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.as_ref().map(|deadline| deadline.at)
    }

    /// How the node ended, if it has.
    pub(super) fn done(self: &Arc<Node>) -> Option<Done> {
        self.done.get().or_else(|| {
            self.finish(self.deadline.as_ref()?.end(Instant::now())?);
            // A cancel that read the clock just before may have won.
            self.done.get()
        })
    }

    /// How and why the node ended, if it has.
    pub(super) fn end(self: &Arc<Node>) -> Option<End> {
        self.done()?;
        self.state().end.clone()
    }

    /// Waits until the node has ended and been swept. Cancel safe: it only
    /// reads.
    pub(super) async fn wait(self: &Arc<Node>) -> Done {
        loop {
            let swept = match self.end_or_await() {
                Ok(swept) => swept,
                Err(end) => {
                    let done = end.done;
                    self.finish(end);
                    return done;
                }
            };
            match self.deadline() {
                None => swept.await,
                Some(at) => tokio::select! {
                    biased;
                    () = swept => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }

    /// Waits until the node has been ended and swept. A deadline that has
    /// passed ends it only once the node is checked. Cancel safe.
    pub(super) async fn ended(self: &Arc<Node>) {
        match self.end_or_await() {
            Ok(swept) => swept.await,
            Err(end) => self.finish(end),
        }
    }

    /// Ends the node and its descendants, except those that ended before,
    /// through a cancel of their own or a deadline that has passed.
    pub(super) fn cancel(self: &Arc<Node>, cause: Cause) {
        let done = Done::Canceled;
        self.finish(End { done, cause, at: Instant::now() });
    }

    /// Cancels the node because its guard is dropped. If only that guard and
    /// its parent hold the node, nothing is derived from it and its end can
    /// never be observed. It then leaves the tree without an end, which saves a
    /// read of the clock.
    pub(super) fn abandon(self: &Arc<Node>) {
        // As long as it knows its parent, one count is that of the parent's
        // list.
        if Arc::strong_count(self) == 2
            && let Some(parent) = self.state().parent.take()
        {
            return parent.disown(self);
        }
        self.cancel(Cause::Canceled);
    }

    pub(super) fn children(self: &Arc<Node>) -> usize {
        self.done();
        self.state().children.0.len()
    }

    /// The number of nodes below it.
    pub(super) fn descendants(self: &Arc<Node>) -> usize {
        let (mut count, mut open) = (0, vec![self.clone()]);
        while let Some(node) = open.pop() {
            let state = node.state();
            count += state.children.0.len();
            open.extend(state.children.0.iter().cloned());
        }
        count
    }

    /// Removes the job, so that it will not be launched.
    pub(super) fn take_job(&self) -> Option<Box<Job>> {
        self.state().job.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Attaches `child`, or returns the end of the node if it has ended.
    fn adopt(self: &Arc<Node>, child: &Arc<Node>) -> Option<End> {
        // Otherwise they share the deadline, if any, and the end that it
        // causes.
        if child.deadline() < self.deadline() {
            self.done();
        }
        let mut state = self.state();
        if state.end.is_none() {
            state.children.insert(child.clone());
        }
        state.end.clone()
    }

    fn disown(&self, child: &Arc<Node>) {
        let removed = self.state().children.remove(child);
        drop(removed);
    }

    /// A notification for the sweep of the node; or the node's end, if it has
    /// ended.
    fn end_or_await(self: &Arc<Node>) -> Result<OwnedNotified, End> {
        self.done();
        let mut state = self.state();
        match &state.end {
            Some(end) => Err(end.clone()),
            // Created under the lock, so that no wake-up is lost in between.
            None => Ok(state.waiters.get_or_insert_default().clone().notified_owned()),
        }
    }

    fn write(&self, state: &mut State, end: &End) {
        state.end = Some(end.clone());
        self.done.set(end.done);
    }

    /// Ends the node, if it has not ended, and sweeps it: ends every
    /// descendant, each as its parent did, and takes all of them out of the
    /// tree, each after its own descendants. Keeps its own stack, because a
    /// chain of contexts may be longer than a thread's stack is deep.
    fn finish(self: &Arc<Node>, mut end: End) {
        let mut path: Vec<Arc<Node>> = Vec::new();
        loop {
            let here = path.last().unwrap_or(self);
            match here.step(&end) {
                Step::Down(child, inherited) => {
                    end = inherited;
                    path.push(child);
                }
                Step::Up(leave) => match path.pop() {
                    Some(left) => {
                        path.last().unwrap_or(self).disown(&left);
                        left.announce(leave);
                    }
                    None => {
                        if let Some(parent) = &leave.parent {
                            parent.disown(self);
                        }
                        return self.announce(leave);
                    }
                },
            }
        }
    }

    fn step(&self, end: &End) -> Step {
        let mut state = self.state();
        if state.end.is_none() {
            let expired = self.deadline.as_ref().and_then(|deadline| deadline.end(end.at));
            self.write(&mut state, expired.as_ref().unwrap_or(end));
        }
        match (state.children.0.last(), &state.end) {
            (Some(child), Some(end)) => Step::Down(child.clone(), end.clone()),
            _ => Step::Up(state.leave()),
        }
    }

    fn announce(&self, leave: Leave) {
        if let Some(waiters) = leave.waiters {
            waiters.notify_waiters();
        }
        if let Some(job) = leave.job {
            job.launch();
        }
    }
}

impl State {
    fn leave(&mut self) -> Leave {
        Leave { parent: self.parent.take(), waiters: self.waiters.take(), job: self.job.take() }
    }
}

/// The nodes attached to one node: a list with removal in constant time that
/// shrinks as children leave.
///
/// A child knows its index in its parent's list; when it leaves, the last child
/// takes its place.
#[derive(Default)]
struct Children(Vec<Arc<Node>>);

impl Children {
    fn insert(&mut self, child: Arc<Node>) {
        child.place.store(self.0.len(), Ordering::Relaxed);
        self.0.push(child);
    }

    /// Removes `child`, if it is in the list. The caller drops it outside of
    /// the lock.
    fn remove(&mut self, child: &Arc<Node>) -> Option<Arc<Node>> {
        let place = child.place.load(Ordering::Relaxed);
        self.0.get(place).filter(|found| Arc::ptr_eq(found, child))?;
        let removed = self.0.swap_remove(place);
        if let Some(moved) = self.0.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
        if self.0.capacity() > KEPT && self.0.len() <= self.0.capacity() / 4 {
            self.0.shrink_to((self.0.len() * 2).max(KEPT));
        }
        Some(removed)
    }
}

/// The next step of a sweep from a node.
enum Step {
    /// To a child, with the end that it inherits.
    Down(Arc<Node>, End),
    /// Back to its parent.
    Up(Leave),
}

/// The remaining work for a node that leaves the tree, done without its lock.
struct Leave {
    parent: Option<Arc<Node>>,
    waiters: Option<Arc<Notify>>,
    job: Option<Box<Job>>,
}

/// Whether and how a node is done, readable without its lock.
#[derive(Default)]
struct Flag(AtomicU8);

impl Flag {
    fn get(&self) -> Option<Done> {
        match self.0.load(Ordering::Acquire) {
            1 => Some(Done::Canceled),
            2 => Some(Done::DeadlineExceeded),
            _ => None,
        }
    }

    fn set(&self, done: Done) {
        let flag = match done {
            Done::Canceled => 1,
            Done::DeadlineExceeded => 2,
        };
        self.0.store(flag, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
