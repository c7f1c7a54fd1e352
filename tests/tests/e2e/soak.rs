//! After very many invocations, the process holds as much as before.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use anyhow::Result;
use hourglass::{Cause, Context, Outcome, Runtime, mib};
use hourglass_tests::guests::function;
use hourglass_tests::host;
use hourglass_tests::process::{self, Holdings};
use http::Request;

/// Invocations before the first measurement, so that every slot and allocator has been in use.
const WARM_UP: usize = 10_000;
const SOAK: usize = 100_000;
/// Concurrent invocations.
const WORKERS: usize = 32;

/// How an invocation ends.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    CanceledBefore,
    Canceled,
    Dropped,
    /// Canceled while it spins, which takes a tick.
    Interrupted,
}

/// A deterministic random number generator (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// Half of the invocations return a response.
    fn fate(&mut self) -> Fate {
        match self.roll(200) {
            0..100 => Fate::Answered,
            100..130 => Fate::CanceledBefore,
            130..164 => Fate::Canceled,
            164..198 => Fate::Dropped,
            _ => Fate::Interrupted,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_invocations_leave_nothing() -> Result<()> {
    if process::delegated("soak::a_hundred_thousand_invocations_leave_nothing") {
        return Ok(());
    }
    // Without recording guest output, which would grow.
    let builder = host::cached(Runtime::builder().max_in_flight(WORKERS));
    let runtime = host::with(
        builder,
        [
            function("hello", "hello"),
            function("waits", "stuck").timeout(Duration::from_secs(600)).grace(Duration::ZERO),
        ],
    );
    let (parent, _cancel) = Context::background().with_cancel();
    invoke_many(&runtime, &parent, WARM_UP, 1).await;
    let before = Holdings::now();
    invoke_many(&runtime, &parent, SOAK, 2).await;
    let after = Holdings::now();
    println!("before: {before:?}\nafter:  {after:?}");
    assert_eq!(runtime.in_flight(), 0);
    assert_eq!((parent.children(), runtime.context().children()), (0, 0));
    assert_eq!(after.threads, before.threads);
    assert_eq!(after.descriptors, before.descriptors);
    assert!(after.mappings <= before.mappings + 64, "{before:?} {after:?}");
    assert!(after.memory <= before.memory + mib(8), "{before:?} {after:?}");
    Ok(())
}

async fn invoke_many(runtime: &Runtime, parent: &Context, count: usize, seed: u64) {
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (runtime, parent) = (runtime.clone(), parent.clone());
            let mut dice = Dice((seed << 32) + worker as u64 + 1);
            tokio::spawn(async move {
                for _ in 0..count / WORKERS {
                    invoke_one(&runtime, &parent, &mut dice).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

async fn invoke_one(runtime: &Runtime, parent: &Context, dice: &mut Dice) {
    let (ctx, cancel) = parent.with_cancel();
    let fate = dice.fate();
    let (name, path) = match fate {
        Fate::Answered => ("hello", "/hello/soak"),
        Fate::Interrupted => ("waits", "/spin"),
        _ => ("waits", "/sleep"),
    };
    let moment = dice.roll(4);
    let request = Request::get(path).body(()).unwrap();
    // An invocation that is not canceled uses the shared parent, and must detach from it.
    let ctx = if matches!(fate, Fate::Answered | Fate::Dropped) { parent } else { &ctx };
    let mut running = pin!(runtime.invoke(ctx, name, request));
    match fate {
        Fate::Answered => assert_eq!(running.await.unwrap().status(), 200),
        Fate::Dropped => poll_times(running.as_mut(), moment).await,
        Fate::CanceledBefore | Fate::Canceled | Fate::Interrupted => {
            if !matches!(fate, Fate::CanceledBefore) {
                poll_times(running.as_mut(), moment).await;
            }
            cancel.cancel_with(Cause::Operator);
            let error = running.await.unwrap_err();
            assert!(
                matches!(error.outcome(), Outcome::Done(_, Cause::Operator)),
                "{fate:?}: {error}"
            );
        }
    }
}

/// Polls a pending future `times` times, and yields in between.
async fn poll_times<F: Future>(mut future: std::pin::Pin<&mut F>, times: u64) {
    for _ in 0..times {
        std::future::poll_fn(|cx| {
            assert!(future.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
}
