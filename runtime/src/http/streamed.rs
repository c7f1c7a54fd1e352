//! A response whose guest goes on writing after the head has gone out.
//!
//! It ends as complete only when the invocation has ended with success. Where
//! it fails half-way the client must not take what it has for the whole: the
//! body breaks off, and the server closes the connection in the middle of it.
//! Where nobody takes a body, as of the answer to HEAD, the function is told at
//! its head that its client is gone.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};

use super::client::Client;
use super::exchange::Ended;
use crate::context::Cause;
use crate::message::{Body, BodyError};
use crate::task::Task;

/// The rest of a response. Dropping it before its end means that the client
/// went away.
pub(super) struct Streamed {
    pub(super) pieces: Body,
    pub(super) task: Task<Ended>,
    /// How the invocation ended, where it had when the head went out.
    pub(super) ended: Option<Ended>,
    pub(super) client: Client,
}

/// The function failed when a part of its response had gone out.
#[derive(Debug, thiserror::Error)]
#[error("the function failed in the middle of its response")]
struct Aborted;

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { pieces, task, ended, client } = &mut *self;
        if let Some(frame) = ready!(Pin::new(pieces).poll_frame(cx)) {
            return Poll::Ready(Some(frame));
        }
        let ended = match ended.take() {
            Some(ended) => ended,
            None => match ready!(task.poll(cx, |run| client.connection.tasks().spawn(run))) {
                Ok(ended) => ended,
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            },
        };
        client.end(Cause::ParentDone);
        Poll::Ready(ended.is_err().then(|| Err(Aborted.into())))
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.client.leave(&mut self.task);
    }
}
