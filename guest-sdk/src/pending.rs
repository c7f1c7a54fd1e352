//! What was started and not waited for: a call of a function, or a fetch.

use std::fmt;
use std::time::Instant;

use http::StatusCode;

use crate::body::Origin;
use crate::{CallError, Context, Done, FetchError, Response};

/// Why something that was started has no response: [`CallError`] of a call, [`FetchError`] of a
/// fetch. Nobody else implements it.
pub trait Failure: private::Failure {}

impl Failure for CallError {}
impl Failure for FetchError {}

/// What others need not see of [`Failure`].
pub(crate) mod private {
    use super::{Context, Done, Origin, Response, StatusCode, fmt};

    pub trait Failure: fmt::Debug + Sized {
        /// What was started. Dropping it ends it.
        type Started: Started<Self>;

        /// The context that it was started under is done.
        fn done(target: &str, ctx: &Context, done: Done) -> Self;

        /// Who sent the body of its response.
        fn origin(target: &str, status: StatusCode) -> Origin;

        /// Whoever answers it in a test panicked.
        #[cfg(not(target_arch = "wasm32"))]
        fn panicked(target: &str, words: &str) -> Self;

        /// There is nobody to answer it in a test.
        #[cfg(not(target_arch = "wasm32"))]
        fn unanswered(target: &str, why: &str) -> Self;
    }

    pub trait Started<E>: fmt::Debug {
        /// Its handle.
        #[cfg(target_arch = "wasm32")]
        fn handle(&self) -> i32;

        /// Whether there is a result.
        #[cfg(not(target_arch = "wasm32"))]
        fn has_ended(&self) -> bool;

        /// The result of what has one.
        fn result(self, target: &str) -> Result<Response, E>;
    }
}

use private::Started;

/// A call, or a fetch, that has not been waited for. It goes on while its caller does something else, another
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
/// [detached](Self::detach). As long as it exists, the context that it was started under is not
/// canceled because that was dropped. Of several, [`select`] gives the first that ends, [`join_all`] all.
///
/// `Pending<FetchError>` is a fetch that [`Context::start_fetch`] began; its result is there with
/// the response's head, and the body is read from then on.
#[derive(Debug)]
#[must_use = "dropping what is pending cancels it: wait for it"]
pub struct Pending<E: Failure = CallError> {
    /// A function's name, or a URL.
    target: String,
    /// What it was started under, and is waited for under.
    ctx: Context,
    /// An error is what failed at once.
    started: Result<E::Started, E>,
    late: Option<Late<E>>,
}

/// When something is late, and the failure that this is.
#[derive(Debug)]
pub(crate) struct Late<E> {
    pub(crate) at: Instant,
    pub(crate) error: E,
}

/// How waiting for one of several ends.
enum Waited {
    /// The one at this place has ended.
    Ended(usize),
    /// The one at this place is late.
    Late(usize),
    /// The context is done.
    Done(Done),
}

impl<E: Failure> Pending<E> {
    pub(crate) fn new(ctx: &Context, target: String, started: Result<E::Started, E>) -> Self {
        Self { target, ctx: ctx.clone(), started, late: None }
    }

    pub(crate) fn late(self, late: Option<Late<E>>) -> Self {
        Self { late, ..self }
    }

    /// Waits for the response.
    ///
    /// # Errors
    ///
    /// The failure when there is none. That the context is done is told as soon as the context is
    /// that it was started under: a callee is cancelled, and nobody waits for it to end. A response
    /// that was there by then is given nevertheless.
    pub fn wait(self) -> Result<Response, E> {
        let waited = wait_for_first(&self.ctx, std::slice::from_ref(&self));
        let ctx = self.ctx.clone();
        self.conclude(&ctx, &waited)
    }

    /// The result of the one that waiting, under `ctx`, is over for.
    fn conclude(self, ctx: &Context, waited: &Waited) -> Result<Response, E> {
        let Self { target, started, late, .. } = self;
        match (waited, late) {
            (Waited::Done(done), _) => Err(E::done(&target, ctx, *done)),
            (Waited::Late(_), Some(late)) => Err(late.error),
            _ => Ok(received::<E>(&target, started?.result(&target)?)),
        }
    }
}

/// A response whose body knows who sent it.
pub(crate) fn received<E: Failure>(target: &str, response: Response) -> Response {
    let origin = E::origin(target, response.status());
    response.map(|body| body.sent_by(origin))
}

impl Pending {
    /// The name of the function that is called.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.target
    }

    /// Lets the call go on, and never mind how it ends.
    ///
    /// It ends with the context that it was started under: when that is canceled or its deadline
    /// passes, but not because it is dropped, since a detached call keeps it. So inside of a host,
    /// for a call to outlive its caller, it takes a context [without
    /// cancel](Context::without_cancel), and a function to which the host's configuration gives
    /// `detach`.
    pub fn detach(self) {
        if let Ok(started) = self.started {
            started.detach(self.ctx);
        }
    }
}

impl Pending<FetchError> {
    /// The URL that is fetched.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.target
    }
}

/// Waits until one of several calls, or fetches, has ended, takes it out of the list, and tells its place there
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
/// [`CallError::Done`] or [`FetchError::Done`]; so whoever goes on until `None` gets a result for each call, and soon.
///
/// Calls that were started under different contexts may be mixed. The context of the first is the
/// one that is waited under; what another's ends, ends by itself within the callee's grace.
pub fn select<E: Failure>(pending: &mut Vec<Pending<E>>) -> Option<(usize, Result<Response, E>)> {
    let ctx = pending.first()?.ctx.clone();
    select_under(&ctx, pending)
}

/// Waits for all of several calls, or fetches, and gives their results in the order of the calls.
///
/// It goes on whatever the results are; to stop at the first failure, see [`Group`](crate::Group).
pub fn join_all<E: Failure>(pending: Vec<Pending<E>>) -> Vec<Result<Response, E>> {
    pending.into_iter().map(Pending::wait).collect()
}

/// [`select`], waiting under a context that is not the calls' own.
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
    Some((place, pending.remove(place).conclude(ctx, &waited)))
}

/// Waits until one of several has ended or is late. There must be one.
fn wait_for_first<E: Failure>(ctx: &Context, pending: &[Pending<E>]) -> Waited {
    // Whatever failed at once has ended. Where nothing did, places are those of what was started.
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

/// Waits until one of several has a result, and tells its place among them. There must be one.
pub(crate) fn wait<'a, E: 'a, S: Started<E> + 'a>(
    ctx: &Context,
    started: impl Iterator<Item = &'a S>,
) -> Result<usize, Done> {
    #[cfg(target_arch = "wasm32")]
    {
        let handles: Vec<i32> = started.map(Started::handle).collect();
        crate::abi::call::wait(ctx.handle(), &handles)
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        let started: Vec<_> = started.collect();
        ctx.wait_for(|| started.iter().position(|one| one.has_ended()))
    }
}
