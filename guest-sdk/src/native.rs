//! Calls and fetches outside of a host: answered by the handlers that a test registered, each on a
//! thread of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::context::{CancelOnDrop, Handler, announce};
use crate::pending::Failure;
use crate::{Context, Request, Response};

/// What runs on a thread, or has ended. Dropping it cancels the context that it runs under.
#[derive(Debug)]
pub(crate) struct Started<E> {
    slot: Arc<Mutex<Slot<E>>>,
    cancel: CancelOnDrop,
}

/// What it shares with its thread.
#[derive(Debug)]
struct Slot<E> {
    result: Option<Result<Response, E>>,
    /// What a detached one needs: it ends with the thread.
    detached: Option<(CancelOnDrop, Context)>,
}

/// Makes the result of a response, while the handler's context is not canceled yet.
type Finish<E> = fn(&Context, &str, Response) -> Result<Response, E>;

/// Has a request answered under a child of `ctx`, and does not wait.
pub(crate) fn start<E: Failure + Send + 'static>(
    ctx: &Context,
    target: &str,
    handler: Option<Handler>,
    request: Request,
    finish: Finish<E>,
) -> Result<Started<E>, E> {
    let handler = handler.ok_or_else(|| E::unanswered(target, "nobody answers it"))?;
    let (child, cancel) = ctx.for_callee();
    let slot = Arc::new(Mutex::new(Slot { result: None, detached: None }));
    let (name, place) = (target.to_owned(), slot.clone());
    let run = move || {
        let result = run(&child, &name, &handler, request, finish);
        lock(&place).result = Some(result);
        announce();
    };
    let thread = thread::Builder::new().name(target.to_owned()).spawn(run);
    thread.map_err(|error| E::unanswered(target, &format!("no thread for it: {error}")))?;
    Ok(Started { slot, cancel })
}

impl<E: Failure> Started<E> {
    pub(crate) fn has_ended(&self) -> bool {
        lock(&self.slot).result.is_some()
    }

    /// The result of what has one, and what cancels the handler's context.
    pub(crate) fn result(self, target: &str) -> Result<(Response, CancelOnDrop), E> {
        let result = lock(&self.slot).result.take();
        let result = result.unwrap_or_else(|| Err(E::unanswered(target, "it has not ended")));
        Ok((result?, self.cancel))
    }

    /// Lets it go on, and the context that it was started under.
    pub(crate) fn detach(self, ctx: Context) {
        lock(&self.slot).detached = Some((self.cancel, ctx));
    }
}

fn lock<E>(slot: &Mutex<Slot<E>>) -> MutexGuard<'_, Slot<E>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One invocation, as a host would run it.
fn run<E: Failure>(
    ctx: &Context,
    target: &str,
    handler: &Handler,
    request: Request,
    finish: Finish<E>,
) -> Result<Response, E> {
    // What is done before it begins is not begun.
    if let Some(done) = ctx.err() {
        return Err(E::done(target, ctx, done));
    }
    let answered = catch_unwind(AssertUnwindSafe(|| {
        handler(ctx, request).map(|response| finish(ctx, target, response))
    }));
    match answered {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => error.answer(ctx).map_err(|done| E::done(target, ctx, done)),
        Err(panic) => Err(E::panicked(target, words(&*panic))),
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or("it panicked")
}

#[cfg(test)]
mod tests;
