//! Go's tests of causes.

use std::thread;
use std::time::Duration;

use hourglass::{Cancel, Cause, Context, Done, Key};
use tokio::sync::oneshot;

use super::{LONG, canceled};

/// A way of ending a context. Guards are kept, because dropping one would end it differently.
type Row = (&'static str, fn(&mut Vec<Cancel>) -> Context, Option<End>);
type End = (Done, Cause);

fn keep((context, guard): (Context, Cancel), guards: &mut Vec<Cancel>) -> Context {
    guards.push(guard);
    context
}

const PARENT: Cause = Cause::ClientDisconnected;
const CHILD: Cause = Cause::Operator;
const TOO_SLOW: Cause = Cause::ParentDone;
const NOW: Duration = Duration::ZERO;

/// The rows of Go's test in its order, with a few additional ones. Go's `TODO` is the background
/// here.
const ROWS: [Row; 25] = [
    ("background", |_| Context::background(), None),
    ("with_cancel", |guards| keep(Context::background().with_cancel(), guards), None),
    (
        "with_cancel, canceled",
        |_| Context::background().with_cancel().0,
        Some((Done::Canceled, Cause::Canceled)),
    ),
    (
        "with_cancel, canceled with a cause",
        |_| {
            let (context, cancel) = Context::background().with_cancel();
            cancel.cancel_with(PARENT);
            context
        },
        Some((Done::Canceled, PARENT)),
    ),
    (
        "with_cancel, canceled without a cause",
        |_| {
            let (context, cancel) = Context::background().with_cancel();
            cancel.cancel();
            context
        },
        Some((Done::Canceled, Cause::Canceled)),
    ),
    (
        "with_cancel, canceled with a cause, then with another",
        |_| {
            let (context, cancel) = Context::background().with_cancel();
            cancel.cancel_with(PARENT);
            cancel.cancel_with(CHILD);
            cancel.cancel();
            context
        },
        Some((Done::Canceled, PARENT)),
    ),
    (
        "the parent's cancel before the child's",
        |_| {
            let (parent, cancel_parent) = Context::background().with_cancel();
            let (child, cancel_child) = parent.with_cancel();
            cancel_parent.cancel_with(PARENT);
            cancel_child.cancel_with(CHILD);
            child
        },
        Some((Done::Canceled, PARENT)),
    ),
    (
        "the parent's cancel after the child's",
        |_| {
            let (parent, cancel_parent) = Context::background().with_cancel();
            let (child, cancel_child) = parent.with_cancel();
            cancel_child.cancel_with(CHILD);
            cancel_parent.cancel_with(PARENT);
            child
        },
        Some((Done::Canceled, CHILD)),
    ),
    (
        "the parent's cancel with a cause before the child's without one",
        |_| {
            let (parent, cancel_parent) = Context::background().with_cancel();
            let (child, cancel_child) = parent.with_cancel();
            cancel_parent.cancel_with(PARENT);
            cancel_child.cancel();
            child
        },
        Some((Done::Canceled, PARENT)),
    ),
    (
        "the parent's cancel with a cause after the child's without one",
        |_| {
            let (parent, cancel_parent) = Context::background().with_cancel();
            let (child, cancel_child) = parent.with_cancel();
            cancel_child.cancel();
            cancel_parent.cancel_with(PARENT);
            child
        },
        Some((Done::Canceled, Cause::Canceled)),
    ),
    (
        "the parent's cancel without a cause before the child's with one",
        |_| {
            let (parent, cancel_parent) = Context::background().with_cancel();
            let (child, cancel_child) = parent.with_cancel();
            cancel_parent.cancel();
            cancel_child.cancel_with(CHILD);
            child
        },
        Some((Done::Canceled, Cause::Canceled)),
    ),
    (
        "the parent's cancel without a cause after the child's with one",
        |_| {
            let (parent, cancel_parent) = Context::background().with_cancel();
            let (child, cancel_child) = parent.with_cancel();
            cancel_child.cancel_with(CHILD);
            cancel_parent.cancel();
            child
        },
        Some((Done::Canceled, CHILD)),
    ),
    (
        "the parent is not told of its child's cause",
        |guards| {
            let parent = keep(Context::background().with_cancel(), guards);
            parent.with_cancel().1.cancel_with(CHILD);
            parent
        },
        None,
    ),
    (
        "through a layer of values",
        |guards| {
            let (parent, cancel) = Context::background().with_cancel();
            let child = parent.with_value(&Key::new("layer"), 1);
            let child = keep(child.with_cancel(), guards);
            cancel.cancel_with(PARENT);
            child
        },
        Some((Done::Canceled, PARENT)),
    ),
    (
        "with_timeout, expired",
        |guards| keep(Context::background().with_timeout(NOW), guards),
        Some((Done::DeadlineExceeded, Cause::DeadlineExceeded)),
    ),
    (
        "with_timeout, canceled",
        |_| Context::background().with_timeout(LONG).0,
        Some((Done::Canceled, Cause::Canceled)),
    ),
    (
        "with_timeout_cause, expired",
        |guards| keep(Context::background().with_timeout_cause(NOW, TOO_SLOW), guards),
        Some((Done::DeadlineExceeded, TOO_SLOW)),
    ),
    (
        "with_timeout_cause, canceled",
        |_| Context::background().with_timeout_cause(LONG, TOO_SLOW).0,
        Some((Done::Canceled, Cause::Canceled)),
    ),
    (
        "with_timeout_cause, expired, then its parent's cancel",
        |guards| {
            let (parent, cancel) = Context::background().with_cancel();
            let child = keep(parent.with_timeout_cause(NOW, TOO_SLOW), guards);
            cancel.cancel_with(PARENT);
            child
        },
        Some((Done::DeadlineExceeded, TOO_SLOW)),
    ),
    (
        "with_timeout_cause, its parent's cancel, never expired",
        |guards| {
            let (parent, cancel) = Context::background().with_cancel();
            let child = keep(parent.with_timeout_cause(LONG, TOO_SLOW), guards);
            cancel.cancel_with(PARENT);
            child
        },
        Some((Done::Canceled, PARENT)),
    ),
    (
        "the child of one that expired with a cause",
        |guards| {
            let parent = keep(Context::background().with_timeout_cause(NOW, TOO_SLOW), guards);
            keep(parent.with_timeout_cause(LONG, CHILD), guards)
        },
        Some((Done::DeadlineExceeded, TOO_SLOW)),
    ),
    ("without_cancel", |_| Context::background().without_cancel(), None),
    (
        "without_cancel of one that is canceled",
        |_| Context::background().with_cancel().0.without_cancel(),
        None,
    ),
    (
        "without_cancel of one that has expired",
        |_| Context::background().with_timeout(NOW).0.without_cancel(),
        None,
    ),
    (
        "canceled below a without_cancel",
        |_| {
            let (outer, _guard) = Context::background().with_cancel();
            let (inner, cancel) = outer.without_cancel().with_cancel();
            cancel.cancel_with(CHILD);
            inner
        },
        Some((Done::Canceled, CHILD)),
    ),
];

#[test]
fn cause() {
    for (name, make, end) in ROWS {
        let mut guards = vec![];
        let context = make(&mut guards);
        let (done, cause) = end.unzip();
        assert_eq!(context.err(), done, "{name}");
        assert_eq!(context.cause(), cause, "{name}");
    }
}

#[test]
fn cause_race() {
    let cause = Cause::custom("exactly this one");
    for _ in 0..100 {
        let (context, cancel) = Context::background().with_cancel();
        thread::scope(|scope| {
            scope.spawn(|| cancel.cancel_with(cause.clone()));
            // None, and then immediately the right one.
            let seen = loop {
                if let Some(seen) = context.cause() {
                    break seen;
                }
                thread::yield_now();
            };
            assert_eq!(seen, cause);
            assert!(canceled(&context));
        });
    }
}

/// Something foreign ends with its own cause. The task that watches it passes the cause on.
#[tokio::test]
async fn custom_context_propagation() {
    let (end, ended) = oneshot::channel();
    let (parent, cancel) = Context::background().with_cancel();
    let following = tokio::spawn(async move { cancel.cancel_with(ended.await.unwrap()) });
    let (child, _guard) = parent.with_value(&Key::new("layer"), 1).with_cancel();
    assert_eq!(child.err(), None);

    let cause = Cause::custom("the foreign one");
    end.send(cause.clone()).unwrap();
    assert_eq!(child.done().await, Done::Canceled);
    assert_eq!(child.cause(), Some(cause));
    following.await.unwrap();
}

#[test]
fn custom_context_cause() {
    let (parent, cancel) = Context::background().with_cancel();
    cancel.cancel();
    assert!(canceled(&parent));
    assert_eq!(parent.cause(), Some(Cause::Canceled));

    let (parent, cancel) = Context::background().with_cancel();
    let (child, cancel_child) = parent.with_cancel();
    cancel_child.cancel_with(CHILD);
    assert!(canceled(&child));
    assert_eq!(child.cause(), Some(CHILD));
    assert_eq!((parent.err(), parent.cause()), (None, None));
    cancel.cancel();
    assert_eq!(child.cause(), Some(CHILD));
    assert_eq!(parent.cause(), Some(Cause::Canceled));

    let (parent, cancel) = Context::background().with_cancel();
    let (child, _guard) = parent.with_cancel();
    cancel.cancel();
    for context in [&parent, &child] {
        assert!(canceled(context));
        assert_eq!(context.cause(), Some(Cause::Canceled));
    }
}
