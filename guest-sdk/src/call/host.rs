//! Calls inside a host.

use bytes::Bytes;

use super::CallError;
use crate::abi::call::Begun;
use crate::body::Origin;
use crate::host::Started;
use crate::pending::private::Failure;
use crate::{Body, Context, Done, Pending, Request, Response, abi, wire};

/// Calls a function and waits for its response. This takes one host call if the callee does not
/// have to wait and the response is small.
pub(super) fn call(ctx: &Context, function: &str, request: Request) -> Result<Response, CallError> {
    let (head, body) = (wire::call(&request), whole(ctx, function, &request)?);
    match abi::call::call(ctx.handle(), function, &head, &body) {
        Ok(Begun::Ended(result)) => read(function, result),
        Ok(Begun::Open(handle)) => {
            Pending::new(ctx, function.to_owned(), Ok(Started::new(handle))).wait()
        }
        Err(code) => Err(failed(ctx, function, head.len(), code)),
    }
}

/// Starts a call, without waiting.
pub(super) fn start(
    ctx: &Context,
    function: &str,
    request: Request,
) -> Result<Started<CallError>, CallError> {
    let (head, body) = (wire::call(&request), whole(ctx, function, &request)?);
    let started = abi::call::start(ctx.handle(), function, &head, &body);
    started.map(Started::new).map_err(|code| failed(ctx, function, head.len(), code))
}

impl Failure for CallError {
    fn done(function: &str, ctx: &Context, done: Done) -> Self {
        Self::ended(function, ctx, done)
    }

    fn response(function: &str, _: &Context, started: Started<Self>) -> Result<Response, Self> {
        read(function, abi::call::result(started.into_handle()))
    }

    fn close(handle: i32) {
        abi::call::close(handle);
    }
}

impl Started<CallError> {
    /// Lets the call continue, and keeps the context that it was started under.
    pub(crate) fn detach(self, ctx: Context) {
        abi::call::detach(self.into_handle());
        ctx.keep();
    }
}

/// Reads the request's body, which may have to arrive first.
fn whole(ctx: &Context, function: &str, request: &Request) -> Result<Bytes, CallError> {
    request.body().collect().map_err(|error| CallError::body(ctx, function, error))
}

fn read(function: &str, result: Bytes) -> Result<Response, CallError> {
    match wire::result(result) {
        Ok(Ok(response)) => {
            let (function, status) = (function.to_owned(), response.status());
            let origin = Origin::Callee { function, status };
            Ok(response.map(|body| Body::from(body).sent_by(origin)))
        }
        Ok(Err(failure)) => {
            Err(CallError::named(function, failure.outcome, &failure.text, &failure.cause))
        }
        Err(malformed) => Err(CallError::Host(format!("`{function}`: {malformed}"))),
    }
}

/// Makes the failure for a code that the host returned instead of a handle.
#[cold]
fn failed(ctx: &Context, function: &str, head: usize, code: i32) -> CallError {
    if let Some(done) = abi::done(code) {
        return CallError::ended(function, ctx, done);
    }
    let reason = match function.len() {
        len if len > abi::MAX_FUNCTION_NAME => {
            let most = abi::MAX_FUNCTION_NAME;
            format!("a function's name has at most {most} bytes, this one {len}")
        }
        _ => abi::refused(head),
    };
    CallError::BadRequest(format!("`{function}`: {reason}"))
}
