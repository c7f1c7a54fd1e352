//! The implementation outside a host, for tests. The handlers that a test registered answer calls
//! and fetches, each on a thread of its own.

mod call;
mod context;
mod fetch;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

pub(crate) use self::call::{enqueue, start as start_call};
use self::context::wake_waiters;
pub(crate) use self::context::{Handler, Node};
pub(crate) use self::fetch::{Incoming, start as start_fetch};
use crate::context::CancelOnDrop;
use crate::pending::private::Failure;
use crate::{Context, Done, Request, Response};

/// A handler that runs on a thread or has ended. Dropping it cancels the handler's context.
#[derive(Debug)]
pub struct Started<E> {
    slot: Arc<Mutex<Slot<E>>>,
    cancel: CancelOnDrop,
}

/// The state shared with the thread.
#[derive(Debug)]
struct Slot<E> {
    result: Option<Result<Response, E>>,
    /// The contexts that a detached handler needs. They are dropped with the thread.
    detached: Option<(CancelOnDrop, Context)>,
}

/// Starts answering a request under a child of `ctx`, without waiting.
fn start<E: Failure + Send + 'static>(
    ctx: &Context,
    target: &str,
    handler: Option<Handler>,
    request: Request,
) -> Result<Started<E>, E> {
    let handler =
        handler.ok_or_else(|| E::unanswered(target, "no handler is registered for it"))?;
    let (child, cancel) = ctx.for_callee();
    let slot = Arc::new(Mutex::new(Slot { result: None, detached: None }));
    let (name, place) = (target.to_owned(), slot.clone());
    let run = move || {
        let result = answer(&child, &name, &handler, request);
        lock(&place).result = Some(result);
        wake_waiters();
    };
    let thread = thread::Builder::new().name(target.to_owned()).spawn(run);
    thread.map_err(|error| E::unanswered(target, &format!("no thread for it: {error}")))?;
    Ok(Started { slot, cancel })
}

impl<E: Failure> Started<E> {
    fn has_ended(&self) -> bool {
        lock(&self.slot).result.is_some()
    }

    /// Returns the result, which must exist, and the guard that cancels the handler's context.
    fn result(self, target: &str) -> Result<(Response, CancelOnDrop), E> {
        let result = lock(&self.slot).result.take();
        let result = result.unwrap_or_else(|| Err(E::unanswered(target, "it has not ended")));
        Ok((result?, self.cancel))
    }

    /// Lets the handler continue, and keeps the context that it was started under.
    pub(crate) fn detach(self, ctx: Context) {
        lock(&self.slot).detached = Some((self.cancel, ctx));
    }
}

/// Waits until one of several calls or fetches has a result, and returns its index. `started` must
/// not be empty.
///
/// # Errors
///
/// [`Done`] if the context is done first.
pub(crate) fn wait<'a, E: Failure + 'a>(
    ctx: &Context,
    started: impl Iterator<Item = &'a Started<E>>,
) -> Result<usize, Done> {
    let started: Vec<_> = started.collect();
    ctx.wait_for(|| started.iter().position(|one| one.has_ended()))
}

/// Prints that there is nothing to run here, and exits.
#[expect(clippy::print_stderr, reason = "it is what this is for")]
pub(crate) fn run<H, F>(_: H, _: F) -> ! {
    eprintln!(
        "This is a Hourglass function: it runs inside of a Hourglass host, and was built for this \
         machine instead.\n\n\
         To build it and serve it over HTTP:   hourglass up PATH_OF_ITS_CRATE\n\
         To build it and nothing else:         cargo build --release --target wasm32-wasip1"
    );
    std::process::exit(2)
}

fn lock<E>(slot: &Mutex<Slot<E>>) -> MutexGuard<'_, Slot<E>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one invocation as a host would.
fn answer<E: Failure>(
    ctx: &Context,
    target: &str,
    handler: &Handler,
    request: Request,
) -> Result<Response, E> {
    // If the context is already done, the handler is not called.
    if let Some(done) = ctx.err() {
        return Err(E::ended(target, ctx, done));
    }
    let answered = catch_unwind(AssertUnwindSafe(|| {
        handler(ctx, request).map(|response| E::complete(target, ctx, response))
    }));
    match answered {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => error.answer(ctx).map_err(|done| E::ended(target, ctx, done)),
        Err(panic) => Err(E::panicked(target, message(&*panic))),
    }
}

/// Returns the message of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or("it panicked")
}

#[cfg(test)]
mod tests;
