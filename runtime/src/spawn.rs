//! Work that starts on the caller's thread, and becomes a task if it takes
//! longer than one poll.
//!
//! Most invocations end at their first poll. Spawning a task for one would cost
//! more than that poll, and would let another thread run it. Leaving a longer
//! one on the thread where it started would delay other work of that thread.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::{io, thread};

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

/// A run that has not started or not ended, boxed so that it can be moved.
pub(crate) type Run<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A run in progress.
pub(crate) enum Task<T> {
    /// Not polled yet.
    New(Run<T>),
    /// Takes longer than one poll, and is a task now.
    Spawned(JoinHandle<T>),
    /// The result was returned, or the task was detached.
    Over,
}

impl<T> Task<T> {
    /// Polls the run. If it is pending after its first poll, `spawn` makes it a
    /// task.
    ///
    /// # Errors
    /// The run panicked, or the runtime of its task has shut down.
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

    /// Makes the run a task at once, if it has not started.
    pub(crate) fn spawn(&mut self, spawn: impl FnOnce(Run<T>) -> JoinHandle<T>) {
        *self = match std::mem::replace(self, Self::Over) {
            Self::New(run) => Self::Spawned(spawn(run)),
            others => others,
        };
    }

    /// Waits for the end of the run, if it is a task, and ignores its result.
    pub(crate) async fn join(self) {
        if let Self::Spawned(task) = self {
            // The result is not needed.
            let _ = task.await;
        }
    }

    /// Whether the result has not been returned yet.
    pub(crate) fn is_under_way(&self) -> bool {
        !matches!(self, Self::Over)
    }
}

/// Runs work that may block indefinitely on a thread of its own.
///
/// tokio's `spawn_blocking` panics if the system refuses the first thread, and
/// leaves the work undone if it refuses another. The caller bounds the number
/// of these threads.
///
/// # Errors
/// The system refuses a thread, or the work panicked.
///
/// # Cancel safety
/// Dropping the future leaves the thread running.
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
