//! The context of an invocation, as the function sees it.
//!
//! # Layout
//!
//! This file has the public type with all its methods. The implementations are `host::context`
//! (host calls) and `native::context` (a small tree for tests). `testing` has the methods that only
//! tests may call.

mod cancel;
mod cause;
mod key;
pub mod keys;
#[cfg(not(target_arch = "wasm32"))]
mod testing;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

pub use cancel::Cancel;
pub(crate) use cancel::CancelOnDrop;
pub use cause::{Cause, Done};
pub use key::Key;

use crate::abi;
use crate::platform::Node;

/// The context of an invocation: its deadline, its cancellation, and the values that the caller
/// passed with the request.
///
/// A context becomes done once, permanently: its deadline passed, or it was canceled (the client
/// disconnected, the host shuts down, ...). The function is not stopped at that moment. It has a
/// *grace period* to notice, clean up and respond with what it has; then it is interrupted at
/// whatever point it has reached. Long-running code should therefore call [`check`](Self::check)
/// regularly.
///
/// Each query is a host call and takes tens of nanoseconds: too much for every round of an
/// innermost loop, negligible once per thousand rounds.
///
/// A context is derived from a parent, and a context that ends also ends every context derived from
/// it. A part of the work can have less time ([`with_timeout`](Self::with_timeout)) or be canceled
/// separately ([`with_cancel`](Self::with_cancel)). Calls of other functions run under the context
/// that makes them: [`call`](Self::call), [`start`](Self::start).
///
/// # How long a derived context lives
///
/// A derived context is canceled when the last value that uses it is dropped: a clone, its
/// [`Cancel`], a context derived from it, a [`Pending`](crate::Pending) call or fetch, or the
/// [`Body`](crate::Body) of a response that was fetched under it. So a handler may derive a
/// context, fetch under it and return the response. The body may arrive after the handler has
/// returned, until the deadline:
///
/// ```
/// use std::time::Duration;
///
/// use hourglass_sdk::{Context, Request, Response, Result};
///
/// fn page(ctx: &Context, _: Request) -> Result<Response> {
///     let ctx = ctx.with_timeout(Duration::from_secs(1));
///     Ok(ctx.fetch(Request::get("https://example.com/").body(())?)?)
/// }
/// # let ctx = Context::background().with_fetch(|_, _| "the page");
/// # assert_eq!(page(&ctx, Request::default()).unwrap().body().text().unwrap(), "the page");
/// ```
///
/// A clone is the same context, not a derived one. Inside a host, the invocation's own context
/// takes up no resources. At most 4,096 derived contexts may exist at once.
///
/// A context does not promise two things: it never interrupts the function's own code, and it does
/// not report the length of the grace period.
#[derive(Clone)]
pub struct Context(pub(crate) Node);

impl Context {
    /// Returns how the context is done, or `None` while it is not. Once `Some`, it never changes.
    #[must_use]
    pub fn err(&self) -> Option<Done> {
        self.0.err()
    }

    /// Returns why the context is done, or `None` while it is not. Once `Some`, it never changes.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.0.cause()
    }

    /// Returns [`err`](Self::err) as a result, for use with `?`.
    ///
    /// # Errors
    ///
    /// [`Done`] once the context is done. If that is the invocation's own context, a handler that
    /// returns this error gives no response, and the host reports how the context ended.
    pub fn check(&self) -> Result<(), Done> {
        self.err().map_or(Ok(()), Err)
    }

    /// Blocks until the context is done.
    ///
    /// This never returns if the context has no deadline and is not canceled.
    pub fn done(&self) -> Done {
        loop {
            if let Err(done) = self.sleep(Duration::MAX) {
                return done;
            }
        }
    }

    /// Returns the time at which the context is done at the latest, or `None` if it has no
    /// deadline.
    ///
    /// Inside a host this is computed from [`remaining`](Self::remaining): two calls may differ
    /// slightly, and a deadline that has passed is returned as the current time. To get the time
    /// left, call `remaining` instead.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    /// Returns the time until the deadline: zero if it has passed, `None` if there is no deadline.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.0.remaining()
    }

    /// Returns the value of this key: the nearest one with its name.
    ///
    /// `None` if there is no such value, and also if its text does not parse as a `T`. To
    /// distinguish the two, use [`value_text`](Self::value_text).
    #[must_use]
    pub fn value<T: FromStr>(&self, key: &Key<T>) -> Option<T> {
        self.value_text(key.name())?.parse().ok()
    }

    /// Returns the text of the value with this wire name, for names that are only known at run
    /// time.
    ///
    /// Values without a wire name are not visible to the function.
    #[must_use]
    pub fn value_text(&self, name: &str) -> Option<String> {
        self.0.value(name)
    }

    /// Returns a setting or a secret of the function by its name: an entry of `[function.NAME.env]`
    /// or `[function.NAME.secrets]` in the host's configuration. Every context of the function has
    /// them.
    ///
    /// They are also environment variables, so inside a host [`std::env::var`] reads them as well;
    /// but only this method works in a [native test](Self::with_config).
    #[must_use]
    pub fn config(&self, name: &str) -> Option<String> {
        self.0.config(name)
    }

    /// Returns all values by their wire names, the nearest first. If several have the same name,
    /// only the nearest is included.
    #[must_use]
    pub fn values(&self) -> Vec<(String, String)> {
        self.0.values()
    }

    /// Returns the request's id, as in the host's log and in the response's `x-request-id`.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        self.value(&keys::REQUEST_ID)
    }

    /// Sleeps for `time`, or until the context is done if that is earlier.
    ///
    /// Unlike this method, [`std::thread::sleep`] sleeps for the whole time even if the context is
    /// done.
    ///
    /// # Errors
    ///
    /// [`Done`] if the context is done before the time is over, immediately if it is done already.
    pub fn sleep(&self, time: Duration) -> Result<(), Done> {
        self.0.sleep(time)
    }
}

/// Derived contexts.
impl Context {
    /// Returns a child that can be canceled separately, and the handle that cancels it.
    ///
    /// Dropping the [`Cancel`] cancels nothing. See [how long a derived context
    /// lives](Self#how-long-a-derived-context-lives).
    ///
    /// # Panics
    ///
    /// Inside a host, the instance traps if there are too many contexts at once. This applies to
    /// all methods that derive a context.
    #[must_use = "the context is canceled when its last clone is dropped"]
    pub fn with_cancel(&self) -> (Self, Cancel) {
        let ctx = Self(self.0.with_timeout(None));
        (ctx.clone(), Cancel(ctx))
    }

    /// Returns a child that is done after this time, or when its parent is done if that is earlier.
    ///
    /// To cancel it earlier, derive [a context that can be canceled](Self::with_cancel) from it, or
    /// drop everything that uses it.
    #[must_use = "it is the context returned that has the timeout"]
    pub fn with_timeout(&self, after: Duration) -> Self {
        Self(self.0.with_timeout(Some(after)))
    }

    /// Returns a child that is done at this time, or when its parent is done if that is earlier. If
    /// the time has passed, the child is done from the start.
    #[must_use = "it is the context returned that has the deadline"]
    pub fn with_deadline(&self, at: Instant) -> Self {
        Self(self.0.with_deadline(at))
    }

    /// Returns a context with one more value, which otherwise ends as this one does. The value
    /// shadows an inherited one of the same name.
    ///
    /// Values are for data that belongs to a request and follows it everywhere, not for arguments:
    /// every function that is called under this context can read them.
    ///
    /// # Panics
    ///
    /// If the value is reserved for the host: those of [`keys`], all names that start with
    /// `route.`, and the other names that the host reserves. Also if the name is empty or longer
    /// than 128 bytes, or the value is longer than 4,096 bytes.
    #[must_use]
    #[track_caller]
    pub fn with_value<T: fmt::Display>(&self, key: &Key<T>, value: T) -> Self {
        let name = key.name();
        match self.0.with_value(name, value.to_string()) {
            Ok(node) => Self(node),
            Err(abi::RESERVED) => {
                panic!("the value `{name}` is the host's own: a function can only read it")
            }
            Err(_) => panic!(
                "the value `{name}` cannot be set: a name has 1 to {} bytes, a value at most {}",
                abi::MAX_NAME,
                abi::MAX_VALUE
            ),
        }
    }

    /// Returns a context with the values of this one that is not done when this one is, and has no
    /// deadline: for work that may outlive the operation that started it.
    ///
    /// It still ends with the invocation, or, if the host's configuration of the function sets
    /// `detach`, that long after the invocation.
    #[must_use]
    pub fn without_cancel(&self) -> Self {
        Self(self.0.without_cancel())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("err", &self.err())
            .field("cause", &self.cause())
            .field("remaining", &self.remaining())
            .field("values", &self.values())
            .finish()
    }
}
