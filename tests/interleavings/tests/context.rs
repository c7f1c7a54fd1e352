//! The guarantees of contexts under concurrency.
//!
//! Loom runs each test once for every order of the threads' steps at locks and
//! atomics that could make a difference: more than ten thousand, where there are
//! three threads. Reference counts are the standard library's and no such steps.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed anyway")]

use std::collections::HashSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{self, Poll, Wake, Waker};

use hourglass_interleavings::{Cancel, Cause, Context, Done, every_order};
use loom::thread;

/// Without loom's primitives in the tree, there would be one order.
#[test]
fn the_orders_are_more_than_one() {
    let causes = Arc::new(Mutex::new(HashSet::new()));
    every_order({
        let causes = causes.clone();
        move || {
            let (context, cancel) = root();
            let cancel = Arc::new(cancel);
            let other = thread::spawn({
                let cancel = cancel.clone();
                move || cancel.cancel_with(Cause::Shutdown)
            });
            cancel.cancel_with(Cause::Operator);
            other.join().unwrap();
            causes.lock().unwrap().insert(context.cause().map(|cause| cause.name()));
        }
    });
    assert_eq!(causes.lock().unwrap().len(), 2);
}

fn root() -> (Context, Cancel) {
    Context::background().with_cancel()
}

fn canceled(context: &Context, cause: Cause) -> bool {
    context.err() == Some(Done::Canceled) && context.cause() == Some(cause)
}

#[test]
fn one_of_two_cancels_sets_the_cause_for_all_readers() {
    every_order(|| {
        let (parent, cancel) = root();
        let (child, _guard) = parent.with_cancel();
        let cancel = Arc::new(cancel);
        let end = |cancel: Arc<Cancel>, cause, contexts: [Context; 2]| {
            cancel.cancel_with(cause);
            contexts.map(|context| context.cause().expect("it is done"))
        };
        let contexts = [parent.clone(), child.clone()];
        let other = thread::spawn({
            let (cancel, contexts) = (cancel.clone(), contexts.clone());
            move || end(cancel, Cause::Shutdown, contexts)
        });
        let [first, below] = end(cancel, Cause::Operator, contexts);
        assert!([Cause::Shutdown, Cause::Operator].contains(&first));
        assert_eq!(first, below);
        assert_eq!(other.join().unwrap(), [first.clone(), first.clone()]);
        assert!(canceled(&parent, first.clone()) && canceled(&child, first));
        assert_eq!(parent.children(), 0);
    });
}

#[test]
fn a_child_derived_during_a_cancel_is_done_afterwards() {
    every_order(|| {
        let (parent, cancel) = root();
        let early = [parent.with_cancel(), parent.with_cancel()];
        let canceling = thread::spawn(move || cancel.cancel_with(Cause::Shutdown));
        let (late, _guard) = parent.with_cancel();
        canceling.join().unwrap();
        assert!(early.iter().all(|(child, _)| canceled(child, Cause::Shutdown)));
        assert!(canceled(&late, Cause::Shutdown));
        assert_eq!(parent.children(), 0);
    });
}

#[test]
fn a_child_whose_guard_is_dropped_during_a_cancel_ends_once() {
    every_order(|| {
        let (parent, cancel) = root();
        let (child, guard) = parent.with_cancel();
        let canceling = thread::spawn(move || cancel.cancel_with(Cause::Shutdown));
        drop(guard);
        let cause = child.cause();
        assert!([Cause::Canceled, Cause::Shutdown].map(Some).contains(&cause));
        canceling.join().unwrap();
        assert_eq!(child.cause(), cause);
        assert!(canceled(&parent, Cause::Shutdown));
        assert_eq!(parent.children(), 0);
    });
}

#[test]
fn a_child_may_be_dropped_while_its_parent_is_canceled() {
    every_order(|| {
        let (parent, cancel) = root();
        let (child, guard) = parent.with_cancel();
        drop(child);
        let canceling = thread::spawn(move || cancel.cancel_with(Cause::Shutdown));
        drop(guard);
        canceling.join().unwrap();
        assert_eq!(parent.children(), 0);
    });
}

/// The guard is dropped while the last handle derives a child.
#[test]
fn dropping_a_guard_ends_a_child_being_derived() {
    every_order(|| {
        let (parent, _guard) = root();
        let (child, guard) = parent.with_cancel();
        let deriving = thread::spawn(move || {
            let derived = child.with_cancel();
            drop(child);
            derived
        });
        drop(guard);
        let (grandchild, _guard) = deriving.join().unwrap();
        assert!(canceled(&grandchild, Cause::Canceled));
        assert_eq!(parent.children(), 0);
    });
}

#[test]
fn two_children_dropped_at_once_do_not_detach_a_third() {
    every_order(|| {
        let (parent, cancel) = root();
        let ((first, first_guard), (_, third_guard)) = (parent.with_cancel(), parent.with_cancel());
        let (second, _guard) = parent.with_cancel();
        let leaving = thread::spawn(move || drop(first_guard));
        drop(third_guard);
        leaving.join().unwrap();
        assert!(canceled(&first, Cause::Canceled));
        assert_eq!(second.err(), None);
        assert_eq!(parent.children(), 1);
        cancel.cancel_with(Cause::Shutdown);
        assert!(canceled(&second, Cause::Shutdown));
        assert_eq!(parent.children(), 0);
    });
}

#[test]
fn two_children_may_be_dropped_while_their_parent_is_canceled() {
    every_order(|| {
        let (parent, cancel) = root();
        let (known, guard) = parent.with_cancel();
        let unknown = parent.with_cancel().1;
        let dropping = [guard, unknown].map(|guard| thread::spawn(move || drop(guard)));
        cancel.cancel_with(Cause::Shutdown);
        assert_eq!(known.err(), Some(Done::Canceled));
        assert_eq!(parent.children(), 0);
        dropping.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(parent.children(), 0);
    });
}

/// One thread cancels the root, one drops the parent of the leaf that the third
/// derives.
#[test]
fn a_grandchild_derived_during_a_cancel_of_the_root_is_done_afterwards() {
    every_order(|| {
        let (top, cancel) = root();
        let (middle, guard) = top.with_cancel();
        let canceling = thread::spawn(move || cancel.cancel_with(Cause::Shutdown));
        let dropping = thread::spawn(move || drop(guard));
        let (leaf, _guard) = middle.with_cancel();
        canceling.join().unwrap();
        dropping.join().unwrap();
        assert!(canceled(&top, Cause::Shutdown));
        assert_eq!(leaf.err(), Some(Done::Canceled));
        assert_eq!(leaf.cause(), middle.cause());
        assert_eq!((top.children(), middle.children()), (0, 0));
    });
}

/// Two threads cancel one tree. Neither may return before its part is done.
#[test]
fn every_cancel_returns_after_all_descendants_are_done() {
    every_order(|| {
        let (top, cancel) = root();
        let (middle, cancel_middle) = top.with_cancel();
        let (leaf, _guard) = middle.with_cancel();
        let other = thread::spawn({
            let leaf = leaf.clone();
            move || {
                cancel_middle.cancel_with(Cause::Operator);
                assert_eq!(leaf.err(), Some(Done::Canceled));
            }
        });
        cancel.cancel_with(Cause::Shutdown);
        assert_eq!(leaf.err(), Some(Done::Canceled));
        assert_eq!(leaf.cause(), middle.cause());
        other.join().unwrap();
        assert_eq!((top.children(), middle.children()), (0, 0));
    });
}

#[test]
fn an_after_function_runs_once_or_its_stop_is_true() {
    every_order(|| {
        let (context, cancel) = root();
        let (run, ran) = mpsc::channel();
        let after = context.after_func(move || run.send(()).unwrap());
        let canceling = thread::spawn(move || cancel.cancel());
        let stopped = after.stop();
        canceling.join().unwrap();
        assert!(!after.stop());
        assert_eq!(context.children(), 0);
        // Waits until the function has run or was dropped.
        assert_eq!(ran.into_iter().count(), usize::from(!stopped));
    });
}

#[test]
fn an_after_function_registered_during_a_cancel_runs_once() {
    every_order(|| {
        let (context, cancel) = root();
        let canceling = thread::spawn(move || cancel.cancel());
        let (run, ran) = mpsc::channel();
        let after = context.after_func(move || run.send(()).unwrap());
        canceling.join().unwrap();
        assert!(!after.stop());
        assert_eq!(context.children(), 0);
        assert_eq!(ran.into_iter().count(), 1);
    });
}

/// Remembers that it was called.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn a_waiter_wakes_and_finds_all_descendants_done() {
    every_order(|| {
        let (context, cancel) = root();
        let (child, _guard) = context.with_cancel();
        let canceling = thread::spawn(move || cancel.cancel());
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        let mut task = task::Context::from_waker(&waker);
        let mut waiting = pin!(context.done());
        if waiting.as_mut().poll(&mut task).is_pending() {
            canceling.join().unwrap();
            assert!(woken.0.load(SeqCst));
            assert_eq!(waiting.poll(&mut task), Poll::Ready(Done::Canceled));
        } else {
            assert_eq!(child.err(), Some(Done::Canceled));
            canceling.join().unwrap();
        }
        assert_eq!(child.err(), Some(Done::Canceled));
        assert_eq!(context.children(), 0);
    });
}
