//! Why a fetch has no response.

use hourglass_abi::failure;
use http::StatusCode;

use crate::named::{Named, named};
use crate::{Cause, Context, Done, Error};

/// Why a fetch has no response, or only an incomplete one.
///
/// All variants except [`Done`](Self::Done) hold a description that starts with the URL.
/// [`Display`](std::fmt::Display) shows it; it is meant for a log.
///
/// A handler may return it with `?`. The response is then 504 if time ran out, and 502 otherwise.
/// The description goes to the function's log and not to the client. If the error is
/// [`Done`](Self::Done) and the invocation's own context is done too, however, the function ends
/// without a response, as it does when [`Context::check`] fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL cannot be fetched, or the request's head is not valid HTTP.
    BadRequest(String),
    /// The function may not reach this host: its `allow_hosts` do not list it, or the host resolves
    /// to an address that is not public.
    Forbidden(String),
    /// The host's name has no address.
    Unresolved(String),
    /// No connection could be established.
    Unreachable(String),
    /// No secure connection could be established, usually because of the other side's certificate.
    Tls(String),
    /// The request's body broke off: its writer failed, or the client that sent it did.
    Body(String),
    /// The response is incomplete or malformed.
    BadResponse(String),
    /// The response is longer than the host allows.
    TooLarge(String),
    /// The response's head did not arrive within its [`HeadTimeout`](crate::HeadTimeout).
    HeadTimeout(String),
    /// There are more redirects than requested, or one is invalid.
    Redirect(String),
    /// The invocation has as many fetches in progress, or has made as many, as the host allows.
    Exceeded(String),
    /// The context that it was made under is done.
    Done {
        /// The URL.
        url: String,
        /// How it was done.
        done: Done,
        /// Why it was.
        cause: Cause,
    },
    /// An unknown failure, as from a newer host.
    Other {
        /// Its name.
        outcome: String,
        /// A description of the failure.
        text: String,
    },
}

/// The name of a failure that only this crate reports.
const HEAD_TIMEOUT: &str = "head-timeout";

named! {
    FetchError { url: "{}" }
    {
        BadRequest = failure::BAD_REQUEST,
        Forbidden = failure::FORBIDDEN,
        Unresolved = failure::UNRESOLVED,
        Unreachable = failure::UNREACHABLE,
        Tls = failure::TLS,
        Body = failure::REQUEST_BODY,
        BadResponse = failure::BAD_RESPONSE,
        TooLarge = failure::RESPONSE_TOO_LARGE,
        HeadTimeout = HEAD_TIMEOUT,
        Redirect = failure::REDIRECT,
        Exceeded = failure::FETCHES_EXCEEDED,
    }
}

impl FetchError {
    /// Returns the status of the response to a handler that returns this error.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Done { done: Done::DeadlineExceeded, .. } | Self::HeadTimeout(_) => {
                StatusCode::GATEWAY_TIMEOUT
            }
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    /// Makes the failure of a fetch after its request's body broke off.
    pub(crate) fn body(ctx: &Context, url: &str, error: Error) -> Self {
        match error.done() {
            Some(done) => Self::ended(url, ctx, done),
            None => Self::Body(format!("{url}: the request's body broke off: {error}")),
        }
    }
}

/// It has no source: a [`Done`] among the sources of an error means that the function's own context
/// is done, and the context of a fetch may be another one.
impl std::error::Error for FetchError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    fn named(outcome: &str, text: &str, cause: &str) -> FetchError {
        let [outcome, text, cause] = [outcome, text, cause].map(str::to_owned);
        FetchError::named("http://a/", wire::Failure { outcome, text, cause })
    }

    #[test]
    fn a_failure_keeps_its_name() {
        for name in [
            "bad-request",
            "request-body",
            "forbidden",
            "unresolved",
            "unreachable",
            "tls",
            "bad-response",
            "response-too-large",
            "head-timeout",
            "redirect",
            "fetches-exceeded",
            "canceled",
            "deadline-exceeded",
        ] {
            let error = named(name, "words", "shutdown");
            assert_eq!(error.name(), name);
            assert!(!matches!(error, FetchError::Other { .. }), "{name}");
            assert!(error.to_string().starts_with("http://a/: "), "{error}");
        }
        let error = named("moved", "it is elsewhere", "");
        assert_eq!((error.name(), &*error.to_string()), ("moved", "http://a/: it is elsewhere"));
    }
}
