//! Decides whether an invocation may start: a bounded number at once, and none
//! once the runtime drains.

mod permits;

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use self::permits::Permits;
use crate::outcome::Outcome;

/// The host's door.
#[derive(Debug)]
pub(crate) struct Admission {
    permits: Permits,
    draining: AtomicBool,
    idle: Notify,
}

/// The right to run, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    admission: &'a Admission,
    /// Taken out only to be given back.
    permit: Option<permits::Permit<'a>>,
}

impl Admission {
    pub(crate) fn new(most: usize) -> Self {
        Self { permits: Permits::new(most), draining: AtomicBool::new(false), idle: Notify::new() }
    }

    /// Lets one invocation in, or says why not. It never waits.
    pub(crate) fn admit(&self) -> Result<Permit<'_>, Outcome> {
        // Taken before the door is looked at, as who drains closes the door
        // before he counts the permits: one of the two sees the other.
        let permit = self.admit_callee();
        if self.draining.load(Ordering::SeqCst) {
            return Err(Outcome::Draining);
        }
        permit
    }

    /// Lets in what an invocation calls that is in flight: also while the
    /// runtime drains, as the caller is to come to its end. It never waits, so
    /// callers that have all permits among them can't wait for each other.
    pub(crate) fn admit_callee(&self) -> Result<Permit<'_>, Outcome> {
        let permit = self.permits.take().ok_or(Outcome::Busy)?;
        Ok(Permit { admission: self, permit: Some(permit) })
    }

    /// How many invocations are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.permits.taken()
    }

    /// Lets nobody in from now on.
    pub(crate) fn close(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Waits until nothing is in flight.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            if self.in_flight() == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.permit = None;
        let admission = self.admission;
        if admission.draining.load(Ordering::SeqCst) && admission.in_flight() == 0 {
            admission.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_is_given_back() {
        let admission = Admission::new(2);
        let first = admission.admit().expect("room");
        let _second = admission.admit().expect("room");
        assert!(matches!(admission.admit(), Err(Outcome::Busy)));
        assert_eq!(admission.in_flight(), 2);
        drop(first);
        assert!(admission.admit().is_ok());
    }

    #[tokio::test]
    async fn a_closed_door_drains() {
        let admission = Admission::new(2);
        let permit = admission.admit().expect("room");
        admission.close();
        assert!(matches!(admission.admit(), Err(Outcome::Draining)));
        // What is in flight may still call, as long as there is room.
        let callee = admission.admit_callee().expect("room");
        assert!(matches!(admission.admit_callee(), Err(Outcome::Busy)));
        drop(callee);
        let waiting = admission.idle();
        let mut waiting = std::pin::pin!(waiting);
        tokio::select! {
            biased;
            () = &mut waiting => panic!("one is still in flight"),
            () = std::future::ready(()) => {}
        }
        drop(permit);
        waiting.await;
    }
}
