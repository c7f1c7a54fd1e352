//! The context of an invocation: its deadline, whether and why it is done, and
//! the values that travel with it.
//!
//! A [`Context`] is only ever derived from another one, so contexts form a
//! tree, and the end of a context ends everything derived from it:
//!
//! ```
//! # use std::time::Duration;
//! # use hourglass::{Cause, Context, Done};
//! let (request, cancel) = Context::background().with_timeout(Duration::from_secs(60));
//! let (query, _guard) = request.with_cancel();
//!
//! cancel.cancel_with(Cause::ClientDisconnected);
//! assert_eq!(query.err(), Some(Done::Canceled));
//! assert_eq!(query.cause(), Some(Cause::ClientDisconnected));
//! ```
//!
//! # What is promised
//!
//! - A context is done once, forever: once [`err`](Context::err) and
//!   [`cause`](Context::cause) have returned a value, they return it from then
//!   on, in every thread. The first end wins.
//! - A deadline that has passed wins over a later cancel, even if the context
//!   was not checked in between.
//! - When [`Cancel::cancel`] returns, every descendant is done. When
//!   [`done`](Context::done) completes, every descendant of that context is
//!   done too.
//! - No context is done before its deadline unless it was canceled, and a
//!   child's deadline is never later than its parent's.
//! - A context that has ended leaves its parent: a context that lives for years
//!   keeps nothing of its former children.
//! - Canceling, dropping and freeing take constant stack, however long the
//!   chain of contexts, and nothing here blocks except on short critical
//!   sections of its own.
//!
//! # What is not promised
//!
//! - That work stops. A context only signals; work on its behalf has to check
//!   it or wait for it.
//! - One moment for the whole tree. During a cancel, another thread may see a
//!   context done and its child not yet.
//! - Punctual wake-ups. [`err`](Context::err) checks the clock; a task that
//!   waits in [`done`](Context::done) is woken by tokio's timer, which rounds
//!   up to milliseconds.
//! - An order in which waiters and after-functions run.
//!
//! # Differences to Go's `context`
//!
//! - [`Cancel`] is a guard: the compiler and the end of the scope prevent a
//!   forgotten cancel, for which Go needs a linter.
//! - A deadline costs no timer. A context compares the clock when it is
//!   checked, and only waiters have a timer, so a million contexts with
//!   deadlines are a million small allocations and nothing more.
//! - Every context has a typed [`Cause`]; there is no second family of
//!   functions for it.
//! - A [`Key`] carries the value's type and a name for the wire: a guest sees
//!   the values as text.
//! - `Context` is a type, not a trait, so there are no foreign contexts to
//!   follow, and no tasks to follow them.

mod after;
mod cause;
mod node;
mod value;

use std::fmt;
use std::future;
use std::sync::Arc;
use std::time::{Duration, Instant};

// Tokio's clock is the system's, except in a test that has paused it: there
// deadlines and timers must agree on the time.
use tokio::time::Instant as Clock;

pub use self::after::AfterFunc;
pub use self::cause::{Cause, Done};
pub use self::value::Key;

use self::node::{Deadline, Node};
use self::value::Values;

/// The locks and atomics of the tree: those of the standard library, or those
/// of loom. With loom the tests in `tests/interleavings` explore every
/// interleaving of the threads.
mod sync {
    #[cfg(interleavings)]
    pub(super) use loom::sync::{Mutex, MutexGuard, atomic::AtomicU8, atomic::AtomicUsize};
    #[cfg(not(interleavings))]
    pub(super) use std::sync::{Mutex, MutexGuard, atomic::AtomicU8, atomic::AtomicUsize};
}

/// A deadline, a cancellation and values that flow from a caller to everything
/// done on its behalf.
///
/// Cheap to clone: two reference counts. A clone is the same context, not one
/// derived from it. Pass it on by reference, as the first argument.
#[derive(Clone, Default)]
pub struct Context {
    /// The node that ends this context; `None` if the context never ends.
    node: Option<Arc<Node>>,
    values: Values,
}

impl Context {
    /// The root of all contexts: never done, no deadline, no values. Costs
    /// nothing. Also the default.
    pub fn background() -> Context {
        Context::default()
    }

    /// A context that ends when the guard is used or dropped, or when `self`
    /// ends.
    ///
    /// Beware of `let (context, _) = ...`: that drops the guard at once.
    pub fn with_cancel(&self) -> (Context, Cancel) {
        self.derive(None)
    }

    /// Like [`with_deadline`](Context::with_deadline), with a deadline `after`
    /// from now. A timeout too long for the clock to represent sets no
    /// deadline.
    pub fn with_timeout(&self, after: Duration) -> (Context, Cancel) {
        self.with_timeout_cause(after, Cause::DeadlineExceeded)
    }

    /// Like [`with_timeout`](Context::with_timeout), with a custom cause for
    /// the expiry.
    pub fn with_timeout_cause(&self, after: Duration, cause: Cause) -> (Context, Cancel) {
        match Clock::now().checked_add(after) {
            Some(at) => self.derive(Some(&Deadline { at, cause })),
            None => self.derive(None),
        }
    }

    /// A context that ends at `at`, or when the guard is used or dropped, or
    /// when `self` ends, whichever comes first. If `at` has passed, it is done
    /// from the start.
    pub fn with_deadline(&self, at: Instant) -> (Context, Cancel) {
        self.with_deadline_cause(at, Cause::DeadlineExceeded)
    }

    /// Like [`with_deadline`](Context::with_deadline), with a custom cause for
    /// the expiry: the context then ends with [`Done::DeadlineExceeded`] as
    /// always, but reports `cause`, as does everything derived from it. The
    /// cause is not used if the context ends in any other way, or if its
    /// parent's deadline is no later than `at`.
    pub fn with_deadline_cause(&self, at: Instant, cause: Cause) -> (Context, Cancel) {
        let at = Clock::from_std(at);
        self.derive(Some(&Deadline { at, cause }))
    }

    /// A context with the values of `self` that does not end when `self` does:
    /// no deadline, never done. For work that must outlive its request.
    pub fn without_cancel(&self) -> Context {
        Context { node: None, values: self.values.clone() }
    }

    /// The latest time at which this context will be done; `None` if time does
    /// not limit it. It is the earliest deadline of this context and its
    /// ancestors, and does not change when the context is done.
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.node.as_ref()?.deadline()?.into_std())
    }

    /// The time until the deadline, zero once it has passed; `None` if there is
    /// no deadline. A cancel does not affect it: use [`err`](Context::err) for
    /// that.
    pub fn remaining(&self) -> Option<Duration> {
        let at = self.node.as_ref()?.deadline()?;
        Some(at.saturating_duration_since(Clock::now()))
    }

    /// How this context ended; `None` as long as it has not. Once it has, the
    /// answer never changes.
    ///
    /// Fast enough to call in a loop: one atomic load and, with a deadline, one
    /// read of the clock.
    pub fn err(&self) -> Option<Done> {
        self.node.as_ref()?.done()
    }

    /// Why this context ended; `None` as long as it has not. Once it has, the
    /// answer never changes.
    pub fn cause(&self) -> Option<Cause> {
        Some(self.node.as_ref()?.end()?.cause)
    }

    /// The time since which this context has been done: its deadline, or the
    /// moment of the cancel, however late this is called. `None` as long as it
    /// is not done.
    pub fn done_since(&self) -> Option<Instant> {
        Some(self.node.as_ref()?.end()?.at.into_std())
    }

    /// Waits until this context is done: forever, if it never ends.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future loses nothing.
    ///
    /// # Panics
    ///
    /// If there is a deadline, polling panics outside of a tokio runtime with
    /// timers enabled.
    pub async fn done(&self) -> Done {
        match &self.node {
            Some(node) => node.wait().await,
            None => future::pending().await,
        }
    }

    /// Like [`done`](Context::done), but without a timer. A deadline that
    /// passes does not end the wait unless the context is canceled or its clock
    /// is checked elsewhere.
    pub(crate) async fn ended(&self) {
        match &self.node {
            Some(node) => node.ended().await,
            None => future::pending().await,
        }
    }

    /// The number of contexts and after-functions that are attached to this one
    /// and not yet done. Those attached to its children do not count. For
    /// finding leaks.
    ///
    /// A child with a passed deadline counts until it is checked or its guard
    /// is dropped: nothing else notifies the parent.
    pub fn children(&self) -> usize {
        self.node.as_ref().map_or(0, Node::children)
    }

    /// The number of contexts and after-functions below this one, at any depth,
    /// which [`children`](Context::children) counts.
    pub(crate) fn descendants(&self) -> usize {
        self.node.as_ref().map_or(0, Node::descendants)
    }

    /// A context with the values of `self` that ends when `root` does.
    pub(crate) fn moved_to(&self, root: &Context) -> Context {
        Context { node: root.node.clone(), values: self.values.clone() }
    }

    /// Ends the context, as its guard would; has no effect on a context without
    /// a guard.
    pub(crate) fn end(&self, cause: Cause) {
        if let Some(node) = &self.node {
            node.cancel(cause);
        }
    }

    fn derive(&self, own: Option<&Deadline>) -> (Context, Cancel) {
        let node = Node::derive(self.node.as_ref(), own, None);
        let context = Context { node: Some(node.clone()), values: self.values.clone() };
        (context, Cancel { node })
    }
}

impl fmt::Debug for Context {
    /// Shows only the names of the values: the values may be confidential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("end", &self.node.as_ref().and_then(Node::end))
            .field("remaining", &self.remaining())
            .field("values", &self.values.names().collect::<Vec<_>>())
            .finish()
    }
}

/// Ends one context and everything derived from it; dropping it does too.
///
/// A context therefore lives no longer than the scope that holds its guard,
/// however the scope is left. To share the power to cancel among several
/// owners, put the guard in an [`Arc`].
///
/// Once the context is done, canceling it changes nothing: the first end wins.
#[must_use = "dropping the guard cancels its context at once; bind it to a name, not to `_`"]
pub struct Cancel {
    node: Arc<Node>,
}

impl Cancel {
    /// Cancels the context with [`Cause::Canceled`].
    ///
    /// Returns once the context and all of its descendants are done. Does not
    /// wait for work on their behalf, nor for after-functions.
    pub fn cancel(&self) {
        self.cancel_with(Cause::Canceled);
    }

    /// Cancels the context with a cause.
    ///
    /// If the context's deadline has passed, it ended then, and `cause` is
    /// dropped. The same applies to each descendant.
    pub fn cancel_with(&self, cause: Cause) {
        self.node.cancel(cause);
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.node.abandon();
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("end", &self.node.end()).finish()
    }
}
