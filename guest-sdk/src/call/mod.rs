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

    /// Submits a job that calls a function later, and returns its id once the host has stored it
    /// durably. The function must be among those that this one may call.
    ///
    /// The job does not end with this context. It has the context's values, and belongs to the same
    /// principal. The function is called at least once: the header `hourglass-attempt` is more than 1
    /// if it may have been called before. Two headers of the request are for the host:
    /// `idempotency-key`, with which a repeated submission leads to the same job, and
    /// `hourglass-callback`, a URL that gets the result.
    ///
    /// ```
    /// use hourglass_sdk::{Context, Request, Result};
    ///
    /// fn order(ctx: &Context, req: Request) -> Result<String> {
    ///     let id = ctx.enqueue("invoice", Request::post("/invoice").body(req.into_body())?)?;
    ///     Ok(format!("the invoice is job {id}"))
    /// }
    /// # let ctx = Context::background().with_queue(|_, _| ());
    /// # assert!(order(&ctx, Request::default()).is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError`] if the job is not stored. [`CallError::BadRequest`] if the host has no queue,
    /// [`CallError::Host`] if its queue is full, and [`CallError::Done`] as soon as this context is
    /// done: the job may be stored nevertheless.
    pub fn enqueue<B: Into<Body>>(
        &self,
        function: &str,
        request: Request<B>,
    ) -> Result<String, CallError> {
        platform::enqueue(self, function, request.map(Into::into))
    }
}
