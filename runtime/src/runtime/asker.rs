//! Who asks for an invocation and waits for it: it ends when they leave, unless
//! it may go on for a while without them.

use std::time::Duration;

use tokio::runtime::Handle;

use crate::body::BodyError;
use crate::context::{Cancel, Cause};
use crate::spawn::Task;

/// Who may ask.
pub(crate) trait Ask: Clone + Send + Unpin + 'static {
    /// What is told of an invocation that failed.
    type Failure: Send + Unpin + 'static;

    /// Where invocations go on that do not end at once.
    fn tasks(&self) -> &Handle;

    /// What a body ends with that breaks off because of such a failure.
    fn broken_off(failure: Self::Failure) -> BodyError;
}

/// Who has asked for one invocation.
pub(crate) struct Asker<A> {
    pub(crate) ask: A,
    /// The end of the invocation's context.
    pub(crate) cancel: Option<Cancel>,
    /// How long it may go on without who asked.
    pub(crate) detach: Duration,
}

impl<A: Ask> Asker<A> {
    /// Ends the invocation's context, once.
    pub(super) fn end(&mut self, cause: Cause) {
        if let Some(cancel) = self.cancel.take() {
            cancel.cancel_with(cause);
        }
    }

    /// The same asker, for whoever goes on with it.
    pub(super) fn hand_over(&mut self) -> Self {
        Self { ask: self.ask.clone(), cancel: self.cancel.take(), detach: self.detach }
    }

    /// Says that who asked went away while the invocation was under way.
    pub(super) fn leave<T: Send + 'static>(&mut self, task: &mut Task<T>) {
        if !task.is_under_way() {
            return;
        }
        let tasks = self.ask.tasks();
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
