//! A response in pieces, on its way from the guest to whoever asked for it.
//!
//! The guest commits the head, and then writes. Whoever can pass pieces on has
//! an [`Outlet`]: the head goes out through it at once, and each piece waits
//! until there is room for it, so that a guest is no faster than its client.
//! Where there is none the pieces are collected.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::body::{Body, Pieces, Response};
use crate::context::Context;
use crate::guest::bulk::Bulk;
use crate::guest::code;
use crate::outcome::Outcome;

/// The largest piece that is taken of a guest at once, in bytes.
pub(crate) const PIECE: u32 = 64 << 10;

/// The longest body that is copied as it outgrows its buffer, in bytes. A longer
/// one gets a buffer as large as it may become.
const COPIED: usize = 1 << 20;

/// How many pieces a guest may be ahead of whoever takes them: so many that the
/// two, on different threads, need not wait for each other at every piece.
const AHEAD: usize = 2;

/// How a response reaches whoever asked before the guest has ended.
pub(crate) struct Outlet(oneshot::Sender<Response>);

/// The body that a guest writes, once it has committed the head.
#[derive(Default)]
pub(crate) enum Outgoing {
    /// It has not.
    #[default]
    None,
    /// Handed on piece by piece.
    Sent(mpsc::Sender<Bytes>, Allowance),
    /// Kept until the guest has ended.
    Collected(Bulk, Allowance),
}

/// How large a body may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    left: u64,
    limit: u64,
}

impl Allowance {
    /// So many bytes in all.
    pub(crate) fn new(limit: u64) -> Self {
        Self { left: limit, limit }
    }

    /// Takes so many bytes of it.
    ///
    /// # Errors
    /// There are not as many left.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Outcome> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or(Outcome::ResponseTooLarge { limit: self.limit })?;
        Ok(())
    }
}

impl Outlet {
    /// The two ends of one.
    pub(crate) fn new() -> (Self, oneshot::Receiver<Response>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }
}

impl Outgoing {
    /// Commits the head of a response whose body may have `most` bytes, and
    /// `held` where it is kept as a whole.
    pub(crate) fn begin(outlet: Option<Outlet>, head: &Response, most: u64, held: u64) -> Self {
        let Some(Outlet(outlet)) = outlet else {
            return Self::Collected(Bulk::default(), Allowance::new(most.min(held)));
        };
        let (pieces, taken) = mpsc::channel(AHEAD);
        let mut response = Response::new(Body::stream(Pieces::new(taken)));
        *response.status_mut() = head.status();
        *response.headers_mut() = head.headers().clone();
        // Where nobody waits for it any more, the first write says so.
        let _ = outlet.send(response);
        Self::Sent(pieces, Allowance::new(most))
    }

    /// Takes the next piece, once there is room for it.
    ///
    /// # Errors
    /// The code for the guest: the context is done, or nobody takes the
    /// response; and in `overflow` what was too much, if that was it.
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
                if body.len() + piece.len() > body.capacity().max(COPIED) {
                    // Address space alone, until it is written.
                    body.reserve(usize::try_from(allowance.limit).unwrap_or(usize::MAX));
                }
                body.extend_from_slice(&piece);
                Ok(())
            }
            Self::Sent(pieces, _) => tokio::select! {
                biased;
                sent = pieces.send(piece) => sent.map_err(|_| code::BODY_FAILED),
                done = ctx.done() => Err(code::done(done)),
            },
        }
    }

    /// The whole body, where it was collected.
    pub(crate) fn whole(self) -> Option<Bytes> {
        match self {
            Self::Collected(body, _) => Some(body.freeze()),
            Self::None | Self::Sent(..) => None,
        }
    }
}
