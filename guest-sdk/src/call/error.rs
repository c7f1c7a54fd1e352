//! Why a call has no response.

use hourglass_abi::failure;
use http::StatusCode;

use crate::named::{Named, named};
use crate::{BodyError, Cause, Context, Done};

/// Why a call of another function has no response.
///
/// All variants except [`Done`](Self::Done) and [`Body`](Self::Body) hold a description that starts
/// with the callee's name. [`Display`](std::fmt::Display) shows it; it is meant for a log.
///
/// A handler may return it with `?`. The response is then 503 if the callee is [busy](Self::Busy)
/// or the host is [draining](Self::Draining), 504 if the callee's time ran out, and 502 otherwise.
/// The description goes to the function's log and not to the client. If the error is
/// [`Done`](Self::Done) and the invocation's own context is done too, however, the function ends
/// without a response, as it does when [`Context::check`] fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// No function of this name is deployed.
    NotFound(String),
    /// The function may not call this one: its `calls` do not list it.
    Forbidden(String),
    /// As many invocations are in flight as the host allows. A later retry may help.
    Busy(String),
    /// The host shuts down and accepts no new invocations.
    Draining(String),
    /// A context was done before there was a response: the one that the call was made under, or the
    /// callee's own, which may have less time.
    Done {
        /// The callee.
        function: String,
        /// How it was done.
        done: Done,
        /// Why it was.
        cause: Cause,
    },
    /// The callee trapped. For a function in Rust, this is usually a panic.
    Trap(String),
    /// The callee exited with a code that is not zero.
    Exit(String),
    /// The callee exceeded its memory limit.
    OutOfMemory(String),
    /// The callee gave no response, or one that is not valid HTTP.
    BadResponse(String),
    /// The request's body cannot be read, so the call was not made.
    ///
    /// A handler that returns this error gets the same response as for the [`BodyError`] itself.
    Body {
        /// The callee.
        function: String,
        /// What is wrong with the body.
        error: Box<BodyError>,
    },
    /// The request's body is longer than the callee accepts.
    BodyTooLarge(String),
    /// The response is longer than a caller may receive.
    ResponseTooLarge(String),
    /// The host rejects the request as invalid.
    BadRequest(String),
    /// The call would make a chain of calls longer than the host allows.
    DepthExceeded(String),
    /// The invocation has as many calls in progress, or has made as many, as the host allows.
    CallsExceeded(String),
    /// The host failed.
    Host(String),
    /// An unknown outcome, as from a newer host.
    Other {
        /// Its name.
        outcome: String,
        /// A description of the failure.
        text: String,
    },
}

named! {
    CallError { function: "`{}`" }
    {
        NotFound = failure::NOT_FOUND,
        Forbidden = failure::FORBIDDEN,
        Busy = failure::BUSY,
        Draining = failure::DRAINING,
        Trap = failure::TRAP,
        Exit = failure::EXIT,
        OutOfMemory = failure::OUT_OF_MEMORY,
        BadResponse = failure::BAD_RESPONSE,
        BodyTooLarge = failure::BODY_TOO_LARGE,
        ResponseTooLarge = failure::RESPONSE_TOO_LARGE,
        BadRequest = failure::BAD_REQUEST,
        DepthExceeded = failure::DEPTH_EXCEEDED,
        CallsExceeded = failure::CALLS_EXCEEDED,
        Host = failure::HOST,
        ;
        Body = failure::REQUEST_BODY, "the request's body cannot be read"
    }
}

impl CallError {
    /// Makes the failure of a call if its request's body cannot be read.
    pub(crate) fn body(ctx: &Context, function: &str, error: BodyError) -> Self {
        match error {
            BodyError::Done(done) => Self::ended(function, ctx, done),
            error => Self::Body { function: function.to_owned(), error: Box::new(error) },
        }
    }

    /// Returns the status of the response to a handler that returns this error.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Busy(_) | Self::Draining(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Done { done: Done::DeadlineExceeded, .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        }
    }
}

/// It has no source: a [`Done`] among the sources of an error means that the function's own context
/// is done, and the callee's context may be another one.
impl std::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    fn named(outcome: &str, text: &str, cause: &str) -> CallError {
        let [outcome, text, cause] = [outcome, text, cause].map(str::to_owned);
        CallError::named("callee", wire::Failure { outcome, text, cause })
    }

    #[test]
    fn an_outcome_keeps_its_name() {
        let names = [
            "not-found",
            "forbidden",
            "busy",
            "draining",
            "canceled",
            "deadline-exceeded",
            "trap",
            "exit",
            "out-of-memory",
            "bad-response",
            "body-too-large",
            "response-too-large",
            "bad-request",
            "depth-exceeded",
            "calls-exceeded",
            "host",
        ];
        for name in names {
            let error = named(name, "words", "shutdown");
            assert_eq!(error.name(), name);
            assert!(!matches!(error, CallError::Other { .. }), "{name}");
            assert!(error.to_string().starts_with("`callee`: "), "{error}");
        }
    }

    #[test]
    fn an_outcome_of_the_future_is_told_as_it_is() {
        let error = named("moved", "it is elsewhere", "");
        assert_eq!(error.name(), "moved");
        assert_eq!(error.to_string(), "`callee`: it is elsewhere");
    }

    #[test]
    fn a_callees_cause_is_read() {
        let error = named("canceled", "", "custom: enough");
        let CallError::Done { done, cause, .. } = error else { panic!("{error}") };
        assert_eq!((done, cause), (Done::Canceled, Cause::Custom("enough".to_owned())));
    }
}
