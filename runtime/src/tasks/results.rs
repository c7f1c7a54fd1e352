//! The results of a group, as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;

use super::group::Owner;
use super::task::TaskResult;

/// The results of a [`TaskGroup`](super::TaskGroup), in the order in which its
/// tasks end. The stream ends once the group is closed and every result was
/// taken.
///
/// Several of one group share its results: each result goes to one of them. What
/// is not taken stays in the group.
pub struct Results(Arc<Owner>);

impl Results {
    pub(super) fn new(owner: Arc<Owner>) -> Self {
        Self(owner)
    }

    /// Waits for the next result. Returns `None` at the end.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<TaskResult> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for results, and returns up to `most` of them: an empty list is the
    /// end. It costs less than as many calls of [`next`](Self::next).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next_many(&mut self, most: usize) -> Vec<TaskResult> {
        poll_fn(|cx| self.0.shared.poll_results(cx, most)).await
    }
}

impl Stream for Results {
    type Item = TaskResult;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<TaskResult>> {
        self.0.shared.poll_results(cx, 1).map(|mut results| results.pop())
    }
}

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results").finish_non_exhaustive()
    }
}
