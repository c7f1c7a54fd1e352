//! Responses that are whole, and that their clients have not taken yet.
//!
//! The function of such a response has ended, and is not among those in flight
//! any more. Its client may take its time, or ask for a hundred over HTTP/2 and
//! take none of them: so there is room for so many bytes of all clients, and a
//! response has its place there until its last byte has gone to the system.
//!
//! Small ones have no place, so that most responses cost nothing here. There are
//! no more of them than there may be requests on a connection.

use std::sync::Arc;

use bytes::Bytes;

use crate::message::Response;
use crate::outcome::Outcome;
use crate::room::Room;

/// The longest response that is small, in bytes.
const SMALL: usize = 16 << 10;

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
        let Some(bytes) = response.body_mut().whole_mut().filter(|bytes| bytes.len() > SMALL)
        else {
            return Ok(response);
        };
        let (len, limit) = (bytes.len() as u64, self.0.limit);
        if len > limit {
            return Err(Outcome::ResponseTooLarge { limit });
        }
        let place = self.0.take(len).ok_or(Outcome::Busy)?;
        *bytes = place.keep(std::mem::replace(bytes, Bytes::new()));
        Ok(response)
    }
}
