//! The context outside of a host: a small tree of its own, so that a function's tests need no
//! runtime.
//!
//! It behaves as the host's does, and is built for simplicity, not for load. How a context is done
//! is never stored for its descendants but worked out on demand, as the earliest of what happened
//! to it and to its ancestors. All contexts of a tree share one lock and one condition variable:
//! the lock orders the cancellations in time, the condition variable wakes whoever waits.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::{Cause, Context, Done};

/// Contexts for tests. These do not exist inside of a host, where the only context is the
/// invocation's own.
impl Context {
    /// The root of a tree: never done, without a deadline and without values.
    #[must_use]
    pub fn background() -> Self {
        Self(Node::new(Inner::default()))
    }

    /// A child that can be cancelled by itself.
    #[must_use = "dropping the guard cancels the context"]
    pub fn with_cancel(&self) -> (Self, Cancel) {
        self.derive(Inner::default()).with_guard()
    }

    /// A child that is done after this long, if its parent is not before that.
    #[must_use = "dropping the guard cancels the context"]
    pub fn with_timeout(&self, after: Duration) -> (Self, Cancel) {
        let deadline = Instant::now().checked_add(after);
        self.derive(Inner { deadline, ..Inner::default() }).with_guard()
    }

    /// A child that is done at this time, if its parent is not before that. When the time is past,
    /// the child is done from the start.
    #[must_use = "dropping the guard cancels the context"]
    pub fn with_deadline(&self, at: Instant) -> (Self, Cancel) {
        self.derive(Inner { deadline: Some(at), ..Inner::default() }).with_guard()
    }

    /// A child with a value, by its wire name. It hides one of the same name further up.
    #[must_use]
    pub fn with_value(&self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = Some((name.into(), value.into()));
        self.derive(Inner { value, ..Inner::default() })
    }

    fn derive(&self, child: Inner) -> Self {
        let tree = self.0.0.tree.clone();
        Self(Node::new(Inner { tree, parent: Some(self.0.clone()), ..child }))
    }

    fn with_guard(self) -> (Self, Cancel) {
        (self.clone(), Cancel(self))
    }
}

/// Cancels a context and with it all of its descendants, at the latest when it is dropped.
///
/// It exists outside of a host only, as [`Context::with_cancel`] does.
#[derive(Debug)]
pub struct Cancel(Context);

impl Cancel {
    /// Cancels the context. Does nothing when that is done already.
    pub fn cancel(&self) {
        self.cancel_with(Cause::Canceled);
    }

    /// Cancels the context with this cause. Does nothing when that is done already.
    pub fn cancel_with(&self, cause: Cause) {
        let node = &self.0.0;
        let _locked = node.lock();
        if node.end().is_none() {
            let end = End { at: Instant::now(), done: Done::Canceled, cause };
            node.0.canceled.get_or_init(|| end);
            node.0.tree.changed.notify_all();
        }
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// A context, by reference.
#[derive(Clone)]
pub(super) struct Node(Arc<Inner>);

/// A context: what it adds to its parent.
#[derive(Default)]
struct Inner {
    tree: Arc<Tree>,
    parent: Option<Node>,
    deadline: Option<Instant>,
    value: Option<(String, String)>,
    /// Set at most once, and only while the tree is locked.
    canceled: OnceLock<End>,
}

/// What all descendants of one background context share.
#[derive(Default)]
struct Tree {
    lock: Mutex<()>,
    changed: Condvar,
}

/// When, how and why a context was done.
#[derive(Clone)]
struct End {
    at: Instant,
    done: Done,
    cause: Cause,
}

impl Node {
    fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(super) fn err(&self) -> Option<Done> {
        let _locked = self.lock();
        self.end().map(|end| end.done)
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        let _locked = self.lock();
        self.end().map(|end| end.cause)
    }

    pub(super) fn wait(&self) -> Done {
        loop {
            if let Err(done) = self.sleep(Duration::MAX) {
                return done;
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ancestors().filter_map(|node| node.deadline).min()
    }

    pub(super) fn remaining(&self) -> Option<Duration> {
        let now = Instant::now();
        self.deadline().map(|at| at.saturating_duration_since(now))
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        let mut named = self.ancestors().filter_map(|node| node.value.as_ref());
        named.find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    pub(super) fn values(&self) -> Vec<(String, String)> {
        let mut values: Vec<(String, String)> = Vec::new();
        for (name, value) in self.ancestors().filter_map(|node| node.value.as_ref()) {
            if values.iter().all(|(nearer, _)| nearer != name) {
                values.push((name.clone(), value.clone()));
            }
        }
        values
    }

    pub(super) fn sleep(&self, time: Duration) -> Result<(), Done> {
        let until = Instant::now().checked_add(time);
        let mut locked = self.lock();
        loop {
            if let Some(end) = self.end() {
                return Err(end.done);
            }
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return Ok(());
            }
            let next = until.into_iter().chain(self.deadline()).min();
            let left = next.map_or(Duration::MAX, |next| next.saturating_duration_since(now));
            let changed = &self.0.tree.changed;
            let waited = changed.wait_timeout(locked, left);
            (locked, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The earliest end of this context and its ancestors. Only asked while the tree is locked:
    /// a cancellation that is noted later is then later in time too, and changes nothing.
    fn end(&self) -> Option<End> {
        let now = Instant::now();
        let deadline = self.deadline().filter(|at| *at <= now);
        let deadline = deadline.map(|at| End {
            at,
            done: Done::DeadlineExceeded,
            cause: Cause::DeadlineExceeded,
        });
        let canceled = self.ancestors().filter_map(|node| node.canceled.get().cloned());
        canceled.chain(deadline).min_by_key(|end| end.at)
    }

    fn ancestors(&self) -> impl Iterator<Item = &Inner> {
        std::iter::successors(Some(&*self.0), |node| node.parent.as_ref().map(|parent| &*parent.0))
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.0.tree.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "native_tests.rs"]
mod tests;
