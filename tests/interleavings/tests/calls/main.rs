//! What admission promises to calls that wait, from the very files that `hourglass` is made of: none
//! waits in vain, in whichever order threads meet at a tree and at what is free.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed anyway")]

#[path = "../../../../runtime/src/admission/mod.rs"]
#[allow(dead_code, reason = "what the rest of `hourglass` uses of it is not here")]
mod admission;
#[path = "../permits/cores.rs"]
mod cores;

mod context {
    pub(crate) use hourglass_interleavings::{Cause, Context};
}

mod outcome {
    use hourglass_interleavings::{Cause, Done};

    /// Those outcomes that admission knows.
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
use self::cores::move_to;

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a call to be let in. Where nobody wakes it, loom says that the test is stuck.
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

/// Looks once whether a call is let in, and gives it up.
fn give_up(admission: &Arc<Admission>, tree: &Arc<CallTree>) {
    let ctx = Context::background();
    let entering = pin!(admission.admit_call(tree, 1, &ctx));
    let _ = entering.poll(&mut TaskContext::from_waker(Waker::noop()));
}

#[test]
fn a_call_that_waits_is_woken_by_one_of_its_tree() {
    every_order(|| {
        let (admission, tree) = (Admission::new(2, 0.5), Arc::default());
        let held = enter(&admission, &tree);
        let waits = thread::spawn({
            let (admission, tree) = (admission.clone(), tree.clone());
            move || drop(enter(&admission, &tree))
        });
        move_to(1);
        drop(held);
        waits.join().unwrap();
        assert_eq!(admission.in_flight(), 0);
    });
}

#[test]
fn a_call_that_waits_is_woken_where_others_end() {
    every_order(|| {
        let (admission, tree) = (Admission::new(3, 0.5), Arc::default());
        let held = enter(&admission, &tree);
        let other = admission.admit().unwrap();
        let waits = thread::spawn({
            let (admission, tree) = (admission.clone(), tree.clone());
            move || {
                move_to(1);
                drop(enter(&admission, &tree));
            }
        });
        // Two are free then, which is more than the tree has.
        drop(other);
        waits.join().unwrap();
        drop(held);
        assert_eq!(admission.in_flight(), 0);
    });
}

#[test]
fn a_call_that_is_given_up_passes_its_permit_on() {
    every_order(|| {
        let (admission, tree) = (Admission::new(1, 0.5), Arc::default());
        let held = enter(&admission, &tree);
        let others = [give_up as fn(&_, &_), |admission, tree| drop(enter(admission, tree))];
        let others = others.map(|other| {
            let (admission, tree) = (admission.clone(), tree.clone());
            thread::spawn(move || {
                // Where the first has the only permit, the second finds the host full.
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
