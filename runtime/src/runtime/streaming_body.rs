//! The body of a response that the guest still writes after the head has left.
//!
//! It ends as complete only if the invocation has succeeded. If the invocation
//! fails midway the body ends with an error, and a server closes the connection
//! in the middle of it, so that no client takes the part for the whole. If the
//! body is dropped unread, as for HEAD, the invocation is canceled.
//!
//! If the head announces a length, the piece with the last announced byte is held
//! back until the invocation has ended: a client that counts takes it for the
//! end. A body of another length ends with an error.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};

use super::in_flight::{CancelGuard, Ended};
use crate::body::{Body, BodyError, announced};
use crate::context::Cause;
use crate::spawn::Task;

/// The rest of a response. Dropping it before its end means that the caller has
/// left.
pub(super) struct StreamingBody {
    pieces: Body,
    task: Task<Ended>,
    /// The result of the invocation, if it had ended when the head left.
    ended: Option<Ended>,
    guard: CancelGuard,
    /// If the head announces a length.
    remaining: Option<Remaining>,
}

/// The part of an announced length that has not arrived yet.
struct Remaining {
    left: u64,
    /// The piece that completes it, once it has arrived.
    last: Option<Bytes>,
}

/// The body has another length than its head announces.
#[derive(Debug, thiserror::Error)]
#[error("the function wrote another number of bytes than its `content-length` announces")]
struct LengthMismatch;

impl Remaining {
    fn new(announced: u64) -> Self {
        Self { left: announced, last: None }
    }

    /// Takes a piece, and returns it unless it has to be held back.
    fn take(&mut self, piece: Bytes) -> Result<Option<Bytes>, LengthMismatch> {
        self.left = self.left.checked_sub(piece.len() as u64).ok_or(LengthMismatch)?;
        if self.left > 0 {
            return Ok(Some(piece));
        }
        if !piece.is_empty() {
            self.last = Some(piece);
        }
        Ok(None)
    }

    /// The piece that was held back, if nothing is missing.
    fn end(self) -> Result<Option<Bytes>, LengthMismatch> {
        if self.left > 0 { Err(LengthMismatch) } else { Ok(self.last) }
    }
}

impl StreamingBody {
    pub(super) fn new(
        head: &HeaderMap,
        pieces: Body,
        task: Task<Ended>,
        ended: Option<Ended>,
        guard: CancelGuard,
    ) -> Self {
        Self { pieces, task, ended, guard, remaining: announced(head).map(Remaining::new) }
    }
}

impl HttpBody for StreamingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { pieces, task, ended, guard, remaining } = &mut *self;
        while let Some(frame) = ready!(Pin::new(&mut *pieces).poll_frame(cx)) {
            let Some(remaining) = remaining else { return Poll::Ready(Some(frame)) };
            // Trailers are dropped.
            let piece = frame?.into_data().unwrap_or_default();
            if let Some(piece) = remaining.take(piece)? {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        let ended = match ended.take() {
            Some(ended) => ended,
            // The end was returned before.
            None if !task.is_under_way() => return Poll::Ready(None),
            None => match ready!(guard.poll(task, cx)) {
                Ok(ended) => ended,
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            },
        };
        guard.end(Cause::ParentDone);
        if let Err(error) = ended {
            return Poll::Ready(Some(Err(error.into())));
        }
        let last = remaining.take().map_or(Ok(None), Remaining::end)?;
        Poll::Ready(last.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Drop for StreamingBody {
    fn drop(&mut self) {
        self.guard.leave(&mut self.task);
    }
}
