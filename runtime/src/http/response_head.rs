//! Where a response ends, which is the host's business whatever a function says.
//!
//! The HTTP server library believes a response's head. A length that is not the
//! body's, or a `transfer-encoding` of a function's own, would have the client
//! take a part of this response for the next one, or the next one for a part of
//! this.

use http::header::{CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::body::{Response, announced};
use crate::propagation::hop_by_hop;

/// Headers that are about the connection, which is none of a function's.
const ABOUT_CONNECTION: [HeaderName; 7] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Has a response's head agree with its body, and both with what was asked for:
/// nothing but a head, or all of it.
pub(super) fn settle(response: &mut Response, only_head: bool) {
    strip(response.headers_mut());
    match response.status() {
        StatusCode::NO_CONTENT => {
            take_body(response);
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        StatusCode::NOT_MODIFIED => {
            take_body(response);
        }
        _ if only_head => {
            // A function that knows what is asked for has no body to measure.
            if let Some(len @ 1..) = take_body(response) {
                response.headers_mut().entry(CONTENT_LENGTH).or_insert(len.into());
            }
        }
        _ => correct_length(response),
    }
}

/// Takes out what is about the connection. A function that speaks of that has no
/// say in the length either.
fn strip(headers: &mut HeaderMap) {
    // Nearly no response has any, and a look costs less than to remove them all.
    if headers.keys().any(|name| ABOUT_CONNECTION.contains(name)) {
        hop_by_hop::strip(headers);
    }
}

/// Leaves the head of a response, with a length if that is one, and tells how
/// long the body was, where that is known.
fn take_body(response: &mut Response) -> Option<u64> {
    if announced(response.headers()).is_none() {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    std::mem::take(response.body_mut()).len()
}

/// Names the length that the body has. One that is not there yet breaks off
/// where it turns out to have another than was announced; and if nothing was, it
/// would be complete before its function has ended.
fn correct_length(response: &mut Response) {
    if !response.headers().contains_key(CONTENT_LENGTH) {
        return;
    }
    match (response.body().len(), announced(response.headers())) {
        (Some(len), _) => drop(response.headers_mut().insert(CONTENT_LENGTH, len.into())),
        (None, Some(1..)) => {}
        (None, _) => drop(response.headers_mut().remove(CONTENT_LENGTH)),
    }
}
