//! Calls outside of a host: answered by the handlers that a test registered.

use http::Uri;

use super::CallError;
use crate::pending::private;
use crate::{Context, Request, Response, keys, native, pending};

/// A call whose response is awaited.
#[derive(Debug)]
pub struct Started(native::Started<CallError>);

/// Calls a function and waits for its response.
pub(super) fn call(ctx: &Context, function: &str, request: Request) -> Result<Response, CallError> {
    let started = start(ctx, function, request);
    pending::Pending::new(ctx, function.to_owned(), started).wait()
}

/// Calls a function and does not wait.
pub(super) fn start(ctx: &Context, function: &str, request: Request) -> Result<Started, CallError> {
    let handler = ctx.function(function);
    let ctx = ctx.with_host_value(&keys::FUNCTION, function.to_owned());
    let request = in_origin_form(request);
    // A callee's response is complete when its call has ended, as inside of a host.
    let handler = handler.map(native::complete);
    native::start(&ctx, function, handler, request).map(Started)
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
    /// Lets the call go on, and its context, which it was started under.
    pub(crate) fn detach(self, ctx: Context) {
        self.0.detach(ctx);
    }
}

/// The request as it arrives: without what the URI says before the path.
fn in_origin_form(mut request: Request) -> Request {
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = target.map(Uri::from).unwrap_or_default();
    request
}
