//! Allocations of contexts: Go's `TestAllocs`, and other guarantees about
//! memory. It is a binary of its own because it replaces the global allocator.

mod counting;

use std::alloc::System;
use std::pin::pin;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use hourglass::{Cause, Context, Done, Key};

use self::counting::{Counting, counts};

#[global_allocator]
static ALLOCATOR: Counting<System> = Counting(System);

const KEY: Key<u8> = Key::new("key");
const NANOSECOND: Duration = Duration::from_nanos(1);
const LONG: Duration = Duration::from_secs(3600);

/// Waits for a context that is already done.
fn wait(context: &Context) -> Done {
    let mut task = task::Context::from_waker(Waker::noop());
    match pin!(context.done()).poll(&mut task) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it is not done: {context:?}"),
    }
}

/// An operation, Go's limit of its allocations, and ours.
type Row = (&'static str, fn(), usize, usize);

const ROWS: [Row; 5] = [
    ("background", || drop(Context::background()), 0, 0),
    (
        "with_value",
        || assert!(Context::background().with_value(&KEY, 7).value(&KEY).is_some()),
        3,
        2,
    ),
    (
        "with_timeout, expired, and a waiter",
        || {
            let (context, _guard) = Context::background().with_timeout(NANOSECOND);
            while context.err().is_none() {}
            assert_eq!(wait(&context), Done::DeadlineExceeded);
        },
        12,
        1,
    ),
    (
        "with_cancel, canceled, and a waiter",
        || {
            let (context, cancel) = Context::background().with_cancel();
            cancel.cancel();
            assert_eq!(wait(&context), Done::Canceled);
        },
        5,
        1,
    ),
    (
        "with_timeout, canceled, and a waiter",
        || {
            let (context, cancel) = Context::background().with_timeout(LONG);
            cancel.cancel();
            assert_eq!(wait(&context), Done::Canceled);
        },
        8,
        1,
    ),
];

#[test]
fn allocs() {
    for (name, run, go, ours) in ROWS {
        assert!(ours <= go, "{name}");
        let counts = counts(run);
        assert!(counts.allocations <= ours, "{name}: {}", counts.allocations);
        assert_eq!(counts.bytes, 0, "{name}");
    }
}

/// Beyond Go: all allocations of a context in use, without a timer.
#[test]
fn deriving_and_leaving_ask_for_one_allocation() {
    let (parent, _guard) = Context::background().with_value(&KEY, 7).with_timeout(LONG);
    let (_sibling, _sibling_guard) = parent.with_cancel();
    let derive: [fn(&Context); 3] = [
        |parent| drop(parent.with_cancel()),
        |parent| {
            let (_context, _guard) = parent.with_timeout(LONG / 2);
        },
        |parent| parent.with_timeout(LONG / 2).1.cancel_with(Cause::Operator),
    ];
    for derive in derive {
        let counts = counts(|| derive(&parent));
        assert_eq!((counts.allocations, counts.bytes), (1, 0));
    }
}

#[test]
fn a_parent_that_has_seen_a_million_children_is_no_larger_than_one_that_has_seen_ten() {
    let size = |children: usize, at_once: usize| {
        let mut kept = None;
        let counts = counts(|| {
            let (parent, guard) = Context::background().with_cancel();
            for _ in 0..children / at_once {
                let together: Vec<_> = (0..at_once).map(|_| parent.with_timeout(LONG)).collect();
                drop(together);
            }
            kept = Some((parent, guard));
        });
        counts.bytes
    };
    let ten = size(10, 10);
    assert!(ten > 0);
    for at_once in [1, 10, 1_000, 100_000] {
        let million = size(1_000_000, at_once);
        assert!(million <= ten, "{million} bytes, {at_once} at once, against {ten} bytes");
    }
}
