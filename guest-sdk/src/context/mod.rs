//! The context of an invocation, as the function sees it.
//!
//! The public type is here, with everything that a handler asks of it. Where the answers come from
//! is another file's business: `host` asks the host, `native` (outside of a host, for tests) is a
//! small tree of its own.

mod cause;
mod done;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(not(target_arch = "wasm32"))]
mod native;

use std::fmt;
use std::time::{Duration, Instant};

pub use cause::Cause;
pub use done::Done;
#[cfg(target_arch = "wasm32")]
use host::Node;
#[cfg(not(target_arch = "wasm32"))]
pub use native::Cancel;
#[cfg(not(target_arch = "wasm32"))]
use native::Node;

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
/// What a context does not promise: it never interrupts the function's own code, it does not tell
/// how long the grace is, and it cannot be derived from inside of a host yet (`with_timeout` and
/// its like exist natively, for tests).
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
    /// [`Done`] once the context is done. A handler that returns it gives no response, and the
    /// host reports how the context ended.
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

    /// The value that goes by this wire name, such as `request-id` or `function`.
    ///
    /// Values that have no wire name do not cross into the function.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        self.0.value(name)
    }

    /// All values by their wire names, the nearest first; of several with one name, the nearest.
    #[must_use]
    pub fn values(&self) -> Vec<(String, String)> {
        self.0.values()
    }

    /// The request's id, as it is in the host's log and in the `x-request-id` of the response.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        self.value("request-id")
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
