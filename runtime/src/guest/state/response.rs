//! A response body that the guest writes piece by piece.
//!
//! The guest commits the head, and then writes. If the caller can forward
//! pieces, there is a [`ResponseSender`]: the head leaves through it at once, and each
//! write waits until there is room for its piece. This is the backpressure that
//! keeps a guest no faster than its client. Without a sender the pieces are
//! collected.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::body::{Body, Pieces, Response};
use crate::context::Context;
use crate::guest::code;
use crate::limits::bytes::Bulk;
use crate::outcome::Outcome;

/// The largest piece that one write takes, in bytes.
pub(crate) const PIECE: u32 = 64 << 10;

/// The longest body that is copied when it outgrows its buffer, in bytes. A
/// longer one gets a buffer of its maximum size.
const COPIED: usize = 1 << 20;

/// The pieces that a guest may write ahead of the reader. Two, so that the two
/// threads need not wait for each other at every piece.
const AHEAD: usize = 2;

/// The channel by which a response reaches its caller before the guest has
/// ended.
pub(crate) type ResponseSender = oneshot::Sender<Response>;

/// The body of a response, from the moment its head is committed.
#[derive(Default)]
pub(crate) enum Outgoing {
    /// No head is committed.
    #[default]
    None,
    /// Forwarded piece by piece.
    Sent(mpsc::Sender<Bytes>, Allowance),
    /// Collected until the guest has ended.
    Collected(Bulk, Allowance),
}

/// The bytes that a body may still have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    left: u64,
    limit: u64,
}

impl Allowance {
    /// An allowance of `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self { left: limit, limit }
    }

    /// Takes `bytes` of it.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Outcome> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or(Outcome::ResponseTooLarge { limit: self.limit })?;
        Ok(())
    }
}

impl Outgoing {
    /// Commits the head of a response. Its body may have `most` bytes, or
    /// `held` bytes if it is collected.
    pub(crate) fn begin(
        sender: Option<ResponseSender>,
        head: &Response,
        most: u64,
        held: u64,
    ) -> Self {
        let Some(sender) = sender else {
            return Self::Collected(Bulk::default(), Allowance::new(most.min(held)));
        };
        let (pieces, body) = Pieces::new(AHEAD);
        let mut response = Response::new(Body::stream(body));
        *response.status_mut() = head.status();
        *response.headers_mut() = head.headers().clone();
        // If the receiver is gone, the first write reports it.
        let _ = sender.send(response);
        Self::Sent(pieces, Allowance::new(most))
    }

    /// Writes the next piece, once there is room for it.
    ///
    /// # Errors
    /// The code for the guest: the context is done, or the response has no
    /// reader any more. If a limit was exceeded, `overflow` says which.
    pub(crate) async fn write(
        &mut self,
        ctx: &Context,
        piece: Bytes,
        overflow: &mut Option<Outcome>,
    ) -> Result<(), i32> {
        let (Self::Sent(_, allowance) | Self::Collected(_, allowance)) = self else {
            return Err(code::INVALID);
        };
        if let Err(outcome) = allowance.take(piece.len()) {
            overflow.get_or_insert(outcome);
            return Err(code::BODY_FAILED);
        }
        match self {
            Self::None => Err(code::INVALID),
            Self::Collected(body, allowance) => {
                if body.bytes.len() + piece.len() > body.bytes.capacity().max(COPIED) {
                    // Reserves address space only, until it is written.
                    body.reserve(usize::try_from(allowance.limit).unwrap_or(usize::MAX));
                }
                body.bytes.extend_from_slice(&piece);
                Ok(())
            }
            Self::Sent(pieces, _) => tokio::select! {
                biased;
                sent = pieces.send(piece) => sent.map_err(|_| code::BODY_FAILED),
                done = ctx.done() => Err(code::done(done)),
            },
        }
    }

    /// The bytes that were accepted so far, if the head is committed.
    pub(crate) fn written(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Sent(_, allowance) | Self::Collected(_, allowance) => {
                Some(allowance.limit - allowance.left)
            }
        }
    }

    /// The whole body, if it was collected.
    pub(crate) fn whole(self) -> Option<Bytes> {
        match self {
            Self::Collected(body, _) => Some(body.freeze()),
            Self::None | Self::Sent(..) => None,
        }
    }
}
