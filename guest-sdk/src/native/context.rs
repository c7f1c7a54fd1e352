//! The context outside a host: a small tree, so that a function's tests need no runtime.
//!
//! It behaves as the host's does, and is built for simplicity, not for load. The end of a context
//! is never stored for its descendants. It is computed on demand, as the earliest end of the
//! context and its ancestors. All contexts share one lock and one condition variable: the lock
//! orders the cancellations in time, and the condition variable wakes all waiters, for contexts and
//! for calls.

use std::panic::RefUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::context::CancelOnDrop;
use crate::{Cancel, Cause, Context, Done, Request, Response, Result, abi};

static LOCK: Mutex<()> = Mutex::new(());
static CHANGED: Condvar = Condvar::new();

/// A handler that answers calls of a function, or fetches.
pub(crate) type Handler = Arc<dyn Fn(&Context, Request) -> Result<Response> + Send + Sync>;

/// Receives the jobs that are submitted.
pub(crate) type Queue = Arc<dyn Fn(&str, Request) + Send + Sync>;

/// A reference to a context.
#[derive(Clone)]
pub(crate) struct Node {
    inner: Arc<Inner>,
    scope: Arc<Scope>,
    /// `None` if there is no context to keep from being canceled.
    lease: Option<Arc<Lease>>,
}

/// Keeps a context from being canceled. The last owner cancels it on drop, as closing the last
/// handle does inside a host.
struct Lease {
    inner: Arc<Inner>,
    /// Keeps the ancestors.
    _above: Option<Arc<Self>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.inner.cancel(Cause::Canceled);
    }
}

/// The part of a context that ends.
#[derive(Default)]
struct Inner {
    /// `None` if it does not end with another context.
    parent: Option<Arc<Inner>>,
    deadline: Option<Instant>,
    /// Set at most once, and only with the lock held.
    canceled: OnceLock<End>,
}

/// What a context has and its descendants inherit. The last entry of a name counts.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    pub(crate) values: Vec<(String, String)>,
    pub(crate) config: Vec<(String, String)>,
    pub(crate) functions: Vec<(String, Handler)>,
    pub(crate) fetcher: Option<Handler>,
    pub(crate) queue: Option<Queue>,
}

/// A handler may have any captured state, but code that catches its panic finds the scope
/// unchanged.
impl RefUnwindSafe for Scope {}

/// When, how and why a context was done.
#[derive(Clone)]
struct End {
    at: Instant,
    done: Done,
    cause: Cause,
}

/// Wakes all waiters after an event that they may wait for.
pub(crate) fn wake_waiters() {
    drop(lock());
    CHANGED.notify_all();
}

fn lock() -> MutexGuard<'static, ()> {
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
    /// Waits until `look` returns a value or the context is done. A value counts even if the
    /// context is done too.
    pub(crate) fn wait_for<T>(&self, look: impl Fn() -> Option<T>) -> Result<T, Done> {
        loop {
            if let Some(found) = self.0.wait_until(None, &look)? {
                return Ok(found);
            }
        }
    }

    /// Returns the handler of calls of this function.
    pub(crate) fn function(&self, name: &str) -> Option<Handler> {
        last(&self.0.scope.functions, name)
    }

    /// Returns the handler of fetches.
    pub(crate) fn fetcher(&self) -> Option<Handler> {
        self.0.scope.fetcher.clone()
    }

    /// Returns the queue of jobs.
    pub(crate) fn queue(&self) -> Option<Queue> {
        self.0.scope.queue.clone()
    }

    /// Returns the context of a callee, and the guard that cancels it. It does not keep this
    /// context from being canceled.
    pub(crate) fn for_callee(&self) -> (Self, CancelOnDrop) {
        let inner = Inner::under(&self.0.inner, None);
        let ctx = Self(Node { inner, lease: None, ..self.0.clone() });
        (ctx.clone(), CancelOnDrop(Cancel(ctx)))
    }
}

/// Returns the last value of this name.
fn last<T: Clone>(entries: &[(String, T)], name: &str) -> Option<T> {
    entries.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.clone())
}

impl Node {
    pub(crate) fn background() -> Self {
        Self { inner: Arc::default(), scope: Arc::default(), lease: None }
    }

    /// Returns a context that ends with this one and has more in its scope.
    pub(crate) fn extended(&self, add: impl FnOnce(&mut Scope)) -> Self {
        let mut scope = Scope::clone(&self.scope);
        add(&mut scope);
        Self { scope: Arc::new(scope), ..self.clone() }
    }

    /// Returns a child that can be canceled.
    fn cancelable(&self, deadline: Option<Instant>) -> Self {
        let inner = Inner::under(&self.inner, deadline);
        let lease = Lease { inner: inner.clone(), _above: self.lease.clone() };
        Self { inner, scope: self.scope.clone(), lease: Some(Arc::new(lease)) }
    }

    pub(crate) fn with_timeout(&self, after: Option<Duration>) -> Self {
        self.cancelable(after.and_then(|after| Instant::now().checked_add(after)))
    }

    pub(crate) fn with_deadline(&self, at: Instant) -> Self {
        self.cancelable(Some(at))
    }

    /// Returns a context with a value. An error is the code that a host would return.
    pub(crate) fn with_value(&self, name: &str, value: String) -> Result<Self, i32> {
        if hourglass_abi::key::is_reserved(name) {
            return Err(abi::RESERVED);
        }
        if name.is_empty() || name.len() > abi::MAX_NAME || value.len() > abi::MAX_VALUE {
            return Err(abi::INVALID);
        }
        Ok(self.extended(|scope| scope.values.push((name.to_owned(), value))))
    }

    pub(crate) fn without_cancel(&self) -> Self {
        Self { scope: self.scope.clone(), ..Self::background() }
    }

    pub(crate) fn cancel(&self, cause: Cause) {
        self.inner.cancel(cause);
    }

    pub(crate) fn err(&self) -> Option<Done> {
        let _locked = lock();
        self.inner.end().map(|end| end.done)
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        let _locked = lock();
        self.inner.end().map(|end| end.cause)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    pub(crate) fn remaining(&self) -> Option<Duration> {
        let now = Instant::now();
        self.deadline().map(|at| at.saturating_duration_since(now))
    }

    pub(crate) fn value(&self, name: &str) -> Option<String> {
        last(&self.scope.values, name)
    }

    pub(crate) fn config(&self, name: &str) -> Option<String> {
        last(&self.scope.config, name)
    }

    pub(crate) fn values(&self) -> Vec<(String, String)> {
        let mut values: Vec<(String, String)> = Vec::new();
        for value in self.scope.values.iter().rev() {
            if values.iter().all(|(nearer, _)| *nearer != value.0) {
                values.push(value.clone());
            }
        }
        values
    }

    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Done> {
        self.wait_until(Instant::now().checked_add(time), || None::<()>).map(drop)
    }

    /// Waits until `look` returns a value, or until the time has come, which returns `None`. Fails
    /// if the context is done first.
    fn wait_until<T>(
        &self,
        until: Option<Instant>,
        look: impl Fn() -> Option<T>,
    ) -> Result<Option<T>, Done> {
        let mut locked = lock();
        loop {
            if let Some(found) = look() {
                return Ok(Some(found));
            }
            if let Some(end) = self.inner.end() {
                return Err(end.done);
            }
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return Ok(None);
            }
            let next = until.into_iter().chain(self.deadline()).min();
            let left = next.map_or(Duration::MAX, |next| next.saturating_duration_since(now));
            let waited = CHANGED.wait_timeout(locked, left);
            (locked, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Inner {
    fn under(parent: &Arc<Self>, deadline: Option<Instant>) -> Arc<Self> {
        Arc::new(Self { parent: Some(parent.clone()), deadline, canceled: OnceLock::new() })
    }

    fn cancel(&self, cause: Cause) {
        let _locked = lock();
        if self.end().is_none() {
            let end = End { at: Instant::now(), done: Done::Canceled, cause };
            self.canceled.get_or_init(|| end);
            CHANGED.notify_all();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.enders().filter_map(|node| node.deadline).min()
    }

    /// Returns the earliest end of this context and its ancestors. Call it only with the lock held:
    /// a cancellation recorded later is then also later in time, and changes nothing.
    fn end(&self) -> Option<End> {
        let now = Instant::now();
        let deadline = self.deadline().filter(|at| *at <= now);
        let deadline = deadline.map(|at| End {
            at,
            done: Done::DeadlineExceeded,
            cause: Cause::DeadlineExceeded,
        });
        let canceled = self.enders().filter_map(|node| node.canceled.get().cloned());
        canceled.chain(deadline).min_by_key(|end| end.at)
    }

    /// Iterates over this context and the ancestors that end it.
    fn enders(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| node.parent.as_deref())
    }
}

#[cfg(test)]
mod tests;
