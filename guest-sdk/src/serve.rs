//! The entry points that a function's `main` calls.

use crate::{Context, Error, IntoResponse, Request, Response, platform};

/// Serves the one request of this invocation with `handler`. `main` has nothing else to do.
///
/// The handler is called as soon as the request's head has arrived. The invocation ends in one of
/// these ways:
///
/// - The handler returns a response, or an [`Error`](crate::Error) that is answered: the client
///   gets it. This also works after the context is done, during the grace period.
/// - The handler returns [`Done`](crate::Done), usually through `ctx.check()?`, or
///   [`CallError::Done`](crate::CallError::Done), and the context is in fact done: `serve` returns
///   without a response, and the host reports how the context ended.
/// - The handler returns the [`BodyError`](crate::BodyError) of a request's body that the client
///   did not send in full: the process exits with code 1, and the host answers with 400 or 413.
/// - A [streamed](crate::Body::stream) body fails midway: the process exits with code 1, and the
///   client sees that the response broke off.
/// - The handler panics: the message goes to the log as one record at level `error`, with the
///   fields `file` and `line`, and the instance traps. A panic hook that is set after `serve` has
///   started, for example in the handler, replaces this.
///
/// # Outside a host
///
/// A function that is built for the native target and run there prints instructions, and exits with
/// code 2. Test handlers by calling them.
pub fn serve<H, R>(handler: H)
where
    H: FnOnce(&Context, Request) -> R,
    R: IntoResponse,
{
    serve_with(handler, |ctx, error| error.problem(ctx).response());
}

/// [`serve`] with a different response to errors than a [`Problem`](crate::Problem).
///
/// `on_error` makes the response to an error that the handler returned, unless the error is [not
/// answered](Error::done). The error is logged as usual: a status of 500 or more in the response is
/// a failure. The host answers failures that only it sees, such as a trap or a deadline, with a
/// problem document.
///
/// ```no_run
/// use hourglass_sdk::{Context, Request, Response, Result, serve_with};
///
/// fn main() {
///     serve_with(shop, |ctx, error| {
///         let mut response = error.problem(ctx).response();
///         *response.body_mut() = format!("<h1>{}</h1>", response.status()).into();
///         response.headers_mut().insert("content-type", "text/html".parse().unwrap());
///         response
///     })
/// }
///
/// fn shop(_: &Context, _: Request) -> Result<Response> {
///     Ok(Response::default())
/// }
/// ```
pub fn serve_with<H, R, F>(handler: H, on_error: F)
where
    H: FnOnce(&Context, Request) -> R,
    R: IntoResponse,
    F: FnOnce(&Context, &Error) -> Response,
{
    platform::run(handler, on_error);
}
