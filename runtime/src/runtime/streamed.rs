//! A response whose guest goes on writing after the head has gone out.
//!
//! It ends as complete only when the invocation has ended with success. Where
//! it fails half-way nobody must take what they have for the whole: the body
//! breaks off, and a server closes the connection in the middle of it. Where
//! nobody takes a body, as of the answer to HEAD, the function is told at its
//! head that its client is gone.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};

use super::asked::Ended;
use super::asker::{Ask, Asker};
use crate::context::Cause;
use crate::message::{Body, BodyError};
use crate::task::Task;

/// The rest of a response. Dropping it before its end means that who asked for
/// it went away.
pub(super) struct Streamed<A: Ask> {
    pub(super) pieces: Body,
    pub(super) task: Task<Ended<A>>,
    /// How the invocation ended, where it had when the head went out.
    pub(super) ended: Option<Ended<A>>,
    pub(super) asker: Asker<A>,
}

impl<A: Ask> HttpBody for Streamed<A> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { pieces, task, ended, asker } = &mut *self;
        if let Some(frame) = ready!(Pin::new(pieces).poll_frame(cx)) {
            return Poll::Ready(Some(frame));
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
        Poll::Ready(ended.err().map(|failure| Err(A::broken_off(failure))))
    }
}

impl<A: Ask> Drop for Streamed<A> {
    fn drop(&mut self) {
        self.asker.leave(&mut self.task);
    }
}
