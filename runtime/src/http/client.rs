//! Who waits for an invocation: it ends when they leave, unless it may go on
//! for a while without them.

use std::sync::Arc;
use std::time::Duration;

use super::exchange::Connection;
use crate::context::{Cancel, Cause};
use crate::task::Task;

/// The client of one invocation.
pub(super) struct Client {
    /// What it asks through: one core's, so that no two meet at its count.
    pub(super) connection: Arc<Connection>,
    /// The end of the invocation's context.
    pub(super) cancel: Option<Cancel>,
    /// How long it may go on without its client.
    pub(super) detach: Duration,
}

impl Client {
    /// Ends the invocation's context, once.
    pub(super) fn end(&mut self, cause: Cause) {
        if let Some(cancel) = self.cancel.take() {
            cancel.cancel_with(cause);
        }
    }

    /// The same client, for whoever goes on with it.
    pub(super) fn hand_over(&mut self) -> Self {
        let connection = self.connection.clone();
        Self { connection, cancel: self.cancel.take(), detach: self.detach }
    }

    /// Says that the client went away while the invocation was under way.
    pub(super) fn leave<T: Send + 'static>(&mut self, task: &mut Task<T>) {
        if !task.is_under_way() {
            return;
        }
        let tasks = self.connection.tasks();
        task.spawn(|run| tasks.spawn(run));
        let (Some(cancel), detach) = (self.cancel.take(), self.detach) else { return };
        if detach.is_zero() {
            return cancel.cancel_with(Cause::ClientDisconnected);
        }
        let task = std::mem::replace(task, Task::Over);
        tasks.spawn(async move {
            // Where it has not ended by then, it is told so now.
            let _ = tokio::time::timeout(detach, task.join()).await;
            cancel.cancel_with(Cause::ClientDisconnected);
        });
    }
}
