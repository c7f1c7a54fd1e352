//! The context of an invocation, as the function sees it.
//!
//! The public type is here, with everything that a handler asks of it. Where the answers come from
//! is another file's business: `host` asks the host, `native` (outside of a host, for tests) is a
//! small tree of its own, and `testing` has what only tests may do to it.

mod cancel;
mod cause;
mod done;
#[cfg(target_arch = "wasm32")]
mod host;
mod key;
pub mod keys;
#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
mod testing;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

pub use cancel::Cancel;
pub(crate) use cancel::CancelOnDrop;
pub use cause::Cause;
pub use done::Done;
#[cfg(target_arch = "wasm32")]
use host::Node;
pub use key::Key;
#[cfg(not(target_arch = "wasm32"))]
use native::Node;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::announce;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use testing::Handler;

use crate::abi;

/// The context of an invocation: when it must end, whether it must end now, and what its caller
/// said along with the request.
///
/// A context is done once and for ever: its deadline passed, or it was cancelled (the client went
/// away, the host shuts down, ...). Nothing stops the function at that moment. It has a *grace* to
/// notice, tidy up and answer with what it has; then it is interrupted wherever it is. So ask for
/// [`check`](Self::check) every now and then in whatever can take long.
///
/// Each question is a call to the host, tens of nanoseconds. That is much for the innermost loop
/// and nothing once in a thousand rounds of it.
///
/// A context is derived from another one, and whatever ends a context ends everything derived from
/// it: a part of the work can be given less time ([`with_timeout`](Self::with_timeout)), or be
/// given up ([`with_cancel`](Self::with_cancel)). Calls of other functions are under the context
/// that makes them: [`call`](Self::call), [`start`](Self::start).
///
/// # How long a derived context lives
///
/// A derived context is canceled when the last value that uses it is dropped: a clone, its
/// [`Cancel`], a context derived from it, a [`Pending`](crate::Pending) call or fetch, or the
/// [`Body`](crate::Body) of a response that was fetched under it. So a handler may derive a
/// context, fetch under it and return the response. The body arrives after the handler has
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
/// A clone is the same context, not one derived from it. Inside of a host the invocation's own
/// costs nothing to have. There may be 4,096 derived ones at once.
///
/// What a context does not promise: it never interrupts the function's own code, and it does not
/// tell how long the grace is.
#[derive(Clone)]
pub struct Context(Node);

impl Context {
    /// How the context is done, or `None` while it is not. Once `Some`, it never changes.
    #[must_use]
    pub fn err(&self) -> Option<Done> {
        self.0.err()
    }

    /// Why the context is done, or `None` while it is not. Once `Some`, it never changes.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.0.cause()
    }

    /// [`err`](Self::err) as a result, for use with `?`.
    ///
    /// # Errors
    ///
    /// [`Done`] once the context is done. When it is the invocation's own, a handler that returns
    /// this gives no response, and the host reports how the context ended.
    pub fn check(&self) -> Result<(), Done> {
        self.err().map_or(Ok(()), Err)
    }

    /// Blocks until the context is done.
    ///
    /// It never returns for a context that has no deadline and is not cancelled.
    pub fn done(&self) -> Done {
        self.0.wait()
    }

    /// When the context is done at the latest, or `None` when it has no deadline.
    ///
    /// Inside of a host this is worked out from [`remaining`](Self::remaining): two calls may
    /// differ by a little, and a deadline that passed is given as now. To know how much time is
    /// left, ask for that.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    /// How much time is left until the deadline: zero when it passed, `None` when there is none.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.0.remaining()
    }

    /// The value of this key: the nearest of its name.
    ///
    /// `None` where there is none, and also where its text cannot be read as a `T`. Who has to tell
    /// the two apart asks for [`value_text`](Self::value_text).
    #[must_use]
    pub fn value<T: FromStr>(&self, key: &Key<T>) -> Option<T> {
        self.value_text(key.name())?.parse().ok()
    }

    /// The text of the value that goes by this wire name, for names that are only known when the
    /// function runs.
    ///
    /// Values that have no wire name do not cross into the function.
    #[must_use]
    pub fn value_text(&self, name: &str) -> Option<String> {
        self.0.value(name)
    }

    /// A setting of the function, or a secret, by its name: what the host's configuration says in
    /// `[function.NAME.env]` and `[function.NAME.secrets]`. Every context of the function has them.
    ///
    /// They are the variables of its environment too, so [`std::env::var`] reads them as well inside
    /// of a host; but only this works in a [native test](Self::with_config).
    #[must_use]
    pub fn config(&self, name: &str) -> Option<String> {
        self.0.config(name)
    }

    /// All values by their wire names, the nearest first; of several with one name, the nearest.
    #[must_use]
    pub fn values(&self) -> Vec<(String, String)> {
        self.0.values()
    }

    /// The request's id, as it is in the host's log and in the `x-request-id` of the response.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        self.value(&keys::REQUEST_ID)
    }

    /// Sleeps for `time`, or until the context is done if that is earlier.
    ///
    /// Unlike [`std::thread::sleep`], which takes its time whatever happens to the context.
    ///
    /// # Errors
    ///
    /// [`Done`] when the context was done before the time was over, at once when it already is.
    pub fn sleep(&self, time: Duration) -> Result<(), Done> {
        self.0.sleep(time)
    }
}

/// Derived contexts.
impl Context {
    /// A child that can be canceled by itself, and what cancels it.
    ///
    /// Dropping the [`Cancel`] cancels nothing. See [how long a derived context
    /// lives](Self#how-long-a-derived-context-lives).
    ///
    /// # Panics
    ///
    /// Inside of a host, the instance traps when there are too many contexts at once. That goes for
    /// all functions that derive one.
    #[must_use = "the context is canceled when its last clone is dropped"]
    pub fn with_cancel(&self) -> (Self, Cancel) {
        let ctx = Self(self.0.with_timeout(None));
        (ctx.clone(), Cancel(ctx))
    }

    /// A child that is done after this long, if its parent is not before that.
    ///
    /// To cancel it earlier, derive [one that can be canceled](Self::with_cancel) from it, or drop
    /// all that uses it.
    #[must_use = "it is the context returned that has the timeout"]
    pub fn with_timeout(&self, after: Duration) -> Self {
        Self(self.0.with_timeout(Some(after)))
    }

    /// A child that is done at this time, if its parent is not before that. When the time is past,
    /// the child is done from the start.
    #[must_use = "it is the context returned that has the deadline"]
    pub fn with_deadline(&self, at: Instant) -> Self {
        Self(self.0.with_deadline(at))
    }

    /// A context with one more value, which otherwise ends as this one does. It hides a value of
    /// the same name further up.
    ///
    /// Values are for what belongs to a request and goes wherever it goes, not for arguments: every
    /// function that is called under this context can read them.
    ///
    /// # Panics
    ///
    /// When the value is the host's own to set: those of [`keys`], all whose names start with
    /// `route.`, and whatever else the host keeps for itself. When the name is empty or longer than
    /// 128 bytes, or the value longer than 4,096.
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

    /// A context with the values of this one that is not done when this one is, and has no
    /// deadline: for work that need not end with what it was begun for.
    ///
    /// It ends with the invocation all the same; or, where the host's configuration of the function
    /// has `detach`, that long after it.
    #[must_use]
    pub fn without_cancel(&self) -> Self {
        Self(self.0.without_cancel())
    }

    /// Keeps the context from being canceled before the invocation ends.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn keep(self) {
        self.0.keep();
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
