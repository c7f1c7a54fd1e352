//! Why a fetch has no response, or only a part of it.

use std::error::Error;
use std::io;

use hourglass_abi::failure;

use super::connector::Unconnected;
use super::upload::BrokenOff;
use crate::context::{Cause, Done};
use crate::limits::fixed;

/// Why a fetch failed. The function may read the message.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Body(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("the name can't be resolved: {0}")]
    Unresolved(String),
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("no secure connection: {0}")]
    Tls(String),
    #[error("no whole response: {0}")]
    BadResponse(String),
    #[error("the response is longer than {limit} bytes, which is the most")]
    TooLarge { limit: u64 },
    #[error("{0}")]
    Redirect(String),
    #[error("{0}")]
    Exceeded(String),
    #[error("{0} (cause: {1})")]
    Done(Done, Cause),
}

impl FetchError {
    /// The error if heads and bodies have used up their memory.
    pub(crate) fn full(limit: u64) -> Self {
        Self::Exceeded(format!(
            "the heads and bodies of the function's fetches take {limit} bytes, which is the most; \
             drop some of its fetches first"
        ))
    }

    /// Truncates the texts to the length that a guest may keep: another host
    /// may have chosen them.
    pub(super) fn bounded(mut self) -> Self {
        match &mut self {
            Self::BadRequest(text)
            | Self::Body(text)
            | Self::Forbidden(text)
            | Self::Unresolved(text)
            | Self::Unreachable(text)
            | Self::Tls(text)
            | Self::BadResponse(text)
            | Self::Redirect(text)
            | Self::Exceeded(text) => fixed::shorten(text, fixed::MESSAGE),
            Self::TooLarge { .. } | Self::Done(..) => {}
        }
        self
    }

    /// Its name, as functions read it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => failure::BAD_REQUEST,
            Self::Body(_) => failure::REQUEST_BODY,
            Self::Forbidden(_) => failure::FORBIDDEN,
            Self::Unresolved(_) => failure::UNRESOLVED,
            Self::Unreachable(_) => failure::UNREACHABLE,
            Self::Tls(_) => failure::TLS,
            Self::BadResponse(_) => failure::BAD_RESPONSE,
            Self::TooLarge { .. } => failure::RESPONSE_TOO_LARGE,
            Self::Redirect(_) => failure::REDIRECT,
            Self::Exceeded(_) => failure::FETCHES_EXCEEDED,
            Self::Done(done, _) => done.name(),
        }
    }

    /// The cause, if a context ended the fetch.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Done(_, cause) => Some(cause),
            _ => None,
        }
    }

    /// Classifies an error of the client by its root cause.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut all = vec![];
        let mut next = Some(error);
        while let Some(error) = next {
            all.push(error);
            // A socket's error hides the error that it wraps.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
        }
        for error in &all {
            if let Some(unconnected) = error.downcast_ref::<Unconnected>() {
                return match unconnected {
                    Unconnected::Refused(text) => Self::Forbidden(text.clone()),
                    Unconnected::Unresolved(text) => Self::Unresolved(text.clone()),
                    Unconnected::TooLong => Self::Unreachable(unconnected.to_string()),
                    Unconnected::TooMany => {
                        Self::Exceeded("as many connections are open as may be".into())
                    }
                };
            }
            if let Some(broken) = error.downcast_ref::<BrokenOff>() {
                return Self::Body(broken.to_string());
            }
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Self::Tls(error.to_string());
            }
        }
        let text = all.last().map(ToString::to_string).unwrap_or_default();
        let connecting = error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect);
        if connecting { Self::Unreachable(text) } else { Self::BadResponse(text) }
    }
}
