//! Calls of other functions, on behalf of a context.
//!
//! The API is here, in [`Pending`](crate::Pending) and in [`Group`].

mod error;
mod group;

pub use error::CallError;
pub use group::Group;

use crate::{Body, Context, Pending, Request, Response, platform};

/// Calls of other functions.
///
/// The callee runs in an instance of its own, under a child of this context. It has at most the
/// time that is left here, it sees the same values, and it is canceled when this context is done.
/// The host decides which functions a function may call: those that its configuration lists as
/// `calls`.
///
/// The callee gets the request's method, path and query, headers and body. Any response from it is
/// a success, whatever its status.
impl Context {
    /// Calls a function, and waits for its response.
    ///
    /// ```
    /// use hourglass_sdk::{Context, Request, Response, Result};
    ///
    /// fn handler(ctx: &Context, _: Request) -> Result<Response> {
    ///     let quote = ctx.call("quote", Request::get("/quote?of=tea").body(())?)?;
    ///     Ok(quote)
    /// }
    /// # let ctx = Context::background().with_function("quote", |_, _| "3.50");
    /// # assert_eq!(handler(&ctx, Request::default()).unwrap().body().text().unwrap(), "3.50");
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError`] if there is no response. [`CallError::Done`] as soon as this context is done:
    /// the callee is then canceled, and its end is not awaited.
    pub fn call<B: Into<Body>>(
        &self,
        function: &str,
        request: Request<B>,
    ) -> Result<Response, CallError> {
        #[cfg(target_arch = "wasm32")]
        return platform::call(self, function, request.map(Into::into));
        #[cfg(not(target_arch = "wasm32"))]
        self.start(function, request).wait()
    }

    /// Starts a call, without waiting: the response is [`Pending`].
    ///
    /// An immediate failure, for example because the function does not exist or is busy, is
    /// reported by the wait.
    pub fn start<B: Into<Body>>(&self, function: &str, request: Request<B>) -> Pending {
        let started = platform::start_call(self, function, request.map(Into::into));
        Pending::new(self, function.to_owned(), started, None)
    }
}
