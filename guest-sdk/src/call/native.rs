//! Calls outside of a host: answered by the handlers that a test registered.

use http::Uri;

use super::CallError;
use crate::{Context, Request, Response, keys, native, pending};

pub(crate) type Started = native::Started<CallError>;

/// Calls a function and waits for its response.
pub(super) fn call(ctx: &Context, function: &str, request: Request) -> Result<Response, CallError> {
    let started = start(ctx, function, request);
    pending::Pending::new(ctx, function.to_owned(), started).wait()
}

/// Calls a function and does not wait.
pub(super) fn start(ctx: &Context, function: &str, request: Request) -> Result<Started, CallError> {
    let handler = ctx.function(function);
    let ctx = ctx.with_host_value(&keys::FUNCTION, function.to_owned());
    native::start(&ctx, function, handler, in_origin_form(request))
}

/// The request as it arrives: without what the URI says before the path.
fn in_origin_form(mut request: Request) -> Request {
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = target.map(Uri::from).unwrap_or_default();
    request
}
