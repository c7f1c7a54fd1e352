//! Decides whether an invocation may start: a bounded number at once, and none
//! once the runtime drains.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::outcome::Outcome;

/// The host's door.
#[derive(Debug)]
pub(crate) struct Admission {
    most: usize,
    in_flight: AtomicUsize,
    draining: AtomicBool,
    idle: Notify,
}

/// The right to run, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Admission);

impl Admission {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            idle: Notify::new(),
        }
    }

    /// Lets one invocation in, or says why not. It never waits.
    pub(crate) fn admit(&self) -> Result<Permit<'_>, Outcome> {
        // Counted before the door is looked at, as `drained` closes the door
        // before it looks at the count: one of the two sees the other.
        let permit = Permit(self);
        let before = self.in_flight.fetch_add(1, Ordering::SeqCst);
        if self.draining.load(Ordering::SeqCst) {
            return Err(Outcome::Draining);
        }
        if before >= self.most {
            return Err(Outcome::Busy);
        }
        Ok(permit)
    }

    /// How many invocations are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
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
        let before = self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        if before == 1 && self.0.draining.load(Ordering::SeqCst) {
            self.0.idle.notify_waiters();
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
