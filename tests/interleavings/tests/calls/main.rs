//! The guarantees of admission to waiting calls, tested on the sources of `hourglass`: under every
//! interleaving at a tree and at the free permits, each one wakes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed anyway")]

#[path = "../../../../runtime/src/admission/mod.rs"]
#[allow(dead_code, reason = "what the rest of `hourglass` uses of it is not here")]
mod admission;

mod context {
    pub(crate) use hourglass_interleavings::{Cause, Context};
}

mod outcome {
    use hourglass_interleavings::{Cause, Done};

    /// The outcomes of admission.
    #[derive(Debug)]
    #[allow(dead_code, reason = "no test looks into it")]
    pub(crate) enum Outcome {
        Busy,
        Draining,
        Done(Done, Cause),
    }
}

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use hourglass_interleavings::{Context, every_order};
use loom::thread::{self, Thread};

use self::admission::{Admission, CallPermit, CallTree};

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for the admission of a call. Without a wake-up, loom reports a deadlock.
fn enter(admission: &Arc<Admission>, tree: &Arc<CallTree>) -> CallPermit {
    let ctx = Context::background();
    let mut entering = pin!(admission.admit_call(tree, 1, &ctx));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match entering.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            Poll::Ready(entered) => return entered.unwrap(),
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls the admission of a call once, and drops it.
fn give_up(admission: &Arc<Admission>, tree: &Arc<CallTree>) {
    let ctx = Context::background();
    let entering = pin!(admission.admit_call(tree, 1, &ctx));
    let _ = entering.poll(&mut TaskContext::from_waker(Waker::noop()));
}

#[test]
fn a_call_of_the_same_tree_wakes_a_waiting_call() {
    every_order(|| {
        let (admission, tree) = (Admission::new(2, 0.5), Arc::default());
        let held = enter(&admission, &tree);
        let waits = thread::spawn({
            let (admission, tree) = (admission.clone(), tree.clone());
            move || drop(enter(&admission, &tree))
        });
        drop(held);
        waits.join().unwrap();
        assert_eq!(admission.in_flight(), 0);
    });
}

#[test]
fn the_end_of_other_calls_wakes_a_waiting_call() {
    every_order(|| {
        let (admission, tree) = (Admission::new(3, 0.5), Arc::default());
        let held = enter(&admission, &tree);
        let other = admission.admit().unwrap();
        let waits = thread::spawn({
            let (admission, tree) = (admission.clone(), tree.clone());
            move || drop(enter(&admission, &tree))
        });
        // Two permits are free then, which is more than the tree holds.
        drop(other);
        waits.join().unwrap();
        drop(held);
        assert_eq!(admission.in_flight(), 0);
    });
}

#[test]
fn a_dropped_wait_passes_its_permit_on() {
    every_order(|| {
        let (admission, tree) = (Admission::new(1, 0.5), Arc::default());
        let held = enter(&admission, &tree);
        let others = [give_up as fn(&_, &_), |admission, tree| drop(enter(admission, tree))];
        let others = others.map(|other| {
            let (admission, tree) = (admission.clone(), tree.clone());
            thread::spawn(move || {
                // If the first has the only permit, the second finds the host full.
                other(&admission, &tree);
            })
        });
        drop(held);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(admission.in_flight(), 0);
    });
}
