//! Takes jobs that are due, and starts their attempts.
//!
//! One task does that for all functions. It waits for a free slot, and then for
//! the moment at which the next job is due, or for a new job. So nothing polls,
//! and of the jobs that wait only the ones that run are in memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::attempt;
use super::handle::Shared;
use super::store::{Claim, Claimed, StoreError};
use super::time::Timestamp;
use crate::context::Cause;

/// The longest sleep. The system's clock may be set, and a sleep does not notice.
const SLEEP: Duration = Duration::from_secs(60);

/// Starts attempts until the queue is stopped.
pub(super) async fn run(shared: Arc<Shared>) {
    tokio::select! {
        biased;
        _ = shared.stopping.done() => {}
        () = shared.runtime.draining() => shared.stopping.end(Cause::Shutdown),
        () = work(&shared) => {}
    }
}

async fn work(shared: &Arc<Shared>) {
    let (mut next, mut failures) = (Some(Timestamp::default()), 0);
    loop {
        // The semaphore is never closed.
        let Ok(first) = shared.slots.clone().acquire_owned().await else { return };
        tokio::select! {
            () = shared.wake.notified() => {}
            () = until(next) => {}
        }
        let slots = all_free(shared, first);
        let claim = Claim {
            now: Timestamp::now(),
            most: slots.num_permits(),
            bytes: shared.memory.limit.saturating_sub(shared.memory.reserved()),
        };
        // As a task, so that a claim which has begun is not lost when the queue
        // is stopped.
        let (starter, started) = (shared.clone(), shared.store.clone());
        let claiming = tokio::spawn(async move {
            let claimed = started.claim(claim).await?;
            Ok(start(&starter, claimed, slots))
        });
        match claiming.await.unwrap_or(Err(StoreError::Closed)) {
            Ok(due) => (next, failures) = (due, 0),
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "no jobs can be taken from the store");
                tokio::time::sleep(StoreError::pause(failures)).await;
                (next, failures) = (Some(Timestamp::default()), failures + 1);
            }
        }
    }
}

/// All slots that are free.
fn all_free(shared: &Shared, mut slots: OwnedSemaphorePermit) -> OwnedSemaphorePermit {
    let more = shared.slots.available_permits().min(shared.most as usize) as u32;
    if let Ok(more) = shared.slots.clone().try_acquire_many_owned(more) {
        slots.merge(more);
    }
    slots
}

/// Starts what was claimed, each in a slot. Returns when to claim again.
fn start(
    shared: &Arc<Shared>,
    claimed: Claimed,
    mut slots: OwnedSemaphorePermit,
) -> Option<Timestamp> {
    for work in claimed.jobs {
        let (shared, slot) = (shared.clone(), slots.split(1));
        tokio::spawn(async move {
            attempt::run(&shared, work).await;
            drop(slot);
        });
    }
    claimed.next
}

async fn until(due: Option<Timestamp>) {
    match due {
        Some(due) => tokio::time::sleep(due.since(Timestamp::now()).min(SLEEP)).await,
        None => std::future::pending().await,
    }
}
