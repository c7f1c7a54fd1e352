//! The byte budget for whole responses that clients have not taken yet.
//!
//! The function of such a response has ended and is no longer in flight. Its
//! client may read slowly, or request a hundred responses over HTTP/2 and read
//! none. So all clients share a byte budget, and a response keeps a reservation
//! until its last byte has been written to the socket.
//!
//! Small responses keep none, so most responses cost nothing here. There are at
//! most as many of them as there may be requests on a connection.
//!
//! Heads count as bodies do. The reservation for a head is kept by the request's
//! id, which is a header of the response. HTTP/2 holds headers until they are
//! written. HTTP/1.1 encodes them at once, and starts no other response on the
//! connection before they are written.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use crate::body::Response;
use crate::limits::bytes::{ByteBudget, Reservation};
use crate::limits::fixed;
use crate::outcome::Outcome;

/// The longest response that is small, in bytes.
const SMALL: u64 = 16 << 10;

/// The budget of all connections. Clones are one budget.
#[derive(Clone, Debug)]
pub(crate) struct ResponseBudget(Arc<ByteBudget>);

impl ResponseBudget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self(ByteBudget::new(limit))
    }

    /// Reserves the bytes of a response until the client has taken it, or has
    /// left.
    ///
    /// # Errors
    /// [`Outcome::Busy`] while the budget is used up,
    /// [`Outcome::ResponseTooLarge`] if it can never hold the response.
    pub(crate) fn hold(&self, mut response: Response) -> Result<Response, Outcome> {
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
        let reserve = |len| self.0.reserve(len).ok_or(Outcome::Busy);
        if body > 0 {
            let reservation = reserve(body)?;
            if let Some(bytes) = response.body_mut().whole_mut() {
                *bytes = reservation.attach(std::mem::replace(bytes, Bytes::new()));
            }
        }
        if head > 0 {
            response.extensions_mut().insert(Head(Arc::new(reserve(head)?)));
        }
        Ok(response)
    }
}

/// The reservation for the head of a response.
#[derive(Clone)]
struct Head(Arc<Reservation>);

/// The value of a header of the response, which keeps the reservation for the
/// head, if the response has one.
pub(crate) fn kept(response: &mut Response, value: HeaderValue) -> HeaderValue {
    let reservation = response
        .extensions_mut()
        .remove()
        .and_then(|Head(reservation)| Arc::into_inner(reservation));
    let Some(reservation) = reservation else { return value };
    let bytes = reservation.attach(Bytes::copy_from_slice(value.as_bytes()));
    let Ok(mut kept) = HeaderValue::from_maybe_shared(bytes) else { return value };
    // The table of HPACK would keep it when it has been written.
    kept.set_sensitive(true);
    kept
}
