//! An invocation on its way to its response, which may begin before its end.
//!
//! It starts on the thread of whoever asks, and most end there, at once. One
//! that has to wait, or that has used up a tick, goes on as a task, so that it
//! is in nobody's way.
//!
//! When who asked goes away this is dropped, or the rest of a response that is
//! streamed. The invocation is not dropped with it: its context is canceled with
//! that cause, at once or when the function's `detach` is over, and the rest of
//! its run, at most the grace, goes on in that task.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use tokio::sync::oneshot;
use tokio::task::JoinError;

use super::asker::{Ask, Asker};
use super::streamed::{Owed, Streamed};
use crate::body::{Body, Response, announced};
use crate::context::Cause;
use crate::spawn::{Run, Task};

/// How an invocation ended.
pub(crate) type Ended<A> = Result<Response, <A as Ask>::Failure>;

/// An invocation that was asked for. Dropping it before the response is there
/// means that who asked went away.
pub(crate) struct Asked<A: Ask> {
    task: Task<Ended<A>>,
    /// Where a response comes that begins before the invocation has ended.
    early: Option<oneshot::Receiver<Response>>,
    asker: Asker<A>,
}

impl<A: Ask> Asked<A> {
    pub(crate) fn new(
        run: Run<Ended<A>>,
        early: Option<oneshot::Receiver<Response>>,
        asker: Asker<A>,
    ) -> Self {
        Self { task: Task::New(run), early, asker }
    }

    /// The response that has begun before the invocation's end, if one has.
    fn begun(&mut self, cx: &mut TaskContext<'_>) -> Option<Response> {
        match Pin::new(self.early.as_mut()?).poll(cx) {
            Poll::Ready(begun) => {
                self.early = None;
                begun.ok()
            }
            Poll::Pending => None,
        }
    }

    /// A response that has begun, with the rest of it.
    fn streamed(&mut self, begun: Response, ended: Option<Ended<A>>) -> Response {
        let task = std::mem::replace(&mut self.task, Task::Over);
        let (head, pieces) = begun.into_parts();
        let (asker, owed) = (self.asker.hand_over(), announced(&head.headers).map(Owed::new));
        let rest = Streamed { pieces, task, ended, asker, owed };
        Response::from_parts(head, Body::stream(rest))
    }
}

impl<A: Ask> Future for Asked<A> {
    type Output = Result<Ended<A>, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let tasks = this.asker.ask.tasks();
        let ended = match this.task.poll(cx, |run| tasks.spawn(run)) {
            Poll::Ready(ended) => Some(ended?),
            Poll::Pending => None,
        };
        Poll::Ready(Ok(match (this.begun(cx), ended) {
            // Where it has failed before a byte was sent the asker can be told.
            (Some(begun), ended @ (None | Some(Ok(_)))) => Ok(this.streamed(begun, ended)),
            (_, Some(ended)) => {
                this.asker.end(Cause::ParentDone);
                ended
            }
            (None, None) => return Poll::Pending,
        }))
    }
}

impl<A: Ask> Drop for Asked<A> {
    fn drop(&mut self) {
        self.asker.leave(&mut self.task);
    }
}
