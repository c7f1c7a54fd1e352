//! Work that begins on the thread of whoever asks for it, and goes on as a task
//! where it takes longer.
//!
//! Most invocations end at their first poll. Making a task of one would cost
//! more than that poll, and would let another thread run it; leaving a longer
//! one where it began would be in the way of others on that thread.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::{io, thread};

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

/// A run that has not begun, or not ended, boxed so that it can be moved.
pub(crate) type Run<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A run on its way to its end.
pub(crate) enum Task<T> {
    /// Not looked at yet.
    New(Run<T>),
    /// Takes longer, and is a task now.
    Spawned(JoinHandle<T>),
    /// Its end was told, or it was let go of.
    Over,
}

impl<T> Task<T> {
    /// Goes on with it. After its first poll it is made a task by `spawn`.
    ///
    /// # Errors
    /// It panicked, or the runtime that it was a task of has shut down.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        spawn: impl FnOnce(Run<T>) -> JoinHandle<T>,
    ) -> Poll<Result<T, JoinError>> {
        let mut spawned = match std::mem::replace(self, Self::Over) {
            Self::New(mut run) => match run.as_mut().poll(cx) {
                Poll::Ready(ended) => return Poll::Ready(Ok(ended)),
                Poll::Pending => spawn(run),
            },
            Self::Spawned(task) => task,
            Self::Over => return Poll::Pending,
        };
        let polled = Pin::new(&mut spawned).poll(cx);
        if polled.is_pending() {
            *self = Self::Spawned(spawned);
        }
        polled
    }

    /// Makes it a task at once, where it has not begun.
    pub(crate) fn spawn(&mut self, spawn: impl FnOnce(Run<T>) -> JoinHandle<T>) {
        *self = match std::mem::replace(self, Self::Over) {
            Self::New(run) => Self::Spawned(spawn(run)),
            others => others,
        };
    }

    /// Waits for its end, if it is a task, without a look at it.
    pub(crate) async fn join(self) {
        if let Self::Spawned(task) = self {
            // Nobody wants to know how it ended.
            let _ = task.await;
        }
    }

    /// Whether its end is still to be told.
    pub(crate) fn is_under_way(&self) -> bool {
        !matches!(self, Self::Over)
    }
}

/// Does what may block for good on a thread of its own.
///
/// tokio's `spawn_blocking` panics where the system refuses the first thread, and
/// leaves the work undone where it refuses another. The caller bounds how many
/// there are.
///
/// # Errors
/// The system refuses a thread, or the work panicked.
///
/// # Cancel safety
/// Dropping the future leaves the thread behind.
pub(crate) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name("hourglass-block".into()).spawn(move || {
        // An error means that the receiver was dropped.
        let _ = done.send(work());
    })?;
    result.await.map_err(io::Error::other)
}
