//! Responses that are whole, and that their clients have not taken yet.
//!
//! The function of such a response has ended, and is not among those in flight
//! any more. Its client may take its time, or ask for a hundred over HTTP/2 and
//! take none of them: so there is room for so many bytes of all clients, and a
//! response has its place there until its last byte has gone to the system.
//!
//! Small ones have no place, so that most responses cost nothing here. There are
//! no more of them than there may be requests on a connection.
//!
//! Heads count as bodies do. The reservation for a head is kept by the request's
//! id, which is a header of the response. HTTP/2 holds headers until they are
//! written. HTTP/1.1 encodes them at once, and begins no other response on the
//! connection before they are written.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use crate::body::Response;
use crate::limits::bytes::{Place, Room};
use crate::limits::fixed;
use crate::outcome::Outcome;

/// The longest response that is small, in bytes.
const SMALL: u64 = 16 << 10;

/// The room for them, of all connections.
pub(super) struct Untaken(Arc<Room>);

impl Untaken {
    /// Room for so many bytes.
    pub(super) fn new(most: u64) -> Self {
        Self(Room::new(most))
    }

    /// The response, which keeps its place until it was taken, or nobody is left
    /// to take it.
    ///
    /// # Errors
    /// There is no room for it: at this moment, or ever.
    pub(super) fn keep(&self, mut response: Response) -> Result<Response, Outcome> {
        let large = |len: u64| if len > SMALL { len } else { 0 };
        let head = large(fixed::held(response.headers()));
        let body = large(response.body_mut().whole_mut().map_or(0, |bytes| bytes.len() as u64));
        if head == 0 && body == 0 {
            return Ok(response);
        }
        let limit = self.0.limit;
        if head.saturating_add(body) > limit {
            return Err(Outcome::ResponseTooLarge { limit });
        }
        let take = |len| self.0.take(len).ok_or(Outcome::Busy);
        if body > 0 {
            let place = take(body)?;
            if let Some(bytes) = response.body_mut().whole_mut() {
                *bytes = place.keep(std::mem::replace(bytes, Bytes::new()));
            }
        }
        if head > 0 {
            response.extensions_mut().insert(Head(Arc::new(take(head)?)));
        }
        Ok(response)
    }
}

/// The reservation for the head of a response.
#[derive(Clone)]
struct Head(Arc<Place>);

/// The value of a header of the response, which keeps the reservation for the
/// head, where that has one.
pub(super) fn kept(response: &mut Response, value: HeaderValue) -> HeaderValue {
    let place = response.extensions_mut().remove().and_then(|Head(place)| Arc::into_inner(place));
    let Some(place) = place else { return value };
    let bytes = place.keep(Bytes::copy_from_slice(value.as_bytes()));
    let Ok(mut kept) = HeaderValue::from_maybe_shared(bytes) else { return value };
    // The table of HPACK would keep it when it has been written.
    kept.set_sensitive(true);
    kept
}
