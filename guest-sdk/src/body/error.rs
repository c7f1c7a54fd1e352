//! Why a body is not what it was read as.

use std::fmt;

use http::StatusCode;

use crate::{CallError, FetchError};

/// Why a body cannot be read as [text](crate::Body::text) or as [JSON](crate::Body::json).
///
/// The variant says who sent the body. A handler may pass it on by `?`: a malformed request is
/// answered with 400 and the reason; a malformed response of another host or function is not the
/// client's mistake, and is answered as the [`FetchError`] or the [`CallError`] is, mostly with 502.
/// The reason then goes to the function's log, with the sender's name and status as fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// A body that the client sent, or that the function made itself.
    Client(String),
    /// The body of a response of another host.
    Upstream {
        /// The host, and its port where the URL names one.
        host: String,
        /// The response's status.
        status: StatusCode,
        /// What is wrong with the body.
        error: FetchError,
    },
    /// The body of a response of another function.
    Callee {
        /// The function's name.
        function: String,
        /// The response's status.
        status: StatusCode,
        /// What is wrong with the body.
        error: CallError,
    },
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(text) => f.write_str(text),
            Self::Upstream { error, .. } => error.fmt(f),
            Self::Callee { error, .. } => error.fmt(f),
        }
    }
}

/// It has no source: its text is that of the error in it.
impl std::error::Error for BodyError {}

/// Who sent a body that is not the client's.
#[derive(Debug)]
pub enum Origin {
    Upstream { url: String, host: String, status: StatusCode },
    Callee { function: String, status: StatusCode },
}

impl Origin {
    /// What is wrong with the body.
    pub(super) fn malformed(&self, text: &str) -> BodyError {
        match self {
            Self::Upstream { url, status, .. } => {
                self.failed(FetchError::BadResponse(format!("{url}: status {status}: {text}")))
            }
            Self::Callee { function, status } => BodyError::Callee {
                function: function.clone(),
                status: *status,
                error: CallError::BadResponse(format!("`{function}`: status {status}: {text}")),
            },
        }
    }

    /// Why the body broke off.
    pub(super) fn failed(&self, error: FetchError) -> BodyError {
        match self {
            Self::Upstream { host, status, .. } => {
                BodyError::Upstream { host: host.clone(), status: *status, error }
            }
            Self::Callee { .. } => self.malformed(&error.to_string()),
        }
    }
}
