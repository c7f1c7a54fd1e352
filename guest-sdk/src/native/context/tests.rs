//! The properties that Go's context tests check, as far as contexts in tests have them.

use super::*;
use crate::{Key, keys};

const HOUR: Duration = Duration::from_secs(3600);

const NAME: Key<String> = Key::new("name");

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
fn cancel_reaches_all_descendants_and_no_other() {
    let root = Context::background();
    let (parent, cancel) = root.with_cancel();
    let child = parent.with_timeout(HOUR);
    let grandchild = child.with_value(&NAME, "value".to_owned());
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
fn dropping_what_cancels_does_not_cancel() {
    let (ctx, _) = Context::background().with_cancel();
    assert_eq!(ctx.err(), None);
}

#[test]
fn a_context_is_canceled_with_the_last_that_uses_it() {
    let (ctx, cancel) = Context::background().with_cancel();
    let inner = ctx.0.inner.clone();
    let cause = || {
        let _locked = lock();
        inner.end().map(|end| end.cause)
    };
    let derived = ctx.with_value(&NAME, "value".to_owned()).with_timeout(HOUR);
    drop(ctx);
    let valued = derived.with_value(&NAME, "another".to_owned());
    drop(derived);
    drop(cancel);
    assert_eq!(cause(), None);
    // A context that does not end with this one does not keep it.
    let _apart = valued.without_cancel();
    drop(valued);
    assert_eq!(cause(), Some(Cause::Canceled));
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
    let (ctx, cancel) = Context::background().with_timeout(Duration::ZERO).with_cancel();
    assert_eq!(ctx.err(), Some(Done::DeadlineExceeded));
    assert_eq!(ctx.remaining(), Some(Duration::ZERO));
    cancel.cancel();
    assert_eq!(ctx.cause(), Some(Cause::DeadlineExceeded));
}

#[test]
fn an_expired_deadline_beats_a_later_cancel_of_the_parent() {
    let (parent, cancel) = Context::background().with_cancel();
    let child = parent.with_timeout(Duration::ZERO);
    cancel.cancel();
    assert_eq!(child.cause(), Some(Cause::DeadlineExceeded));
    assert_eq!(parent.cause(), Some(Cause::Canceled));
}

#[test]
fn a_child_never_outlives_its_parents_deadline() {
    let parent = Context::background().with_timeout(HOUR);
    let longer = parent.with_timeout(2 * HOUR);
    let shorter = parent.with_timeout(HOUR / 2);
    assert_eq!(longer.deadline(), parent.deadline());
    assert!(shorter.deadline() < parent.deadline());
}

#[test]
fn the_nearest_value_hides_the_others() {
    const A: Key<u32> = Key::new("a");
    const B: Key<u32> = Key::new("b");
    let ctx = Context::background().with_value(&A, 1).with_value(&B, 2).with_value(&A, 3);
    assert_eq!(ctx.value(&A), Some(3));
    assert_eq!(ctx.value_text("a").as_deref(), Some("3"));
    assert_eq!(ctx.value(&NAME), None);
    let pairs = [("a", "3"), ("b", "2")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(ctx.values(), pairs);
}

#[test]
fn a_text_that_is_no_such_value_is_none() {
    let ctx = Context::background().with_value(&NAME, "ada".to_owned());
    assert_eq!(ctx.value(&Key::<u32>::new("name")), None);
    assert_eq!(ctx.value_text("name").as_deref(), Some("ada"));
}

#[test]
fn values_of_the_host_can_be_read_and_not_be_set() {
    let ctx = Context::background().with_host_value(&keys::REQUEST_ID, "r-1".to_owned());
    assert_eq!(ctx.request_id().as_deref(), Some("r-1"));
    for name in ["request-id", "principal", "traceparent", "route.id"] {
        let forge = || ctx.with_value(&Key::new(name), "forged");
        let panic = std::panic::catch_unwind(forge).expect_err(name);
        let words = panic.downcast_ref::<String>().expect("it says why");
        assert!(words.contains(name) && words.contains("the host's own"), "{words}");
    }
}

#[test]
#[should_panic = "at most 4096"]
fn a_value_that_is_too_long_cannot_be_set() {
    let _ = Context::background().with_value(&NAME, "x".repeat(4097));
}

#[test]
#[should_panic = "a name has 1 to 128 bytes"]
fn a_name_that_is_empty_cannot_be_set() {
    let _ = Context::background().with_value(&Key::new(""), "x");
}

#[test]
fn a_context_without_cancel_keeps_the_values_and_nothing_else() {
    let (parent, cancel) = Context::background().with_timeout(HOUR).with_cancel();
    let apart = parent.with_value(&NAME, "ada".to_owned()).without_cancel();
    let (child, cancel_child) = apart.with_cancel();
    cancel.cancel();
    assert_eq!((apart.err(), apart.cause(), apart.deadline()), (None, None, None));
    assert_eq!(child.err(), None);
    assert_eq!(child.value(&NAME).as_deref(), Some("ada"));
    cancel_child.cancel_with(Cause::Operator);
    assert_eq!(child.cause(), Some(Cause::Operator));
    assert_eq!(apart.err(), None);
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
    let ctx = Context::background().with_timeout(Duration::from_millis(1));
    assert_eq!(ctx.sleep(HOUR), Err(Done::DeadlineExceeded));
    assert_eq!(ctx.done(), Done::DeadlineExceeded);
}

#[test]
fn a_cancel_wakes_the_waiters() {
    let (parent, cancel) = Context::background().with_cancel();
    let child = parent.with_timeout(HOUR);
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
        let timed = Context::background().with_timeout(Duration::from_micros(20));
        let (ctx, cancel) = timed.with_cancel();
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
