//! Response framing. The host decides where a response ends, whatever a
//! function claims.
//!
//! The HTTP server library trusts a response's head. A length that does not
//! match the body, or a `transfer-encoding` set by a function, would make the
//! client read a part of this response as the next one, or the next one as a
//! part of this (response splitting).

use http::StatusCode;
use http::header::CONTENT_LENGTH;

use crate::body::{Response, announced};
use crate::propagation::headers;

/// Makes a response's head agree with its body, and both with the request: only
/// a head, or a whole response.
pub(super) fn settle(response: &mut Response, only_head: bool) {
    // A function must not set hop-by-hop headers. With them goes its length.
    if headers::has_hop_by_hop(response.headers()) {
        headers::strip_hop_by_hop(response.headers_mut());
    }
    match response.status() {
        StatusCode::NO_CONTENT => {
            take_body(response);
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        StatusCode::NOT_MODIFIED => {
            take_body(response);
        }
        _ if only_head => {
            // A function that knows it must send only a head has no body to
            // measure.
            if let Some(len @ 1..) = take_body(response) {
                response.headers_mut().entry(CONTENT_LENGTH).or_insert(len.into());
            }
        }
        _ => correct_length(response),
    }
}

/// Removes the body and keeps the head, with a length if it is valid. Returns
/// the length of the body, if known.
fn take_body(response: &mut Response) -> Option<u64> {
    if announced(response.headers()).is_none() {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    std::mem::take(response.body_mut()).len()
}

/// Sets the length of the body. A streaming body fails if its length turns out
/// to differ from the announced one. An announced length that is 0 or invalid
/// is removed: the response would be complete before its function has ended.
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
