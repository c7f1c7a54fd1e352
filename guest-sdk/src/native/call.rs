//! Calls outside a host. The handlers that a test registered answer them.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::Uri;

use super::Started;
use crate::body::Origin;
use crate::named::Named;
use crate::pending::private::Failure;
use crate::{BodyError, CallError, Context, Request, Response, keys};

/// Starts a call, without waiting.
pub(crate) fn start(
    ctx: &Context,
    function: &str,
    request: Request,
) -> Result<Started<CallError>, CallError> {
    let handler = ctx.function(function);
    let body = request.body().collect().map_err(|error| CallError::body(ctx, function, error))?;
    let ctx = ctx.with_host_value(&keys::FUNCTION, function.to_owned());
    // The request arrives without the part of the URI before the path.
    let mut request = request.map(|_| body.into());
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = target.map(Uri::from).unwrap_or_default();
    super::start(&ctx, function, handler, request)
}

/// Submits a job to the queue of the test. Returns its id.
pub(crate) fn enqueue(
    ctx: &Context,
    function: &str,
    request: Request,
) -> Result<String, CallError> {
    /// The number of jobs so far, in all tests.
    static JOBS: AtomicUsize = AtomicUsize::new(0);

    if let Some(done) = ctx.err() {
        return Err(CallError::ended(function, ctx, done));
    }
    let queue = ctx.queue().ok_or_else(|| {
        let remedy = "the test has no queue: set one with `Context::with_queue`";
        CallError::BadRequest(format!("`{function}`: {remedy}"))
    })?;
    let body = request.body().collect().map_err(|error| CallError::body(ctx, function, error))?;
    queue(function, request.map(|_| body.into()));
    Ok(format!("{:032x}", JOBS.fetch_add(1, Ordering::Relaxed)))
}

impl Failure for CallError {
    fn response(function: &str, _: &Context, started: Started<Self>) -> Result<Response, Self> {
        let (response, _) = started.result(function)?;
        let origin = Origin::Callee { function: function.to_owned(), status: response.status() };
        Ok(response.map(|body| body.sent_by(origin)))
    }

    /// Reads the whole response, which is complete when its call has ended. Inside a host, the
    /// callee exits with code 1 if its body breaks off.
    fn complete(function: &str, ctx: &Context, response: Response) -> Result<Response, Self> {
        match response.body().collect() {
            Ok(body) => Ok(response.map(|_| body.into())),
            Err(error) => Err(match (&error, ctx.err()) {
                (BodyError::Done(_), Some(done)) => Self::ended(function, ctx, done),
                _ => Self::Exit(format!("`{function}`: the response is incomplete: {error}")),
            }),
        }
    }

    fn panicked(function: &str, message: &str) -> Self {
        Self::Trap(format!("`{function}`: {message}"))
    }

    fn unanswered(function: &str, reason: &str) -> Self {
        let remedy = "register a function of this name with `Context::with_function`";
        Self::NotFound(format!("`{function}`: {reason}: {remedy}"))
    }
}
