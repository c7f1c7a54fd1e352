//! Calls outside of a host: answered by the handlers that a test registered, each on a thread of
//! its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use http::Uri;

use super::CallError;
use crate::context::{Handler, announce};
use crate::{Cancel, Context, Done, Request, Response, keys};

/// A call that runs on a thread, or has ended. Dropping it cancels the context that it runs under.
#[derive(Debug)]
pub(super) struct Started {
    slot: Arc<Mutex<Slot>>,
    cancel: Cancel,
}

/// What a call shares with its thread.
#[derive(Debug, Default)]
struct Slot {
    result: Option<Result<Response, CallError>>,
    /// The guard of a call that was detached: it ends with the thread.
    detached: Option<Cancel>,
}

/// Calls a function and waits for its response.
pub(super) fn call(ctx: &Context, function: &str, request: Request) -> Result<Response, CallError> {
    let started = start(ctx, function, request)?;
    match wait(ctx, std::iter::once(&started)) {
        Ok(_) => started.result(function),
        Err(done) => Err(CallError::done(function, ctx, done)),
    }
}

/// Calls a function and does not wait.
pub(super) fn start(ctx: &Context, function: &str, request: Request) -> Result<Started, CallError> {
    let handler = ctx.function(function).ok_or_else(|| {
        let text = "no function of this name: register one with `Context::with_function`";
        CallError::NotFound(format!("`{function}`: {text}"))
    })?;
    let (child, cancel) = ctx.with_host_value(&keys::FUNCTION, function.to_owned()).with_cancel();
    let slot = Arc::<Mutex<Slot>>::default();
    let (name, place) = (function.to_owned(), slot.clone());
    let run = move || {
        let result = run(&child, &name, &handler, in_origin_form(request));
        lock(&place).result = Some(result);
        announce();
    };
    let thread = thread::Builder::new().name(function.to_owned()).spawn(run);
    thread.map_err(|error| CallError::Host(format!("`{function}`: no thread for it: {error}")))?;
    Ok(Started { slot, cancel })
}

/// Waits until one of the calls has ended, and tells its place among them.
pub(super) fn wait<'a>(
    ctx: &Context,
    calls: impl Iterator<Item = &'a Started>,
) -> Result<usize, Done> {
    let calls: Vec<_> = calls.collect();
    ctx.wait_for(|| calls.iter().position(|call| lock(&call.slot).result.is_some()))
}

impl Started {
    /// The result of a call that has ended.
    pub(super) fn result(self, function: &str) -> Result<Response, CallError> {
        let result = lock(&self.slot).result.take();
        result.unwrap_or_else(|| Err(CallError::Host(format!("`{function}`: it has not ended"))))
    }

    /// Lets the call go on.
    pub(super) fn detach(self) {
        lock(&self.slot).detached = Some(self.cancel);
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One invocation, as a host would run it.
fn run(
    ctx: &Context,
    function: &str,
    handler: &Handler,
    request: Request,
) -> Result<Response, CallError> {
    // What is done before it begins is not begun.
    if let Some(done) = ctx.err() {
        return Err(CallError::done(function, ctx, done));
    }
    let answered = catch_unwind(AssertUnwindSafe(|| handler(ctx, request)));
    match answered {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => error.answer(ctx).map_err(|done| CallError::done(function, ctx, done)),
        Err(panic) => Err(CallError::Trap(format!("`{function}`: {}", words(&*panic)))),
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or("it panicked")
}

/// The request as it arrives: without what the URI says before the path.
fn in_origin_form(mut request: Request) -> Request {
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = target.map(Uri::from).unwrap_or_default();
    request
}

#[cfg(test)]
#[path = "native_tests.rs"]
mod tests;
