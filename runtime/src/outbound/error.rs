//! Why a fetch has no response, or only a part of it.

use std::error::Error;
use std::io;

use hourglass_abi::failure;
use hyper_util::client::legacy;

use crate::context::{Cause, Done};
use crate::limits::fixed;

/// Why a fetch failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct FetchError {
    /// Its [name](failure), as functions read it.
    pub(crate) name: &'static str,
    text: String,
    /// How the context ended, if that ended the fetch.
    pub(crate) done: Option<(Done, Cause)>,
}

impl FetchError {
    /// A failure of this name. The function may read the text. It is truncated
    /// to the length that a guest may keep: another host may have chosen it.
    pub(crate) fn new(name: &'static str, text: impl Into<String>) -> Self {
        let mut text = text.into();
        fixed::shorten(&mut text, fixed::MESSAGE);
        Self { name, text, done: None }
    }

    /// The request is not one that can be sent.
    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(failure::BAD_REQUEST, text)
    }

    /// The context is done.
    pub(super) fn done(done: Done, cause: Cause) -> Self {
        let text = format!("{done} (cause: {cause})");
        Self { done: Some((done, cause)), ..Self::new(done.name(), text) }
    }

    /// Heads and bodies have used up their memory.
    pub(crate) fn full(limit: u64) -> Self {
        let text = format!(
            "the heads and bodies of the function's fetches take {limit} bytes, which is the most; \
             drop some of its fetches first"
        );
        Self::new(failure::FETCHES_EXCEEDED, text)
    }

    /// Classifies an error of the client by its root cause.
    pub(crate) fn from_client(error: &(dyn Error + 'static)) -> Self {
        let (mut next, mut text) = (Some(error), String::new());
        while let Some(error) = next {
            if let Some(known) = error.downcast_ref::<Self>() {
                return known.clone();
            }
            if error.is::<rustls::Error>() {
                return Self::new(failure::TLS, format!("no secure connection: {error}"));
            }
            text = error.to_string();
            // A socket's error hides the error that it wraps.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
        }
        if error.downcast_ref().is_some_and(legacy::Error::is_connect) {
            return Self::new(failure::UNREACHABLE, format!("no connection: {text}"));
        }
        Self::new(failure::BAD_RESPONSE, format!("no whole response: {text}"))
    }
}
