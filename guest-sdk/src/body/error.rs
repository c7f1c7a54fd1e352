//! Errors of reading a body.

use std::fmt;
use std::io;

use http::{StatusCode, Uri};

use crate::{CallError, Done, Error, FetchError};

/// The reason why a body cannot be read, or is not the [text](crate::Body::text) or the
/// [JSON](crate::Body::json) that the handler expects.
///
/// The variant says where the error comes from. A handler that returns the error with `?` sends
/// this response:
///
/// | variant | response |
/// |---|---|
/// | [`Client`](Self::Client) | 400 with the text |
/// | [`Incomplete`](Self::Incomplete) | the host's: 400, or 413 if the body is too large |
/// | [`Done`](Self::Done) | the host's, if the invocation's own context is done; else 500 |
/// | [`Written`](Self::Written) | 500 |
/// | [`Upstream`](Self::Upstream), [`Callee`](Self::Callee) | as for the inner [`FetchError`] or [`CallError`]: usually 502 |
///
/// For the last two, the text goes to the function's log and not to the client, with the sender's
/// name and the response's status as fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// The content is malformed, in a body of the client or of the function itself.
    Client(String),
    /// The client's body ended early, is malformed as HTTP, or is larger than the function accepts.
    /// The host knows which.
    Incomplete,
    /// The context was done before the body had arrived.
    Done(Done),
    /// The closure of a [streamed](crate::Body::stream) body failed for this reason.
    Written(String),
    /// The response of another host broke off, or its content is malformed.
    Upstream {
        /// The host, with the port if the URL names one.
        host: String,
        /// The response's status.
        status: StatusCode,
        /// What is wrong with the body.
        error: FetchError,
    },
    /// The content of another function's response is malformed.
    Callee {
        /// The function's name.
        function: String,
        /// The response's status.
        status: StatusCode,
        /// What is wrong with the body.
        error: CallError,
    },
}

impl BodyError {
    /// Makes the error for a closure that failed to write a body.
    pub(crate) fn written(error: &Error) -> Self {
        match (error.find(), error.done()) {
            (Some(body), _) => Self::clone(body),
            (None, Some(done)) => Self::Done(done),
            (None, None) => Self::Written(error.to_string()),
        }
    }

    /// Makes the error for a response of another host that broke off, or whose content is malformed.
    pub(crate) fn upstream(url: &str, status: StatusCode, error: FetchError) -> Self {
        let host = url.parse::<Uri>().ok().and_then(|url| Some(url.authority()?.to_string()));
        Self::Upstream { host: host.unwrap_or_default(), status, error }
    }

    /// Makes the error for an [`io::Read`].
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Done(done) => io::Error::other(done),
            Self::Incomplete => io::Error::new(io::ErrorKind::ConnectionAborted, self),
            _ => io::Error::other(self),
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(text) => f.write_str(text),
            Self::Written(reason) => write!(f, "the body broke off: {reason}"),
            Self::Incomplete => {
                f.write_str("the request's body broke off, is malformed, or is too large")
            }
            Self::Done(done) => done.fmt(f),
            Self::Upstream { error, .. } => error.fmt(f),
            Self::Callee { error, .. } => error.fmt(f),
        }
    }
}

/// It has no source: it shows the inner error's text itself.
impl std::error::Error for BodyError {}

/// The sender of a body that is not the client's.
#[derive(Debug)]
pub(crate) enum Origin {
    Upstream { url: String, status: StatusCode },
    Callee { function: String, status: StatusCode },
}

impl Origin {
    /// Makes the error for malformed content.
    pub(super) fn malformed(&self, text: &str) -> BodyError {
        match self {
            Self::Upstream { url, status } => {
                let text = format!("{url}: status {status}: {text}");
                BodyError::upstream(url, *status, FetchError::BadResponse(text))
            }
            Self::Callee { function, status } => BodyError::Callee {
                function: function.clone(),
                status: *status,
                error: CallError::BadResponse(format!("`{function}`: status {status}: {text}")),
            },
        }
    }
}
