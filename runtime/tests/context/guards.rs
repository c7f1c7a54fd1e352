//! Guarantees of guards and of the tree beyond Go's.

use std::cell::Cell;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use hourglass::{AfterFunc, Cancel, Cause, Context, Done, Key};

use super::canceled;

#[test]
fn dropping_the_guard_cancels() {
    let (context, cancel) = Context::background().with_cancel();
    drop(cancel);
    assert!(canceled(&context));
    assert_eq!(context.cause(), Some(Cause::Canceled));
}

#[test]
fn shared_types_are_send_and_sync() {
    fn shareable<T: Send + Sync + Unpin + 'static>() {}
    shareable::<(Context, Cancel, AfterFunc, Cause, Done)>();
    shareable::<Key<Cell<u8>>>();
}

#[test]
fn a_parent_forgets_dropped_children() {
    let (parent, _guard) = Context::background().with_cancel();
    for _ in 0..100_000 {
        drop(parent.with_cancel());
    }
    assert_eq!(parent.children(), 0);
}

#[test]
fn a_cancel_reaches_a_context_whose_ancestors_are_dropped() {
    let (parent, cancel) = Context::background().with_cancel();
    let (middle, _middle_guard) = parent.with_cancel();
    let (child, _guard) = middle.with_cancel();
    drop(middle);
    drop(parent);
    cancel.cancel_with(Cause::Shutdown);
    assert_eq!(child.cause(), Some(Cause::Shutdown));
}

/// Three threads cancel one tree, two of them at its root.
#[test]
fn every_cancel_returns_after_all_descendants_are_done() {
    // A binary tree in the order of a heap.
    const SIZE: usize = 127;
    let is_below = |mut node: usize, top: usize| {
        while node > top {
            node = (node - 1) / 2;
        }
        node == top
    };
    for _ in 0..200 {
        let mut tree = vec![Context::background().with_cancel()];
        for node in 1..SIZE {
            let child = tree[(node - 1) / 2].0.with_cancel();
            tree.push(child);
        }
        let start = Barrier::new(3);
        thread::scope(|scope| {
            for top in [0, 0, 1] {
                let (tree, start) = (&tree, &start);
                scope.spawn(move || {
                    start.wait();
                    tree[top].1.cancel();
                    for node in (0..SIZE).filter(|node| is_below(*node, top)) {
                        assert!(canceled(&tree[node].0), "{node} below {top}");
                    }
                });
            }
        });
    }
}

/// What one thread has observed, all threads observe from then on.
#[test]
fn an_end_never_changes() {
    for _ in 0..200 {
        let soon = Instant::now() + Duration::from_micros(50);
        let (context, cancel) = Context::background().with_deadline(soon);
        let start = Barrier::new(3);
        let watch = || {
            start.wait();
            let first = loop {
                if let Some(first) = context.err() {
                    break first;
                }
            };
            (0..100).all(|_| context.err() == Some(first)).then_some(first)
        };
        thread::scope(|scope| {
            let watchers = [scope.spawn(watch), scope.spawn(watch)];
            start.wait();
            while Instant::now() < soon {
                std::hint::spin_loop();
            }
            cancel.cancel();
            let end = context.err();
            assert!(end.is_some());
            for watcher in watchers {
                assert_eq!(watcher.join().unwrap(), end);
            }
        });
    }
}
