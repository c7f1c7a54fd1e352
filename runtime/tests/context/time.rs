//! Deadlines, in paused time if possible.

use std::time::{Duration, Instant};

use hourglass::{Cause, Context, Done};
use tokio::time::advance;

use super::{HOUR, LONG, SHORT, blocks, canceled, expired};

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_beats_a_later_cancel() {
    let (parent, cancel) = Context::background().with_cancel();
    let (child, cancel_child) = parent.with_timeout(HOUR);
    let (grandchild, _guard) = child.with_cancel();
    let (late, _guard) = parent.with_timeout(2 * HOUR);
    advance(HOUR).await;
    cancel_child.cancel();
    cancel.cancel_with(Cause::Shutdown);
    assert!(expired(&child));
    assert!(expired(&grandchild));
    assert!(canceled(&late));
    assert_eq!(late.cause(), Some(Cause::Shutdown));
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_at_the_deadline_and_not_before() {
    let (context, _guard) = Context::background().with_timeout(HOUR);
    let (child, _guard) = context.with_cancel();
    advance(HOUR - Duration::from_nanos(1)).await;
    assert_eq!(child.err(), None);
    assert_eq!(child.remaining(), Some(Duration::from_nanos(1)));
    advance(Duration::from_nanos(1)).await;
    assert!(expired(&child));
    assert_eq!(child.remaining(), Some(Duration::ZERO));
}

#[tokio::test]
async fn no_waiter_wakes_before_the_deadline() {
    for microseconds in [10, 900, 1_100, 2_500] {
        let at = Instant::now() + Duration::from_micros(microseconds);
        let (context, _guard) = Context::background().with_deadline(at);
        assert_eq!(context.done().await, Done::DeadlineExceeded);
        assert!(Instant::now() >= at);
    }
}

#[test]
fn the_earlier_deadline_counts() {
    let now = Instant::now();
    let (parent, _guard) = Context::background().with_deadline(now + HOUR);
    for (own, effective) in [(now + LONG, now + HOUR), (now + SHORT, now + SHORT)] {
        let (child, _guard) = parent.with_deadline(own);
        assert_eq!(child.deadline(), Some(effective));
    }
}

#[tokio::test(start_paused = true)]
async fn the_parents_of_two_equal_deadlines_counts() {
    let at = tokio::time::Instant::now().into_std() + HOUR;
    let (parent, _guard) = Context::background().with_deadline_cause(at, Cause::Operator);
    let (child, _guard) = parent.with_deadline_cause(at, Cause::Shutdown);
    let (early, _guard) = parent.with_deadline_cause(at - SHORT, Cause::Shutdown);
    advance(HOUR).await;
    assert_eq!(child.cause(), Some(Cause::Operator));
    assert_eq!(early.cause(), Some(Cause::Shutdown));
}

#[tokio::test]
async fn a_timeout_beyond_the_clock_sets_no_deadline() {
    let (context, _guard) = Context::background().with_timeout(Duration::MAX);
    assert_eq!(context.deadline(), None);
    assert!(blocks(&context).await);

    let (parent, _guard) = Context::background().with_timeout(HOUR);
    let (child, _guard) = parent.with_timeout(Duration::MAX);
    assert_eq!(child.deadline(), parent.deadline());

    // The longest time that the clock can represent is an ordinary deadline.
    let longest = Duration::from_secs(i64::MAX as u64 / 2);
    let (context, _guard) = Context::background().with_timeout(longest);
    assert!(context.deadline().is_some());
    assert!(blocks(&context).await);
}

#[tokio::test(start_paused = true)]
async fn an_expiry_is_seen_in_the_whole_tree() {
    let (parent, _guard) =
        Context::background().with_timeout_cause(HOUR, Cause::limit_exceeded("time"));
    let (child, _guard) = parent.with_timeout(LONG);
    let (_sibling, _guard) = parent.with_cancel();
    assert_eq!(parent.children(), 2);
    assert_eq!(child.done().await, Done::DeadlineExceeded);
    assert_eq!(parent.cause(), Some(Cause::limit_exceeded("time")));
    assert_eq!(child.cause(), parent.cause());
    assert_eq!(parent.children(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_end_does_not_depend_on_observers() {
    let start = tokio::time::Instant::now().into_std();
    let (expired, _guard) = Context::background().with_timeout(HOUR);
    let (canceled, cancel) = Context::background().with_timeout(2 * HOUR);
    let (child, _guard) = canceled.with_cancel();
    assert_eq!(expired.done_since(), None);
    advance(SHORT).await;
    cancel.cancel();
    advance(3 * HOUR).await;
    assert_eq!(expired.done_since(), Some(start + HOUR));
    assert_eq!(canceled.done_since(), Some(start + SHORT));
    assert_eq!(child.done_since(), Some(start + SHORT));
}
