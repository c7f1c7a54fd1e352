//! Every kind of stuck guest ends for every cause: on time, and never early.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hourglass::{Cause, Context, Done, Function, InvokeError, Outcome, Response, Runtime};
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::input::{self, Feed};
use hourglass_tests::{LONG, lines, modules};
use http::Request;

/// Too long to be the reason why something ended.
/// Short, but long enough to tell early from late.
const SHORT: Duration = Duration::from_millis(60);
const GRACE: Duration = Duration::from_millis(40);
/// How late the end may be on a busy machine.
const LATE: Duration = Duration::from_secs(10);

/// A kind of stuck guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stuck {
    /// Computes forever.
    Spin,
    /// Computes forever in its start function.
    SpinInStart,
    /// Sleeps in the SDK in a loop, and ignores its errors.
    SleepAgain,
    /// Waits until its context is done, and then computes forever.
    IgnoreDone,
    /// Sleeps in the standard library.
    ThreadSleep,
    /// Sleeps in the SDK, and returns its error.
    Sleep,
    /// Computes, and checks its context.
    Check,
    /// Waits for a request body that never comes.
    Input,
}

use Stuck::*;

const ALL: [Stuck; 8] =
    [Spin, SpinInStart, SleepAgain, IgnoreDone, ThreadSleep, Sleep, Check, Input];

impl Stuck {
    /// Whether only the interruption at the end of the grace period ends it.
    fn is_for_ever(self) -> bool {
        matches!(self, Spin | SpinInStart | SleepAgain | IgnoreDone)
    }

    fn path(self) -> &'static str {
        match self {
            Spin => "/spin",
            SleepAgain => "/sleep-again",
            IgnoreDone => "/ignore-done",
            ThreadSleep => "/thread-sleep",
            Sleep => "/sleep",
            Check => "/check",
            SpinInStart | Input => "/",
        }
    }

    /// The function, with a name that only this test uses.
    fn function(self, test: &str) -> Function {
        let name = self.name(test);
        match self {
            SpinInStart => Function::from_bytes(name, modules::spinning_in_start()).unwrap(),
            _ => function(&name, "stuck"),
        }
    }

    fn name(self, test: &str) -> String {
        format!("{test}-{self:?}")
    }
}

/// A stuck guest in its own runtime.
struct Case {
    stuck: Stuck,
    name: String,
    runtime: Runtime,
    /// Keeps the body open.
    feed: Feed,
}

impl Case {
    fn new(stuck: Stuck, test: &str, limits: impl FnOnce(Function) -> Function) -> Self {
        let runtime = host::runtime([limits(stuck.function(test))]);
        Self { stuck, name: stuck.name(test), runtime, feed: input::fed().0 }
    }

    /// The invocation, not yet polled.
    fn run(
        &mut self,
        ctx: &Context,
    ) -> impl Future<Output = Result<Response, InvokeError>> + Send + use<> {
        let (feed, body) = input::fed();
        let body = if self.stuck == Input { body } else { hourglass::Body::empty() };
        self.feed = feed;
        let request = Request::get(self.stuck.path()).body(body).unwrap();
        let (runtime, ctx, name) = (self.runtime.clone(), ctx.clone(), self.name.clone());
        async move { runtime.invoke(&ctx, &name, request).await }
    }

    /// Waits until the guest is stuck.
    async fn begun(&self) {
        match self.stuck {
            Input => self.feed.asked().await,
            _ => lines::told(&self.name, "begun").await,
        }
    }

    /// Checks when and how the invocation ended.
    fn check_end(&self, error: &InvokeError, done: Done, after: Duration, at_least: Duration) {
        let stuck = self.stuck;
        let Outcome::Done(found, _) = error.outcome() else { panic!("{stuck:?}: {error}") };
        assert_eq!(*found, done, "{stuck:?}");
        let earliest = if stuck.is_for_ever() { at_least + GRACE } else { at_least };
        assert!(after >= earliest, "{stuck:?}: {after:?} is early");
        assert!(after <= earliest + LATE, "{stuck:?}: {after:?} is late");
        assert_eq!(self.runtime.in_flight(), 0, "{stuck:?}");
    }
}

/// Runs all kinds of stuck guests at once.
async fn for_all<F>(test: impl Fn(Stuck) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut running = Vec::new();
    for stuck in ALL {
        running.push((stuck, tokio::spawn(test(stuck))));
    }
    for (stuck, running) in running {
        running.await?.with_context(|| format!("{stuck:?}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_functions_timeout_ends_every_kind() -> Result<()> {
    for_all(async |stuck| {
        let mut case = Case::new(stuck, "timeout", |function| function.timeout(SHORT).grace(GRACE));
        let started = Instant::now();
        let error = case.run(&Context::background()).await.unwrap_err();
        case.check_end(&error, Done::DeadlineExceeded, started.elapsed(), SHORT);
        assert_eq!(error.outcome().cause(), Some(&Cause::DeadlineExceeded));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_callers_deadline_ends_every_kind() -> Result<()> {
    for_all(async |stuck| {
        let mut case = Case::new(stuck, "caller", |function| function.timeout(LONG).grace(GRACE));
        let started = Instant::now();
        let (ctx, _cancel) = Context::background().with_deadline(started + SHORT);
        let error = case.run(&ctx).await.unwrap_err();
        case.check_end(&error, Done::DeadlineExceeded, started.elapsed(), SHORT);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_ends_every_kind_with_its_cause() -> Result<()> {
    for_all(async |stuck| {
        let mut case = Case::new(stuck, "cancel", |function| function.timeout(LONG).grace(GRACE));
        let (ctx, cancel) = Context::background().with_cancel();
        let running = tokio::spawn(case.run(&ctx));
        case.begun().await;
        let canceled = Instant::now();
        let cause = Cause::custom("enough of it");
        cancel.cancel_with(cause.clone());
        let error = running.await?.unwrap_err();
        case.check_end(&error, Done::Canceled, canceled.elapsed(), Duration::ZERO);
        assert_eq!(error.outcome().cause(), Some(&cause));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_future_ends_every_kind_at_once() -> Result<()> {
    for_all(async |stuck| {
        let mut case = Case::new(stuck, "drop", |function| function.timeout(LONG).grace(LONG));
        let (ctx, _cancel) = Context::background().with_cancel();
        let mut running = Box::pin(case.run(&ctx));
        tokio::select! {
            ended = &mut running => panic!("{stuck:?}: {ended:?}"),
            () = case.begun() => {}
        }
        assert_eq!((case.runtime.in_flight(), ctx.children()), (1, 1));
        drop(running);
        assert_eq!((case.runtime.in_flight(), ctx.children()), (0, 0));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_parent_ends_every_kind() -> Result<()> {
    for_all(async |stuck| {
        let mut case = Case::new(stuck, "parent", |function| function.timeout(LONG).grace(GRACE));
        let (parent, cancel) = Context::background().with_cancel();
        let (ctx, _guard) = parent.with_timeout(LONG);
        let running = tokio::spawn(case.run(&ctx));
        case.begun().await;
        let canceled = Instant::now();
        drop(cancel);
        let error = running.await?.unwrap_err();
        case.check_end(&error, Done::Canceled, canceled.elapsed(), Duration::ZERO);
        assert_eq!(error.outcome().cause(), Some(&Cause::Canceled));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_done_context_starts_nothing() -> Result<()> {
    let mut case = Case::new(Spin, "before", |function| function);
    let (ctx, cancel) = Context::background().with_cancel();
    cancel.cancel_with(Cause::Operator);
    let error = case.run(&ctx).await.unwrap_err();
    assert_eq!(error.outcome().cause(), Some(&Cause::Operator));
    assert_eq!(error.usage(), hourglass::Usage::default());
    let (ctx, _cancel) = Context::background().with_timeout(Duration::ZERO);
    let error = case.run(&ctx).await.unwrap_err();
    assert_eq!(error.outcome().cause(), Some(&Cause::DeadlineExceeded));
    assert_eq!(lines::count(&case.name, "begun"), 0);
    Ok(())
}

#[tokio::test]
async fn a_response_within_the_grace_period_is_delivered() -> Result<()> {
    let runtime = host::runtime([
        function("in-grace", "stuck").timeout(SHORT).grace(LONG),
        function("in-time", "stuck").timeout(LONG).grace(LONG),
    ]);
    let request = || Request::get("/answer").body(()).unwrap();
    let started = Instant::now();
    let answer = runtime.invoke(&Context::background(), "in-grace", request()).await?;
    assert!(started.elapsed() >= SHORT);
    assert_eq!(answer.into_body().bytes().await.unwrap(), "deadline-exceeded");

    let (ctx, cancel) = Context::background().with_cancel();
    let answering = runtime.invoke(&ctx, "in-time", request());
    let (answer, ()) = tokio::join!(answering, async {
        lines::told("in-time", "begun").await;
        cancel.cancel_with(Cause::limit_exceeded("patience: used up"));
    });
    assert_eq!(answer?.into_body().bytes().await.unwrap(), "limit-exceeded: patience: used up");
    Ok(())
}

#[tokio::test]
async fn a_function_that_checks_its_context_ends_before_the_grace_period() -> Result<()> {
    for stuck in [Sleep, Check, Input] {
        let mut case = Case::new(stuck, "polite", |function| function.timeout(SHORT).grace(LONG));
        let started = Instant::now();
        let error = case.run(&Context::background()).await.unwrap_err();
        case.check_end(&error, Done::DeadlineExceeded, started.elapsed(), SHORT);
    }
    Ok(())
}

#[tokio::test]
async fn without_grace_the_interruption_is_immediate() -> Result<()> {
    let mut case =
        Case::new(Spin, "no-grace", |function| function.timeout(SHORT).grace(Duration::ZERO));
    let started = Instant::now();
    let error = case.run(&Context::background()).await.unwrap_err();
    assert!(matches!(error.outcome(), Outcome::Done(Done::DeadlineExceeded, _)), "{error}");
    assert!((SHORT..SHORT + LATE).contains(&started.elapsed()));
    Ok(())
}

#[tokio::test]
async fn a_clients_budget_ends_a_function_over_http() -> Result<()> {
    let host = Host::serve([
        function("patient", "spin").timeout(LONG).grace(GRACE),
        function("impatient", "spin").timeout(SHORT).grace(GRACE),
    ])
    .await?;
    for (name, header, value) in [
        ("patient", "grpc-timeout", "60m"),
        ("patient", "x-envoy-expected-rq-timeout-ms", "60"),
        ("impatient", "grpc-timeout", "1H"),
    ] {
        let request = Request::get(format!("/{name}")).header(header, value).body("")?;
        let started = Instant::now();
        let answer = host.client().await?.request(&request).await?;
        assert_eq!(answer.status(), 504, "{name} {value}");
        let after = started.elapsed();
        assert!((SHORT + GRACE..SHORT + GRACE + LATE).contains(&after), "{name}: {after:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "current_thread")]
async fn others_are_served_beside_two_spinning_guests_on_one_thread() -> Result<()> {
    others_are_served_beside_two_spinning_guests("one-thread").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_served_beside_two_spinning_guests_on_two_threads() -> Result<()> {
    others_are_served_beside_two_spinning_guests("two-threads").await
}

async fn others_are_served_beside_two_spinning_guests(test: &str) -> Result<()> {
    let spin = Spin.function(test).timeout(LONG).grace(LONG);
    let host = Host::serve([spin, function("hello", "hello")]).await?;
    let name = Spin.name(test);
    let spinning: Vec<_> = (0..2)
        .map(|_| {
            let (runtime, name) = (host.runtime.clone(), name.clone());
            let request = Request::get(Spin.path()).body(()).unwrap();
            tokio::spawn(
                async move { runtime.invoke(&Context::background(), &name, request).await },
            )
        })
        .collect();
    lines::told_times(&name, "begun", 2).await;
    let mut client = host.client().await?;
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let started = Instant::now();
        assert_eq!(client.get("/hello").await?.status(), 200);
        slowest = slowest.max(started.elapsed());
    }
    assert!(slowest < LATE, "{slowest:?}");
    assert_eq!(host.runtime.in_flight(), 2);
    for spinning in spinning {
        spinning.abort();
        assert!(spinning.await.is_err_and(|error| error.is_cancelled()));
    }
    assert_eq!(host.runtime.in_flight(), 0);
    Ok(())
}
