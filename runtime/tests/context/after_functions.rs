//! Guarantees of after-functions beyond Go's.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use hourglass::Context;
use tokio::sync::oneshot;

use super::{SHORT, expired};

#[tokio::test]
async fn dropping_the_handle_does_not_prevent_the_call() {
    let (context, cancel) = Context::background().with_cancel();
    let (raise, raised) = oneshot::channel();
    drop(context.after_func(move || raise.send(()).unwrap()));
    cancel.cancel();
    assert_eq!(raised.await, Ok(()));
}

#[test]
fn without_a_runtime_a_thread_calls_at_a_cancel_and_at_a_deadline() {
    let (send, received) = mpsc::channel();
    let raise = |name| {
        let send = send.clone();
        move || send.send((name, thread::current().id())).unwrap()
    };
    let (context, cancel) = Context::background().with_cancel();
    let _after = context.after_func(raise("cancel"));
    cancel.cancel();
    let (name, thread) = received.recv().unwrap();
    assert_eq!(name, "cancel");
    assert_ne!(thread, thread::current().id());

    let (context, _guard) = Context::background().with_timeout(SHORT);
    let _after = context.after_func(raise("deadline"));
    assert_eq!(received.recv().unwrap().0, "deadline");
    assert!(expired(&context));
}

#[tokio::test]
async fn the_background_never_calls() {
    let (raise, raised) = oneshot::channel::<()>();
    let after = Context::background().after_func(move || drop(raise));
    assert!(after.stop());
    assert!(raised.await.is_err());
}

#[test]
fn one_of_a_concurrent_stop_and_cancel_wins() {
    let calls = Arc::new(AtomicUsize::new(0));
    let mut stops = 0;
    let (mut ends, rounds) = (vec![], 200);
    for _ in 0..rounds {
        let (context, cancel) = Context::background().with_cancel();
        let (end, ended) = mpsc::channel::<()>();
        let after = context.after_func({
            let calls = calls.clone();
            move || {
                calls.fetch_add(1, SeqCst);
                drop(end);
            }
        });
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                cancel.cancel();
            });
            start.wait();
            stops += usize::from(after.stop());
        });
        ends.push(ended);
    }
    for ended in ends {
        // Returns once the function has run or was dropped.
        assert!(ended.recv().is_err());
    }
    assert_eq!(stops + calls.load(SeqCst), rounds);
}

#[tokio::test]
async fn a_panic_in_an_after_function_is_contained() {
    let (context, cancel) = Context::background().with_cancel();
    let (raise, raised) = oneshot::channel();
    let _first = context.after_func(|| panic!("on purpose"));
    let _second = context.after_func(move || raise.send(()).unwrap());
    cancel.cancel();
    assert_eq!(raised.await, Ok(()));
}
