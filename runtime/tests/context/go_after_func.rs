//! Go's tests of after-functions and of foreign contexts.

use std::sync::mpsc;
use std::time::Duration;

use hourglass::{AfterFunc, Context, Done};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{HOUR, LONG, expired};

/// A flag raised by an after-function: `Ok` once it has run, an error once
/// it never will.
fn flag(context: &Context) -> (AfterFunc, oneshot::Receiver<()>) {
    let (raise, raised) = oneshot::channel();
    let after = context.after_func(move || {
        // The test may have ended without checking.
        let _ = raise.send(());
    });
    (after, raised)
}

#[tokio::test]
async fn after_func_called_after_cancel() {
    let (context, cancel) = Context::background().with_cancel();
    let (after, mut raised) = flag(&context);
    tokio::task::yield_now().await;
    assert_eq!(raised.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    cancel.cancel();
    assert_eq!(raised.await, Ok(()));
    assert!(!after.stop());
}

#[tokio::test(start_paused = true)]
async fn after_func_called_after_timeout() {
    let (context, _guard) = Context::background().with_timeout(HOUR);
    let (after, raised) = flag(&context);
    assert_eq!(raised.await, Ok(()));
    assert!(!after.stop());
    assert!(expired(&context));
}

#[tokio::test]
async fn after_func_called_immediately() {
    let (context, cancel) = Context::background().with_cancel();
    cancel.cancel();
    let (after, raised) = flag(&context);
    assert_eq!(raised.await, Ok(()));
    assert!(!after.stop());

    let (context, _guard) = Context::background().with_timeout(Duration::ZERO);
    let (after, raised) = flag(&context);
    assert_eq!(raised.await, Ok(()));
    assert!(!after.stop());
}

#[tokio::test]
async fn after_func_not_called_after_stop() {
    for timeout in [None, Some(HOUR)] {
        let background = Context::background();
        let (context, cancel) = match timeout {
            Some(timeout) => background.with_timeout(timeout),
            None => background.with_cancel(),
        };
        let (after, raised) = flag(&context);
        assert!(after.stop());
        assert!(!after.stop());
        cancel.cancel();
        // The function was dropped, so it can never be called.
        assert!(raised.await.is_err());
    }
}

#[test]
fn after_func_called_asynchronously() {
    let (context, cancel) = Context::background().with_cancel();
    let (go, wait) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let _after = context.after_func(move || {
        wait.recv().unwrap();
        end.send(()).unwrap();
    });
    // It would never return if it waited.
    cancel.cancel();
    go.send(()).unwrap();
    ended.recv().unwrap();
}

/// Following a parent takes no task. Only a deadline that something waits for does.
#[tokio::test]
async fn custom_context_goroutines() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (parent, cancel) = Context::background().with_cancel();
    let (child, _guard) = parent.with_cancel();
    let (_grandchild, _guard) = child.with_timeout(LONG);
    let _after = child.after_func(|| ());
    assert_eq!(tasks(), before);

    let (timer, _guard) = parent.with_timeout(LONG);
    let after = timer.after_func(|| ());
    assert_eq!(tasks(), before + 1);
    after.stop();
    while tasks() > before {
        tokio::task::yield_now().await;
    }
    drop(cancel);
}

#[tokio::test]
async fn custom_context_after_func_cancel() {
    let (parent, cancel) = Context::background().with_cancel();
    let (child, _guard) = parent.with_cancel();
    cancel.cancel();
    assert_eq!(child.done().await, Done::Canceled);
}

#[tokio::test]
async fn custom_context_after_func_timeout() {
    let (parent, cancel) = Context::background().with_cancel();
    let (child, _guard) = parent.with_timeout(LONG);
    cancel.cancel();
    assert_eq!(child.done().await, Done::Canceled);
}

#[tokio::test]
async fn custom_context_after_func_after_func() {
    let (parent, cancel) = Context::background().with_cancel();
    let (_after, raised) = flag(&parent);
    cancel.cancel();
    assert_eq!(raised.await, Ok(()));
}

#[test]
fn custom_context_after_func_unregister_cancel() {
    let (parent, _guard) = Context::background().with_cancel();
    let ((_a, cancel_a), (_b, cancel_b)) = (parent.with_cancel(), parent.with_cancel());
    assert_eq!(parent.children(), 2);
    cancel_a.cancel();
    cancel_b.cancel();
    assert_eq!(parent.children(), 0);
}

#[test]
fn custom_context_after_func_unregister_timeout() {
    let (parent, _guard) = Context::background().with_cancel();
    let (_child, cancel) = parent.with_timeout(LONG);
    assert_eq!(parent.children(), 1);
    cancel.cancel();
    assert_eq!(parent.children(), 0);
}

#[test]
fn custom_context_after_func_unregister_after_func() {
    let (parent, _guard) = Context::background().with_cancel();
    let after = parent.after_func(|| ());
    assert_eq!(parent.children(), 1);
    after.stop();
    assert_eq!(parent.children(), 0);
}
