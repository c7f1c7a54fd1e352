//! Those who wait for the end of a job.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::id::JobId;
use crate::sync::lock;

/// The waiters of all jobs, by the job's id.
#[derive(Default)]
pub(super) struct Waiters(Mutex<HashMap<JobId, (usize, Arc<Notify>)>>);

/// One that waits. Dropping it ends the wait.
pub(super) struct Waiter<'a> {
    waiters: &'a Waiters,
    id: JobId,
    pub(super) ended: Arc<Notify>,
}

impl Waiters {
    /// Begins to wait. Afterwards look at the job once: it may have ended before.
    pub(super) fn enter(&self, id: JobId) -> Waiter<'_> {
        let mut all = lock(&self.0);
        let (count, ended) = all.entry(id).or_default();
        *count += 1;
        Waiter { waiters: self, id, ended: ended.clone() }
    }

    /// Wakes those who wait for a job.
    pub(super) fn wake(&self, id: JobId) {
        if let Some((_, ended)) = lock(&self.0).get(&id) {
            ended.notify_waiters();
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut all = lock(&self.waiters.0);
        if let Some((count, _)) = all.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::time::Timestamp;

    #[tokio::test]
    async fn a_wait_that_has_begun_misses_no_end() {
        let waiters = Waiters::default();
        let [id, other] = [1, 2].map(|at| JobId::new(Timestamp(at)).expect("random numbers"));
        let waiter = waiters.enter(id);
        let ended = waiter.ended.notified();
        waiters.wake(other);
        waiters.wake(id);
        ended.await;
        drop(waiter);
        assert!(lock(&waiters.0).is_empty());
    }
}
