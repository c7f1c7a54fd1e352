//! Calls inside a host.

use bytes::Bytes;

use super::CallError;
use crate::abi::call::Begun;
use crate::pending::{self, private};
use crate::{Context, Request, Response, abi, wire};

/// A call that the host knows by this handle. Dropping it cancels the call.
#[derive(Debug)]
pub struct Started(i32);

/// Calls a function and waits for its response. This takes one host call if the callee does not
/// have to wait and the response is small.
pub(super) fn call(ctx: &Context, function: &str, request: Request) -> Result<Response, CallError> {
    let (head, body) = (wire::call(&request), whole(ctx, function, &request)?);
    match abi::call::call(ctx.handle(), function, &head, &body) {
        Ok(Begun::Ended(result)) => read(function, result),
        Ok(Begun::Open(handle)) => {
            let call = Started(handle);
            match pending::wait(ctx, std::iter::once(&call)) {
                Ok(_) => private::Started::result(call, function),
                Err(done) => Err(private::Failure::done(function, ctx, done)),
            }
        }
        Err(code) => Err(failed(ctx, function, head.len(), code)),
    }
}

/// Starts a call, without waiting.
pub(super) fn start(ctx: &Context, function: &str, request: Request) -> Result<Started, CallError> {
    let (head, body) = (wire::call(&request), whole(ctx, function, &request)?);
    let started = abi::call::start(ctx.handle(), function, &head, &body);
    started.map(Started).map_err(|code| failed(ctx, function, head.len(), code))
}

impl private::Started<CallError> for Started {
    fn handle(&self) -> i32 {
        self.0
    }

    fn result(self, function: &str) -> Result<Response, CallError> {
        read(function, abi::call::result(self.into_handle()))
    }
}

impl Started {
    /// Lets the call continue, and keeps the context that it was started under.
    pub(crate) fn detach(self, ctx: Context) {
        abi::call::detach(self.into_handle());
        ctx.keep();
    }

    /// Returns the handle, which the receiver must close.
    fn into_handle(self) -> i32 {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        abi::call::give_up(self.0);
    }
}

/// Reads the request's body, which may have to arrive first.
fn whole(ctx: &Context, function: &str, request: &Request) -> Result<Bytes, CallError> {
    request.body().collect().map_err(|error| CallError::body(ctx, function, error))
}

fn read(function: &str, result: Bytes) -> Result<Response, CallError> {
    match wire::result(result) {
        Ok(Ok(response)) => Ok(pending::received::<CallError>(function, response.map(Into::into))),
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
        return private::Failure::done(function, ctx, done);
    }
    let why = match function.len() {
        len if len > abi::MAX_FUNCTION_NAME => {
            format!(
                "a function's name has at most {} bytes, this one {len}",
                abi::MAX_FUNCTION_NAME
            )
        }
        _ => abi::refused(head),
    };
    CallError::BadRequest(format!("`{function}`: {why}"))
}
