//! Calls outside a host. The handlers that a test registered answer them.

use http::Uri;

use super::CallError;
use crate::pending::private;
use crate::{BodyError, Context, Request, Response, keys, native, pending};

/// A call that awaits its response.
#[derive(Debug)]
pub struct Started(native::Started<CallError>);

/// Calls a function and waits for its response.
pub(super) fn call(ctx: &Context, function: &str, request: Request) -> Result<Response, CallError> {
    let started = start(ctx, function, request);
    pending::Pending::new(ctx, function.to_owned(), started).wait()
}

/// Starts a call, without waiting.
pub(super) fn start(ctx: &Context, function: &str, request: Request) -> Result<Started, CallError> {
    let handler = ctx.function(function);
    let body = request.body().collect().map_err(|error| CallError::body(ctx, function, error))?;
    let ctx = ctx.with_host_value(&keys::FUNCTION, function.to_owned());
    let request = in_origin_form(request.map(|_| body.into()));
    native::start(&ctx, function, handler, request, complete).map(Started)
}

/// Reads the whole response of a callee, which is complete when its call has ended. Inside a host,
/// the callee exits with code 1 if its body breaks off.
fn complete(ctx: &Context, function: &str, response: Response) -> Result<Response, CallError> {
    match response.body().collect() {
        Ok(body) => Ok(response.map(|_| body.into())),
        Err(error) => Err(match (&error, ctx.err()) {
            (BodyError::Done(_), Some(done)) => private::Failure::done(function, ctx, done),
            _ => CallError::Exit(format!("`{function}`: the response is incomplete: {error}")),
        }),
    }
}

impl private::Started<CallError> for Started {
    fn has_ended(&self) -> bool {
        self.0.has_ended()
    }

    fn result(self, function: &str) -> Result<Response, CallError> {
        Ok(self.0.result(function)?.0)
    }
}

impl Started {
    /// Lets the call continue, and keeps the context that it was started under.
    pub(crate) fn detach(self, ctx: Context) {
        self.0.detach(ctx);
    }
}

/// Converts a request to the form in which it arrives: without the part of the URI before the path.
fn in_origin_form(mut request: Request) -> Request {
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = target.map(Uri::from).unwrap_or_default();
    request
}
