//! What Go's contexts are tested for, as far as contexts in tests can do it.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn background_is_never_done() {
    let ctx = Context::background();
    assert_eq!(ctx.err(), None);
    assert_eq!(ctx.cause(), None);
    assert_eq!(ctx.deadline(), None);
    assert_eq!(ctx.remaining(), None);
    assert_eq!(ctx.check(), Ok(()));
}

#[test]
fn cancel_reaches_all_descendants_and_nobody_else() {
    let root = Context::background();
    let (parent, cancel) = root.with_cancel();
    let (child, _child) = parent.with_timeout(HOUR);
    let grandchild = child.with_value("name", "value");
    let (sibling, _sibling) = root.with_cancel();

    cancel.cancel_with(Cause::ClientDisconnected);
    for ctx in [parent, child, grandchild] {
        assert_eq!(ctx.err(), Some(Done::Canceled));
        assert_eq!(ctx.cause(), Some(Cause::ClientDisconnected));
        assert_eq!(ctx.check(), Err(Done::Canceled));
    }
    assert_eq!(root.err(), None);
    assert_eq!(sibling.err(), None);
}

#[test]
fn a_child_of_a_done_context_is_born_done() {
    let (parent, cancel) = Context::background().with_cancel();
    cancel.cancel_with(Cause::Shutdown);
    let (child, _cancel) = parent.with_cancel();
    assert_eq!(child.cause(), Some(Cause::Shutdown));
}

#[test]
fn dropping_the_guard_cancels() {
    let (ctx, cancel) = Context::background().with_timeout(HOUR);
    drop(cancel);
    assert_eq!(ctx.err(), Some(Done::Canceled));
    assert_eq!(ctx.cause(), Some(Cause::Canceled));
}

#[test]
fn the_first_cancellation_wins() {
    let (parent, cancel_parent) = Context::background().with_cancel();
    let (child, cancel_child) = parent.with_cancel();
    cancel_child.cancel_with(Cause::Operator);
    cancel_child.cancel_with(Cause::Shutdown);
    cancel_parent.cancel_with(Cause::ClientDisconnected);
    assert_eq!(child.cause(), Some(Cause::Operator));
    assert_eq!(parent.cause(), Some(Cause::ClientDisconnected));
}

#[test]
fn a_deadline_in_the_past_is_done_at_once() {
    let (ctx, cancel) = Context::background().with_timeout(Duration::ZERO);
    assert_eq!(ctx.err(), Some(Done::DeadlineExceeded));
    assert_eq!(ctx.remaining(), Some(Duration::ZERO));
    cancel.cancel();
    assert_eq!(ctx.cause(), Some(Cause::DeadlineExceeded));
}

#[test]
fn an_expired_deadline_beats_a_later_cancel_of_the_parent() {
    let (parent, cancel) = Context::background().with_cancel();
    let (child, _child) = parent.with_timeout(Duration::ZERO);
    cancel.cancel();
    assert_eq!(child.cause(), Some(Cause::DeadlineExceeded));
    assert_eq!(parent.cause(), Some(Cause::Canceled));
}

#[test]
fn a_child_never_outlives_its_parents_deadline() {
    let (parent, _parent) = Context::background().with_timeout(HOUR);
    let (longer, _longer) = parent.with_timeout(2 * HOUR);
    let (shorter, _shorter) = parent.with_timeout(HOUR / 2);
    assert_eq!(longer.deadline(), parent.deadline());
    assert!(shorter.deadline() < parent.deadline());
}

#[test]
fn the_nearest_value_hides_the_others() {
    let ctx = Context::background().with_value("a", "1").with_value("b", "2").with_value("a", "3");
    assert_eq!(ctx.value("a").as_deref(), Some("3"));
    assert_eq!(ctx.value("c"), None);
    let pairs = [("a", "3"), ("b", "2")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(ctx.values(), pairs);
    assert_eq!(ctx.with_value("request-id", "x").request_id().as_deref(), Some("x"));
}

#[test]
fn sleep_takes_its_time() {
    let time = Duration::from_millis(2);
    let start = Instant::now();
    assert_eq!(Context::background().sleep(time), Ok(()));
    assert!(start.elapsed() >= time);
}

#[test]
fn sleep_ends_with_the_deadline() {
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    assert_eq!(ctx.sleep(HOUR), Err(Done::DeadlineExceeded));
    assert_eq!(ctx.done(), Done::DeadlineExceeded);
}

#[test]
fn a_cancel_wakes_whoever_waits() {
    let (parent, cancel) = Context::background().with_cancel();
    let (child, _child) = parent.with_timeout(HOUR);
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| child.sleep(2 * HOUR));
        let waiter = scope.spawn(|| child.done());
        cancel.cancel();
        assert_eq!(sleeper.join().expect("no panic"), Err(Done::Canceled));
        assert_eq!(waiter.join().expect("no panic"), Done::Canceled);
    });
}

#[test]
fn simultaneous_cancels_leave_one_cause_for_good() {
    for _ in 0..100 {
        let (ctx, cancel) = Context::background().with_timeout(Duration::from_micros(20));
        std::thread::scope(|scope| {
            scope.spawn(|| cancel.cancel_with(Cause::Operator));
            scope.spawn(|| cancel.cancel_with(Cause::Shutdown));
        });
        let cause = ctx.cause();
        assert!(cause.is_some());
        cancel.cancel_with(Cause::ParentDone);
        assert_eq!(ctx.cause(), cause);
    }
}
