//! Tasks that wait in `done`.

use hourglass::{Cause, Context, Done};

use super::{LONG, SHORT, canceled};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_waiters_wake() {
    for timeout in [None, Some(LONG)] {
        let background = Context::background();
        let (context, cancel) = match timeout {
            Some(timeout) => background.with_timeout(timeout),
            None => background.with_cancel(),
        };
        let waiters: Vec<_> = (0..100)
            .map(|_| {
                let (child, guard) = context.with_cancel();
                tokio::spawn(async move {
                    let done = child.done().await;
                    drop(guard);
                    (done, child.cause())
                })
            })
            .collect();
        tokio::task::yield_now().await;
        cancel.cancel_with(Cause::Shutdown);
        for waiter in waiters {
            let end = waiter.await.unwrap();
            assert_eq!(end, (Done::Canceled, Some(Cause::Shutdown)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_woken_waiter_finds_all_descendants_done() {
    for _ in 0..200 {
        let (context, cancel) = Context::background().with_cancel();
        let below: Vec<_> = (0..50).map(|_| context.with_cancel()).collect();
        let canceling = tokio::spawn(async move { cancel.cancel() });
        context.done().await;
        assert!(below.iter().all(|(child, _)| canceled(child)));
        canceling.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_canceled_wait_loses_nothing() {
    let (context, cancel) = Context::background().with_timeout(LONG);
    for _ in 0..3 {
        let waited = tokio::time::timeout(SHORT, context.done()).await;
        assert!(waited.is_err());
    }
    cancel.cancel();
    assert_eq!(context.done().await, Done::Canceled);
    assert_eq!(context.done().await, Done::Canceled);
}
