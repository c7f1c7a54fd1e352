//! A call that has not been waited for.

use super::CallError;
use super::calls::{self, Started};
use crate::{Context, Done, Request, Response};

/// A call that has not been waited for. It goes on while its caller does something else, another
/// call for example:
///
/// ```
/// use hourglass_sdk::{Context, Request, Result};
///
/// fn handler(ctx: &Context, _: Request) -> Result<String> {
///     let here = ctx.start("quote", Request::get("/quote/here").body(())?);
///     let there = ctx.start("quote", Request::get("/quote/there").body(())?);
///     Ok(format!("{} {}", here.wait()?.body().text()?, there.wait()?.body().text()?))
/// }
/// # let ctx = Context::background();
/// # let ctx = ctx.with_function("quote", |_, req: Request| req.uri().path().to_owned());
/// # assert_eq!(handler(&ctx, Request::default()).unwrap(), "/quote/here /quote/there");
/// ```
///
/// Dropping it cancels the call with [`Cause::Canceled`](crate::Cause::Canceled), and does not wait
/// for the callee to end. So a call ends with what it was begun for, unless it is
/// [detached](Self::detach). Of several, [`select`] gives the first that ends, [`join_all`] all.
#[derive(Debug)]
#[must_use = "dropping a call that is pending cancels it: wait for it, or detach it"]
pub struct Pending {
    function: String,
    /// What the call was started under, and is waited for under.
    ctx: Context,
    /// An error is a call that failed at once.
    started: Result<Started, CallError>,
}

impl Pending {
    pub(super) fn new(ctx: &Context, function: &str, request: Request) -> Self {
        let started = calls::start(ctx, function, request);
        Self { function: function.to_owned(), ctx: ctx.clone(), started }
    }

    /// The name of the function that is called.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.function
    }

    /// Waits for the response.
    ///
    /// # Errors
    ///
    /// [`CallError`] when there is none. [`CallError::Done`] as soon as the context is done that
    /// the call was started under: the callee is cancelled, and nobody waits for it to end. A
    /// response that was there by then is given nevertheless.
    pub fn wait(self) -> Result<Response, CallError> {
        let ended = first_ended(&self.ctx, std::slice::from_ref(&self));
        let ctx = self.ctx.clone();
        self.conclude(&ctx, ended.err())
    }

    /// Lets the call go on, and never mind how it ends.
    ///
    /// It ends with the context that it was started under. So inside of a host, for a call to
    /// outlive its caller, it takes a context [without cancel](Context::without_cancel), and a
    /// function to which the host's configuration gives `detach`.
    pub fn detach(self) {
        if let Ok(started) = self.started {
            started.detach();
        }
    }

    /// The result of a call that has ended, unless `ctx` was done before it had.
    fn conclude(self, ctx: &Context, done: Option<Done>) -> Result<Response, CallError> {
        match done {
            Some(done) => Err(CallError::done(&self.function, ctx, done)),
            None => self.started?.result(&self.function),
        }
    }
}

/// Waits until one of several calls has ended, takes it out of the list, and tells its place there
/// and its result. `None` when the list is empty.
///
/// ```
/// use hourglass_sdk::{Context, Request, Result, select};
///
/// /// The first answer, of whomever it is.
/// fn handler(ctx: &Context, _: Request) -> Result<String> {
///     let request = || Request::get("/quote").body(());
///     let mut pending = vec![ctx.start("slow", request()?), ctx.start("quick", request()?)];
///     while let Some((_, result)) = select(&mut pending) {
///         if let Ok(response) = result {
///             return Ok(response.body().text()?.to_owned()); // the other one is cancelled
///         }
///     }
///     Ok("nobody answered".to_owned())
/// }
/// # let ctx = Context::background().with_function("quick", |_, _| "quick");
/// # let ctx = ctx.with_function("slow", |ctx: &Context, _| ctx.done().to_string());
/// # assert_eq!(handler(&ctx, Request::default()).unwrap(), "quick");
/// ```
///
/// Of several that have ended, it is the first in the list; those behind it move up. When the
/// context is done and none has ended, it is the first in the list again, as
/// [`CallError::Done`]; so whoever goes on until `None` gets a result for each call, and soon.
///
/// Calls that were started under different contexts may be mixed. The context of the first is the
/// one that is waited under; what another's ends, ends by itself within the callee's grace.
pub fn select(pending: &mut Vec<Pending>) -> Option<(usize, Result<Response, CallError>)> {
    let ctx = pending.first()?.ctx.clone();
    select_under(&ctx, pending)
}

/// Waits for all of several calls, and gives their results in the order of the calls.
///
/// It goes on whatever the results are; to stop at the first failure, see [`Group`](crate::Group).
pub fn join_all(pending: Vec<Pending>) -> Vec<Result<Response, CallError>> {
    pending.into_iter().map(Pending::wait).collect()
}

/// [`select`], waiting under a context that is not the calls' own.
pub(super) fn select_under(
    ctx: &Context,
    pending: &mut Vec<Pending>,
) -> Option<(usize, Result<Response, CallError>)> {
    if pending.is_empty() {
        return None;
    }
    let ended = first_ended(ctx, pending);
    let place = ended.unwrap_or(0);
    Some((place, pending.remove(place).conclude(ctx, ended.err())))
}

/// Waits until one of the calls has ended, and tells its place. There must be one.
fn first_ended(ctx: &Context, pending: &[Pending]) -> Result<usize, Done> {
    // Whatever failed at once has ended. Where nothing did, places are those of the calls begun.
    match pending.iter().position(|call| call.started.is_err()) {
        Some(place) => Ok(place),
        None => calls::wait(ctx, pending.iter().filter_map(|call| call.started.as_ref().ok())),
    }
}
