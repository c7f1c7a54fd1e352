//! Calls and fetches in progress.

use std::fmt;
use std::time::Instant;

use crate::platform::{Started, wait};
use crate::{CallError, Context, Done, FetchError, Response};

/// Why a call or a fetch has no response: [`CallError`] for a call, [`FetchError`] for a fetch.
/// This trait is sealed.
pub trait Failure: private::Failure {}

impl<E: private::Failure> Failure for E {}

/// The private part of [`Failure`].
pub(crate) mod private {
    use super::{Context, Response, Started, fmt};
    use crate::named::Named;

    pub trait Failure: Named + fmt::Debug {
        /// Returns the response. The call or fetch under `ctx` must have ended.
        fn response(target: &str, ctx: &Context, started: Started<Self>) -> Result<Response, Self>;

        /// Closes a handle, and ends the call or fetch.
        #[cfg(target_arch = "wasm32")]
        fn close(handle: i32);

        /// Completes a handler's response before the handler's context is canceled.
        #[cfg(not(target_arch = "wasm32"))]
        fn complete(target: &str, ctx: &Context, response: Response) -> Result<Response, Self>;

        /// The handler that answers it in a test panicked.
        #[cfg(not(target_arch = "wasm32"))]
        fn panicked(target: &str, message: &str) -> Self;

        /// A test has no handler that answers it.
        #[cfg(not(target_arch = "wasm32"))]
        fn unanswered(target: &str, reason: &str) -> Self;
    }
}

/// A call or a fetch in progress. It continues while its caller does other work, such as another
/// call:
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
/// Dropping it cancels the call with [`Cause::Canceled`](crate::Cause::Canceled), without waiting
/// for the callee to end. A call therefore ends with the operation that started it, unless it is
/// [detached](Self::detach). As long as the `Pending` exists, dropping the context that it was
/// started under does not cancel that context. [`select`] returns the first of several to end;
/// [`join_all`] returns all.
///
/// `Pending<FetchError>` is a fetch that [`Context::start_fetch`] started. Its result is available
/// when the response's head has arrived; the body is read after that.
#[derive(Debug)]
#[must_use = "dropping what is pending cancels it: wait for it"]
pub struct Pending<E: Failure = CallError> {
    /// The function's name, or the URL.
    target: String,
    /// The context that it was started under, and that waiting happens under.
    ctx: Context,
    /// An error is an immediate failure.
    started: Result<Started<E>, E>,
    late: Option<Late<E>>,
}

/// The time from which a fetch is late, and the failure to report then.
#[derive(Debug)]
pub(crate) struct Late<E> {
    pub(crate) at: Instant,
    pub(crate) error: E,
}

/// How a wait for the first of several ends.
enum Waited {
    /// The one at this index has ended.
    Ended(usize),
    /// The one at this index is late.
    Late(usize),
    /// The context is done.
    Done(Done),
}

impl<E: Failure> Pending<E> {
    pub(crate) fn new(
        ctx: &Context,
        target: String,
        started: Result<Started<E>, E>,
        late: Option<Late<E>>,
    ) -> Self {
        Self { target, ctx: ctx.clone(), started, late }
    }

    /// Waits for the response.
    ///
    /// # Errors
    ///
    /// The failure, if there is no response. If the context that it was started under is done, this
    /// returns immediately: a callee is canceled, and its end is not awaited. A response that has
    /// arrived by then is returned nevertheless.
    pub fn wait(self) -> Result<Response, E> {
        let waited = wait_for_first(&self.ctx, std::slice::from_ref(&self));
        self.conclude(None, &waited)
    }

    /// Returns the result of this call or fetch once waiting for it is over. It was waited for
    /// under `waiter`, or else under its own context.
    fn conclude(self, waiter: Option<&Context>, waited: &Waited) -> Result<Response, E> {
        let Self { target, ctx, started, late } = self;
        match (waited, late) {
            (Waited::Done(done), _) => Err(E::ended(&target, waiter.unwrap_or(&ctx), *done)),
            (Waited::Late(_), Some(late)) => Err(late.error),
            _ => E::response(&target, &ctx, started?),
        }
    }
}

impl Pending {
    /// Returns the name of the function that is called.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.target
    }

    /// Lets the call continue, and discards its result.
    ///
    /// The call ends with the context that it was started under: when that context is canceled or
    /// its deadline passes, but not because it is dropped, since a detached call keeps it. Inside a
    /// host, a call therefore outlives its caller only with a context [without
    /// cancel](Context::without_cancel) and a function to which the host's configuration gives
    /// `detach`.
    pub fn detach(self) {
        if let Ok(started) = self.started {
            started.detach(self.ctx);
        }
    }
}

impl Pending<FetchError> {
    /// Returns the URL that is fetched.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.target
    }
}

/// Waits until one of several calls or fetches has ended, removes it from the list, and returns its
/// former index and its result. `None` if the list is empty.
///
/// ```
/// use hourglass_sdk::{Context, Request, Result, select};
///
/// /// Returns the first answer.
/// fn handler(ctx: &Context, _: Request) -> Result<String> {
///     let request = || Request::get("/quote").body(());
///     let mut pending = vec![ctx.start("slow", request()?), ctx.start("quick", request()?)];
///     while let Some((_, result)) = select(&mut pending) {
///         if let Ok(response) = result {
///             return Ok(response.body().text()?.to_owned()); // the other call is canceled
///         }
///     }
///     Ok("no answer".to_owned())
/// }
/// # let ctx = Context::background().with_function("quick", |_, _| "quick");
/// # let ctx = ctx.with_function("slow", |ctx: &Context, _| ctx.done().to_string());
/// # assert_eq!(handler(&ctx, Request::default()).unwrap(), "quick");
/// ```
///
/// If several have ended, the first in the list is returned; later ones move up. If the context is
/// done before any has ended, the first in the list is returned with [`CallError::Done`] or
/// [`FetchError::Done`]. A loop until `None` therefore gets a result for each call without a long
/// wait.
///
/// The list may mix calls that were started under different contexts. The wait happens under the
/// context of the first. If the context of another call is done, that call ends by itself within
/// the callee's grace period.
pub fn select<E: Failure>(pending: &mut Vec<Pending<E>>) -> Option<(usize, Result<Response, E>)> {
    let ctx = pending.first()?.ctx.clone();
    select_under(&ctx, pending)
}

/// Waits for all of several calls or fetches, and returns their results in the order of the list.
///
/// It does not stop at a failure. To stop at the first failure, see [`Group`](crate::Group).
pub fn join_all<E: Failure>(pending: Vec<Pending<E>>) -> Vec<Result<Response, E>> {
    pending.into_iter().map(Pending::wait).collect()
}

/// [`select`] under a context that is not the calls' own.
pub(crate) fn select_under<E: Failure>(
    ctx: &Context,
    pending: &mut Vec<Pending<E>>,
) -> Option<(usize, Result<Response, E>)> {
    if pending.is_empty() {
        return None;
    }
    let waited = wait_for_first(ctx, pending);
    let place = match waited {
        Waited::Ended(place) | Waited::Late(place) => place,
        Waited::Done(_) => 0,
    };
    Some((place, pending.remove(place).conclude(Some(ctx), &waited)))
}

/// Waits until one of several has ended or is late. `pending` must not be empty.
fn wait_for_first<E: Failure>(ctx: &Context, pending: &[Pending<E>]) -> Waited {
    // An immediate failure has ended. Without one, indices in `started` equal those in
    // `pending`.
    if let Some(place) = pending.iter().position(|one| one.started.is_err()) {
        return Waited::Ended(place);
    }
    let started = || pending.iter().filter_map(|one| one.started.as_ref().ok());
    let at = |one: &Pending<E>| one.late.as_ref().map(|late| late.at);
    loop {
        let Some(first) = pending.iter().filter_map(at).min() else {
            return wait(ctx, started()).map_or_else(Waited::Done, Waited::Ended);
        };
        match wait(&ctx.with_deadline(first), started()) {
            Ok(place) => return Waited::Ended(place),
            Err(_) if let Some(done) = ctx.err() => return Waited::Done(done),
            Err(_) => {}
        }
        let now = Instant::now();
        if let Some(place) = pending.iter().position(|one| at(one).is_some_and(|at| at <= now)) {
            return Waited::Late(place);
        }
    }
}
