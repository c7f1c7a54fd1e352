//! A response whose guest goes on writing after the head has gone out.
//!
//! It ends as complete only when the invocation has ended with success. Where
//! it fails half-way nobody must take what they have for the whole: the body
//! breaks off, and a server closes the connection in the middle of it. Where
//! nobody takes a body, as of the answer to HEAD, the function is told at its
//! head that its client is gone.
//!
//! Where the head announces a length the last announced byte is the end for
//! whoever counts, so the piece with it is held back until the invocation has
//! ended. A body of another length breaks off.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};

use super::asked::Ended;
use super::asker::{Ask, Asker};
use crate::body::{Body, BodyError};
use crate::context::Cause;
use crate::spawn::Task;

/// The rest of a response. Dropping it before its end means that who asked for
/// it went away.
pub(super) struct Streamed<A: Ask> {
    pub(super) pieces: Body,
    pub(super) task: Task<Ended<A>>,
    /// How the invocation ended, where it had when the head went out.
    pub(super) ended: Option<Ended<A>>,
    pub(super) asker: Asker<A>,
    /// Where the head announces a length.
    pub(super) owed: Option<Owed>,
}

/// What is to come of an announced length.
pub(super) struct Owed {
    left: u64,
    /// The piece that completes it, once it is there.
    last: Option<Bytes>,
}

/// A body that is not what its head announced.
#[derive(Debug, thiserror::Error)]
#[error("the function wrote another number of bytes than its `content-length` announces")]
struct Misstated;

impl Owed {
    pub(super) fn new(announced: u64) -> Self {
        Self { left: announced, last: None }
    }

    /// Takes a piece, and gives what can be handed on at once.
    fn take(&mut self, piece: Bytes) -> Result<Option<Bytes>, Misstated> {
        self.left = self.left.checked_sub(piece.len() as u64).ok_or(Misstated)?;
        if self.left > 0 {
            return Ok(Some(piece));
        }
        if !piece.is_empty() {
            self.last = Some(piece);
        }
        Ok(None)
    }

    /// What was held back, where nothing is missing.
    fn end(self) -> Result<Option<Bytes>, Misstated> {
        if self.left > 0 { Err(Misstated) } else { Ok(self.last) }
    }
}

impl<A: Ask> HttpBody for Streamed<A> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { pieces, task, ended, asker, owed } = &mut *self;
        while let Some(frame) = ready!(Pin::new(&mut *pieces).poll_frame(cx)) {
            let Some(owed) = owed else { return Poll::Ready(Some(frame)) };
            // Trailers are not handed on.
            let piece = frame?.into_data().unwrap_or_default();
            if let Some(piece) = owed.take(piece)? {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        let ended = match ended.take() {
            Some(ended) => ended,
            // It was told before.
            None if !task.is_under_way() => return Poll::Ready(None),
            None => match ready!(task.poll(cx, |run| asker.ask.tasks().spawn(run))) {
                Ok(ended) => ended,
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            },
        };
        asker.end(Cause::ParentDone);
        if let Err(failure) = ended {
            return Poll::Ready(Some(Err(A::broken_off(failure))));
        }
        let last = owed.take().map_or(Ok(None), Owed::end)?;
        Poll::Ready(last.map(|piece| Ok(Frame::data(piece))))
    }
}

impl<A: Ask> Drop for Streamed<A> {
    fn drop(&mut self) {
        self.asker.leave(&mut self.task);
    }
}
