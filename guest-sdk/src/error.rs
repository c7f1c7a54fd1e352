//! What `?` makes of any error in a handler.

use std::error::Error as StdError;
use std::fmt;

use http::{HeaderValue, StatusCode, header};

use crate::{Body, CallError, Context, Done, FetchError, Response};

/// What a handler returns: [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a handler has no response: any error, and the status to answer with.
///
/// Every [`std::error::Error`] becomes one through `?`. What the client gets depends on it:
///
/// - An error with a status of its own ([`Error::status`]) is answered with that status and with
///   the error's text, so that text must be fit for the client to read.
/// - Any other error is answered with 500 and a text that tells nothing. The error and its sources
///   go to stderr, which is the function's log.
/// - [`Done`], as [`Context::check`] returns it, is not answered at all: see [`Error::done`].
/// - A [`CallError`] or a [`FetchError`] is answered as that says, as the fault is not this
///   function's.
///
/// It does not implement [`std::error::Error`] itself: the conversion from all of those would
/// then be ambiguous.
///
/// ```
/// use hourglass_sdk::{Error, Request, Result, StatusCode};
///
/// fn double(req: &Request) -> Result<String> {
///     let text = req.uri().query().ok_or_else(|| {
///         Error::status(StatusCode::BAD_REQUEST, "add a number to the URL, as in ?21")
///     })?;
///     let number: u32 = text.parse()?; // 500: nobody said that this is the client's mistake
///     Ok((number * 2).to_string())
/// }
/// # assert_eq!(double(&Request::default()).unwrap_err().status_code(), 400);
/// ```
pub struct Error {
    status: Option<StatusCode>,
    source: Box<dyn StdError + Send + Sync>,
}

impl Error {
    /// An error that has no status of its own, from a text or from another error.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { status: None, source: source.into() }
    }

    /// An error that is answered with `status`, from a text or from another error.
    pub fn status(status: StatusCode, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { status: Some(status), source: source.into() }
    }

    /// The status that it is answered with: its own; or where it comes from a call of another
    /// function or a fetch, the one that [`CallError`] or [`FetchError`] tells; or 500.
    #[must_use]
    pub fn status_code(&self) -> StatusCode {
        let of_call = || self.source_that_is().map(CallError::status);
        let of_fetch = || self.source_that_is().map(FetchError::status);
        self.status.or_else(of_call).or_else(of_fetch).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether it says that a context is done: it is a [`Done`], or one is among its sources.
    ///
    /// When the invocation's own context is done, such an error is not answered: the function ends
    /// without a response, and the host reports how the context ended. When it is not, as the error
    /// speaks of a [derived](Context::with_timeout) one, it is answered as any other.
    ///
    /// An error with a status of its own is never one of these, because whoever gave it a status
    /// wants it answered. Neither is a [`CallError`] or a [`FetchError`]: the context that it speaks
    /// of may be another.
    #[must_use]
    pub fn done(&self) -> Option<Done> {
        match self.status {
            Some(_) => None,
            None => self.chain().find_map(|error| error.downcast_ref().copied()),
        }
    }

    /// The response that the client gets.
    ///
    /// # Errors
    ///
    /// There is none to be given when the error says no more than that this context, the
    /// invocation's own, is done.
    pub(crate) fn answer(&self, ctx: &Context) -> Result<Response, Done> {
        if self.status.is_none()
            && (self.done().is_some()
                || matches!(self.source_that_is(), Some(CallError::Done { .. }))
                || matches!(self.source_that_is(), Some(FetchError::Done { .. })))
            && let Some(done) = ctx.err()
        {
            return Err(done);
        }
        let text = match self.status {
            Some(_) => format!("{self}\n").into(),
            None => Body::from("the function failed\n"),
        };
        let mut response = Response::new(text);
        *response.status_mut() = self.status_code();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        Ok(response)
    }

    /// The failed call, or fetch, that it comes from.
    fn source_that_is<E: StdError + 'static>(&self) -> Option<&E> {
        self.chain().find_map(|error| error.downcast_ref())
    }

    /// The error itself and all of its sources.
    fn chain(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let first: &(dyn StdError + 'static) = &*self.source;
        std::iter::successors(Some(first), |&error: &&(dyn StdError + 'static)| {
            // An error of reading or writing hides the one that it was made from.
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            inner.map_or_else(|| error.source(), |inner| Some(inner))
        })
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// The error and its sources in a line each, as a failed test or a log should show it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        self.chain().skip(1).try_for_each(|source| write!(f, "\n  because: {source}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;

    /// An error with a source, as libraries have them.
    #[derive(Debug)]
    struct Outer(Done);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the row was not read")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn answer(error: &Error) -> Response {
        error.answer(&Context::background()).expect("the context is not done")
    }

    fn failed_call(done: Done) -> CallError {
        CallError::Done { function: "callee".to_owned(), done, cause: Cause::Shutdown }
    }

    #[test]
    fn an_error_without_a_status_tells_the_client_nothing() {
        let answer = answer(&Error::new("the password is hunter2"));
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.body().as_ref(), b"the function failed\n");
    }

    #[test]
    fn an_error_with_a_status_is_for_the_client_to_read() {
        let answer = answer(&Error::status(StatusCode::NOT_FOUND, "no such page"));
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.body().as_ref(), b"no such page\n");
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    }

    #[test]
    fn a_failed_call_is_somebody_elses_fault() {
        let statuses = [
            (CallError::Busy("secret".to_owned()), 503),
            (CallError::Draining("secret".to_owned()), 503),
            (failed_call(Done::DeadlineExceeded), 504),
            (failed_call(Done::Canceled), 502),
            (CallError::Trap("secret".to_owned()), 502),
        ];
        for (error, status) in statuses {
            let answer = answer(&error.into());
            assert_eq!(answer.status(), status);
            assert_eq!(answer.body().as_ref(), b"the function failed\n");
        }
    }

    #[test]
    fn a_callees_done_is_not_the_callers() {
        let error = Error::from(failed_call(Done::DeadlineExceeded));
        assert_eq!(error.done(), None);
    }

    #[test]
    fn what_says_no_more_than_that_the_context_is_done_is_not_answered() {
        let (ctx, cancel) = Context::background().with_cancel();
        let (check, call) = (Error::from(Done::Canceled), Error::from(failed_call(Done::Canceled)));
        for error in [&check, &call] {
            assert!(error.answer(&ctx).is_ok(), "it speaks of a context that was derived");
        }
        cancel.cancel();
        for error in [&check, &call] {
            assert_eq!(error.answer(&ctx).err(), Some(Done::Canceled));
        }
        assert!(Error::new("something else").answer(&ctx).is_ok());
    }

    #[test]
    fn done_is_found_among_the_sources() {
        assert_eq!(Error::from(Done::Canceled).done(), Some(Done::Canceled));
        let deep = Error::from(Outer(Done::DeadlineExceeded));
        assert_eq!(deep.done(), Some(Done::DeadlineExceeded));
        assert_eq!(Error::new("something else").done(), None);
        let read = std::io::Error::other(Done::Canceled);
        assert_eq!(Error::from(read).done(), Some(Done::Canceled));
    }

    #[test]
    fn done_with_a_status_is_answered() {
        let error = Error::status(StatusCode::SERVICE_UNAVAILABLE, Done::Canceled);
        assert_eq!(error.done(), None);
    }

    #[test]
    fn debug_shows_the_sources() {
        let text = format!("{:?}", Error::from(Outer(Done::Canceled)));
        assert_eq!(text, "the row was not read\n  because: context canceled");
    }
}
