//! The error type of handlers, and how errors become responses.

use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

use crate::{BodyError, CallError, Context, Done, FetchError, Problem, Response, keys};

/// The result of a handler: [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, in a box.
pub(crate) type Boxed = Box<dyn StdError + Send + Sync>;

/// The reason why a handler has no response: any error, and the status of the response to it.
///
/// Every [`std::error::Error`] converts into one through `?`. The client gets a [`Problem`]. The
/// first of these among the error and its sources determines its status and detail:
///
/// | error | status | detail |
/// |---|---|---|
/// | one with a [status](Error::status), or a [`Problem`] | its own | its text, which must therefore be fit for the client to read |
/// | a [`BodyError`] of the client's request, if its content is malformed | 400 | what is wrong with the body |
/// | a [`BodyError`] of a request's body that did not arrive | the host answers, with 400 or 413 | the host's |
/// | a [`CallError`], a [`FetchError`], a [`BodyError`] of their responses | 502, 503 or 504, as the type documents | none |
/// | [`Done`], as [`Context::check`] returns it | not answered: see [`Error::done`] | |
/// | any other | 500 | none |
///
/// If the status is 500 or more, the error and its sources go to the function's log as one record
/// at level `error`.
///
/// The type does not implement [`std::error::Error`] itself, because the conversion from all of
/// those would then be ambiguous.
///
/// ```
/// use hourglass_sdk::{Error, Request, Result, StatusCode};
///
/// fn double(req: &Request) -> Result<String> {
///     let text = req.uri().query().ok_or_else(|| {
///         Error::status(StatusCode::BAD_REQUEST, "add a number to the URL, as in ?21")
///     })?;
///     let number: u32 = text.parse()?; // 500: the error has no status of its own
///     Ok((number * 2).to_string())
/// }
/// # assert_eq!(double(&Request::default()).unwrap_err().status_code(), 400);
/// ```
pub struct Error(Boxed);

/// An error inside another one, in a place that requires [`std::error::Error`]. It displays as the
/// inner error.
#[derive(Debug)]
pub(crate) struct Wrapped {
    status: Option<StatusCode>,
    error: Boxed,
}

/// The part of an error that determines the response.
#[derive(Clone, Copy)]
enum Verdict<'a> {
    /// It has a status, and the client may read its text.
    Status(StatusCode, &'a dyn fmt::Display),
    Problem(&'a Problem),
    Call(&'a CallError),
    Fetch(&'a FetchError),
    Done(Done),
    /// The client's body did not arrive. The host answers.
    Incomplete,
}

impl Error {
    /// Creates an error without a status of its own, from a text or from another error.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(source.into())
    }

    /// Creates an error that is answered with `status`, from a text or from another error.
    pub fn status(status: StatusCode, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Box::new(Wrapped { status: Some(status), error: source.into() }))
    }

    /// Returns the status of the response, unless the error is [not answered](Self::done).
    #[must_use]
    pub fn status_code(&self) -> StatusCode {
        match self.verdict() {
            Some(Verdict::Status(status, _)) => status,
            Some(Verdict::Problem(problem)) => problem.status(),
            Some(Verdict::Call(error)) => error.status(),
            Some(Verdict::Fetch(error)) => error.status(),
            Some(Verdict::Incomplete) => StatusCode::BAD_REQUEST,
            Some(Verdict::Done(_)) | None => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns how a context is done, if the error is a [`Done`] or has one among its sources.
    ///
    /// When the invocation's own context is done, such an error is not answered: the function ends
    /// without a response, and the host reports how the context ended. Otherwise the error is about
    /// a [derived](Context::with_timeout) context, and is answered like any other.
    ///
    /// This is always `None` for an error with a status of its own, because an explicit status asks
    /// for a response, and for a [`CallError`] or a [`FetchError`], because their context may be
    /// another one.
    #[must_use]
    pub fn done(&self) -> Option<Done> {
        match self.verdict() {
            Some(Verdict::Done(done)) => Some(done),
            _ => None,
        }
    }

    /// Returns the first error of a type among the error and its sources.
    #[must_use]
    pub fn find<E: StdError + 'static>(&self) -> Option<&E> {
        self.links().find_map(|error| error.downcast_ref())
    }

    /// Returns the problem document that the client gets, with the function's name and the request
    /// id as members `function` and `request_id`.
    ///
    /// [`serve`](crate::serve) answers with it, and [`serve_with`](crate::serve_with) may change
    /// it.
    pub fn problem(&self, ctx: &Context) -> Problem {
        let problem = match self.verdict() {
            Some(Verdict::Problem(problem)) => problem.clone(),
            Some(Verdict::Status(status, text)) => Problem::new(status, text.to_string()),
            _ => Problem::new(self.status_code(), "the function failed"),
        };
        let function = ctx.value(&keys::FUNCTION);
        let members = [("function", function), ("request_id", ctx.request_id())];
        members.into_iter().fold(problem, |problem, (name, value)| match value {
            Some(value) => problem.with(name, &value),
            None => problem,
        })
    }

    /// Returns the response that the client gets.
    ///
    /// # Errors
    ///
    /// [`Done`] if the error only says that this context, the invocation's own, is done.
    pub(crate) fn answer(&self, ctx: &Context) -> Result<Response, Done> {
        self.answer_with(ctx, |ctx, error| error.problem(ctx).response())
    }

    /// Returns the response that the client gets, made by `respond`.
    pub(crate) fn answer_with(
        &self,
        ctx: &Context,
        respond: impl FnOnce(&Context, &Self) -> Response,
    ) -> Result<Response, Done> {
        let of_context = matches!(
            self.verdict(),
            Some(
                Verdict::Done(_)
                    | Verdict::Call(CallError::Done { .. })
                    | Verdict::Fetch(FetchError::Done { .. })
            )
        );
        match ctx.err() {
            Some(done) if of_context => Err(done),
            _ => Ok(respond(ctx, self)),
        }
    }

    /// Whether the host answers the error: the client's body did not arrive, and no error before
    /// that one in the chain determines the response.
    #[cfg(any(target_arch = "wasm32", test))]
    pub(crate) fn is_incomplete(&self) -> bool {
        matches!(self.verdict(), Some(Verdict::Incomplete))
    }

    fn verdict(&self) -> Option<Verdict<'_>> {
        self.links().find_map(Verdict::from_error)
    }

    /// Iterates over the error and all of its sources.
    fn links(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let first: &(dyn StdError + 'static) = &*self.0;
        std::iter::successors(Some(first), |&error: &&(dyn StdError + 'static)| {
            if let Some(wrapped) = error.downcast_ref::<Wrapped>() {
                return Some(&*wrapped.error);
            }
            // An I/O error hides the error that it was made from.
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            inner.map_or_else(|| error.source(), |inner| Some(inner))
        })
    }
}

impl<'a> Verdict<'a> {
    fn from_error(error: &'a (dyn StdError + 'static)) -> Option<Self> {
        if let Some(Wrapped { status: Some(status), error }) = error.downcast_ref() {
            return Some(Self::Status(*status, error));
        }
        if let Some(error) = error.downcast_ref() {
            return Self::from_body(error);
        }
        if let Some(CallError::Body { error, .. }) = error.downcast_ref() {
            return Self::from_body(error);
        }
        let problem = error.downcast_ref().map(Self::Problem);
        let call = || error.downcast_ref().map(Self::Call);
        let fetch = || error.downcast_ref().map(Self::Fetch);
        let done = || error.downcast_ref().copied().map(Self::Done);
        problem.or_else(call).or_else(fetch).or_else(done)
    }

    fn from_body(error: &'a BodyError) -> Option<Self> {
        match error {
            BodyError::Client(text) => Some(Self::Status(StatusCode::BAD_REQUEST, text)),
            BodyError::Incomplete => Some(Self::Incomplete),
            BodyError::Done(done) => Some(Self::Done(*done)),
            BodyError::Written(_) => None,
            BodyError::Upstream { error, .. } => Some(Self::Fetch(error)),
            BodyError::Callee { error, .. } => Some(Self::Call(error)),
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

/// The error as a standard error. If it becomes a source of another error, [`Error::status_code`]
/// and [`Error::done`] of that one are those of this error.
impl From<Error> for Box<dyn StdError + Send + Sync> {
    fn from(error: Error) -> Self {
        error.0
    }
}

/// For `?` in a function that returns `anyhow::Result`.
#[cfg(feature = "anyhow")]
impl From<Error> for anyhow::Error {
    fn from(error: Error) -> Self {
        Self::new(Wrapped { status: None, error: error.0 })
    }
}

/// The error type that a handler may return. This trait is sealed.
///
/// It is implemented for every [`std::error::Error`] and for [`Error`]. With the default feature
/// `anyhow`, it is also implemented for `anyhow::Error` and for every type that converts into a
/// `Box<dyn std::error::Error + Send + Sync>`:
///
/// ```
/// # #[cfg(feature = "anyhow")] {
/// use anyhow::Context as _;
/// use hourglass_sdk::{Context, Request, Response};
///
/// fn double(ctx: &Context, req: Request) -> anyhow::Result<Response> {
///     ctx.check()?; // not answered
///     let number: u32 = req.body().json()?; // 400 if the client sent no number
///     let double = number.checked_mul(2).context("the number is too large")?; // 500
///     Ok(Response::new(double.to_string().into()))
/// }
/// # assert!(double(&Context::background(), Request::new("2".into())).is_ok());
/// # }
/// ```
pub trait IntoError: private::Sealed {
    /// Converts into an [`Error`], and keeps all sources.
    fn into_error(self) -> Error;
}

mod private {
    pub trait Sealed {}
}

#[cfg(not(feature = "anyhow"))]
mod any {
    use super::{Error, IntoError, private};

    impl<E: Into<Error>> private::Sealed for E {}

    impl<E: Into<Error>> IntoError for E {
        fn into_error(self) -> Error {
            self.into()
        }
    }
}

#[cfg(feature = "anyhow")]
mod any {
    use std::any::Any;

    use super::{Boxed, Error, IntoError, private};

    impl<E: Into<Boxed> + 'static> private::Sealed for E {}

    impl<E: Into<Boxed> + 'static> IntoError for E {
        fn into_error(self) -> Error {
            let mut error = Some(self);
            // A box that `anyhow` makes by itself hides the error that it was made from.
            let any = (&mut error as &mut dyn Any).downcast_mut::<Option<anyhow::Error>>();
            if let Some(error) = any.and_then(Option::take) {
                return Error(error.reallocate_into_boxed_dyn_error_without_backtrace());
            }
            Error(error.map_or_else(|| "the error is gone".into(), Into::into))
        }
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for Wrapped {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Formats the error and its sources, one per line, for a failed test or a log. A source with the
/// same text as the error before it is omitted.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.to_string();
        f.write_str(&last)?;
        for source in self.links().filter(|error| !error.is::<Wrapped>()).skip(1) {
            let text = source.to_string();
            if text != last {
                write!(f, "\n  because: {text}")?;
            }
            last = text;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
