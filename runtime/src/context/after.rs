//! Functions that are called once a context is done.
//!
//! An after-function is a node of the tree like any other, except that it
//! carries a job. It is notified of the end, and leaves the tree when it is
//! stopped, through the existing mechanisms of contexts.

use std::fmt;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};

use super::Context;
use super::cause::Cause;
use super::node::Node;

/// A function that is called once a context is done; see
/// [`Context::after_func`](super::Context::after_func).
///
/// Dropping it changes nothing: the function is still called. Only
/// [`stop`](AfterFunc::stop) prevents that.
pub struct AfterFunc {
    node: Arc<Node>,
}

impl Context {
    /// Calls `func` once this context is done: at once, if it already is.
    ///
    /// The call is a task of the tokio runtime that is current now, so it must
    /// not block. Without a runtime it runs on a separate thread. A cancel does
    /// not wait for it. It is not called if it is [stopped](AfterFunc::stop)
    /// first, if the context never ends, if the runtime has shut down by then,
    /// or if the system refuses a thread.
    ///
    /// With a deadline, a task (or a thread, without a runtime) waits for it;
    /// such a runtime must have timers enabled.
    pub fn after_func(&self, func: impl FnOnce() + Send + 'static) -> AfterFunc {
        let runtime = Handle::try_current().ok();
        let job = Box::new(Job { func: Box::new(func), runtime: runtime.clone() });
        let node = Node::derive(self.node.as_ref(), None, Some(job));
        if node.deadline().is_some() && node.done().is_none() {
            watch(node.clone(), runtime);
        }
        AfterFunc { node }
    }
}

impl AfterFunc {
    /// Prevents the call. Returns true if this call did so; false means that
    /// the function was already started, or that it was stopped before.
    ///
    /// Does not wait for a function that was started.
    pub fn stop(&self) -> bool {
        let job = self.node.take_job();
        self.node.cancel(Cause::Canceled);
        job.is_some()
    }
}

impl fmt::Debug for AfterFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterFunc").finish_non_exhaustive()
    }
}

/// A function and the place to call it.
pub(super) struct Job {
    func: Box<dyn FnOnce() + Send>,
    /// The runtime that was current at registration; a separate thread if there
    /// was none.
    runtime: Option<Handle>,
}

impl Job {
    pub(super) fn launch(self) {
        match self.runtime {
            Some(runtime) => {
                runtime.spawn(async move { (self.func)() });
            }
            None => spawn_thread(self.func),
        }
    }
}

/// Waits for a deadline, since otherwise nothing might check the clock.
fn watch(node: Arc<Node>, runtime: Option<Handle>) {
    let wait = async move {
        node.wait().await;
    };
    match runtime {
        Some(runtime) => {
            runtime.spawn(wait);
        }
        None => spawn_thread(move || {
            if let Ok(runtime) = Builder::new_current_thread().enable_time().build() {
                runtime.block_on(wait);
            }
        }),
    }
}

/// Canceling must not panic, so if the system refuses the thread, `run` is
/// dropped without being called.
fn spawn_thread(run: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name("after-func".into()).spawn(run);
    drop(thread);
}
