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

/// A reference to a context.
#[derive(Clone)]
pub(crate) struct Node {
    inner: Arc<Inner>,
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

struct Inner {
    parent: Option<Arc<Inner>>,
    adds: Addition,
    /// Set at most once, and only with the lock held.
    canceled: OnceLock<End>,
}

/// A handler may have any captured state, but code that catches its panic finds the contexts
/// unchanged.
impl RefUnwindSafe for Inner {}
impl RefUnwindSafe for Lease {}

/// What a context adds to its parent.
pub(crate) enum Addition {
    /// Nothing, except that it can be canceled separately.
    Nothing,
    Deadline(Instant),
    /// It is not done when its parent is.
    WithoutCancel,
    Value(String, String),
    Function(String, Handler),
    Fetcher(Handler),
    Config(String, String),
}

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
        self.0.inner.ancestors().find_map(|node| match &node.adds {
            Addition::Function(known, handler) if known == name => Some(handler.clone()),
            _ => None,
        })
    }

    /// Returns the handler of fetches.
    pub(crate) fn fetcher(&self) -> Option<Handler> {
        self.0.inner.ancestors().find_map(|node| match &node.adds {
            Addition::Fetcher(handler) => Some(handler.clone()),
            _ => None,
        })
    }

    /// Returns the context of a callee, and the guard that cancels it. It does not keep this
    /// context from being canceled.
    pub(crate) fn for_callee(&self) -> (Self, CancelOnDrop) {
        let inner = Inner::under(&self.0.inner, Addition::Nothing);
        let cancel = Cancel(Self(Node { inner: inner.clone(), lease: None }));
        (Self(Node { inner, lease: None }), CancelOnDrop(cancel))
    }
}

impl Node {
    pub(crate) fn background() -> Self {
        Self { inner: Inner::new(None, Addition::Nothing), lease: None }
    }

    /// Returns a child that ends with this context and cannot be canceled separately.
    pub(crate) fn derive(&self, adds: Addition) -> Self {
        Self { inner: Inner::under(&self.inner, adds), lease: self.lease.clone() }
    }

    /// Returns a child that can be canceled.
    fn cancelable(&self, adds: Addition) -> Self {
        let inner = Inner::under(&self.inner, adds);
        let lease = Lease { inner: inner.clone(), _above: self.lease.clone() };
        Self { inner, lease: Some(Arc::new(lease)) }
    }

    pub(crate) fn with_timeout(&self, after: Option<Duration>) -> Self {
        let deadline = after.and_then(|after| Instant::now().checked_add(after));
        self.cancelable(deadline.map_or(Addition::Nothing, Addition::Deadline))
    }

    pub(crate) fn with_deadline(&self, at: Instant) -> Self {
        self.cancelable(Addition::Deadline(at))
    }

    /// Returns a context with a value. An error is the code that a host would return.
    pub(crate) fn with_value(&self, name: &str, value: String) -> Result<Self, i32> {
        if hourglass_abi::key::is_reserved(name) {
            return Err(abi::RESERVED);
        }
        if name.is_empty() || name.len() > abi::MAX_NAME || value.len() > abi::MAX_VALUE {
            return Err(abi::INVALID);
        }
        Ok(self.derive(Addition::Value(name.to_owned(), value)))
    }

    pub(crate) fn without_cancel(&self) -> Self {
        Self { inner: Inner::under(&self.inner, Addition::WithoutCancel), lease: None }
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
        self.inner.named().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    }

    pub(crate) fn config(&self, name: &str) -> Option<String> {
        self.inner.ancestors().find_map(|node| match &node.adds {
            Addition::Config(known, value) if known == name => Some(value.clone()),
            _ => None,
        })
    }

    pub(crate) fn values(&self) -> Vec<(String, String)> {
        let mut values: Vec<(String, String)> = Vec::new();
        for (name, value) in self.inner.named() {
            if values.iter().all(|(nearer, _)| nearer != name) {
                values.push((name.to_owned(), value.to_owned()));
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
    fn new(parent: Option<Arc<Self>>, adds: Addition) -> Arc<Self> {
        Arc::new(Self { parent, adds, canceled: OnceLock::new() })
    }

    fn under(parent: &Arc<Self>, adds: Addition) -> Arc<Self> {
        Self::new(Some(parent.clone()), adds)
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
        let deadline = |node: &Self| match node.adds {
            Addition::Deadline(at) => Some(at),
            _ => None,
        };
        self.enders().filter_map(deadline).min()
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
        std::iter::successors(Some(self), |node| match &node.parent {
            Some(parent) if !matches!(node.adds, Addition::WithoutCancel) => Some(&**parent),
            _ => None,
        })
    }

    /// Iterates over all values, the nearest first.
    fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ancestors().filter_map(|node| match &node.adds {
            Addition::Value(name, value) => Some((name.as_str(), value.as_str())),
            _ => None,
        })
    }

    /// Iterates over this context and all its ancestors.
    fn ancestors(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| node.parent.as_deref())
    }
}

#[cfg(test)]
mod tests;
