//! The queue of jobs, as functions reach it.

use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock, Weak};

#[cfg(feature = "jobs")]
use super::Runtime;
use crate::body::Request;
use crate::context::Context;
use crate::outcome::Outcome;

/// A submission under way. It returns the job's id.
pub(crate) type Submitting = Pin<Box<dyn Future<Output = Result<String, Outcome>> + Send>>;

/// A queue of jobs.
pub(crate) trait Queue: Send + Sync {
    /// Stores a job that invokes a function.
    fn enqueue(self: Arc<Self>, ctx: Context, function: Arc<str>, request: Request) -> Submitting;
}

/// The queue of a runtime, if there is one. It has a reference to the runtime, so
/// the runtime's own is weak.
#[derive(Default)]
pub(super) struct QueueSlot(RwLock<Option<Weak<dyn Queue>>>);

impl QueueSlot {
    pub(super) fn get(&self) -> Option<Arc<dyn Queue>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.upgrade()
    }
}

#[cfg(feature = "jobs")]
impl Runtime {
    /// Lets functions submit jobs to a queue, in place of the one before.
    pub(crate) fn set_queue(&self, queue: Weak<dyn Queue>) {
        let QueueSlot(slot) = &self.0.queue;
        *slot.write().unwrap_or_else(PoisonError::into_inner) = Some(queue);
    }
}
