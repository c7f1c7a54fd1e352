//! Many invocations at once.

use std::time::{Duration, Instant};

use anyhow::Result;
use hourglass::{Body, Context, Done, Outcome};
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::{LONG, input};
use http::Request;
use tokio::task::JoinSet;

/// How an invocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Answer,
    Sleep,
    Spin,
}

impl End {
    fn of(number: usize) -> Self {
        match number {
            0..5 => Self::Spin,
            5..300 => Self::Sleep,
            _ => Self::Answer,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Answer => "/nothing",
            Self::Sleep => "/sleep",
            Self::Spin => "/spin",
        }
    }
}

/// All invocations first wait for their bodies, so that they are in flight at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_invocations_in_flight_all_end() -> Result<()> {
    const MANY: usize = 1_000;
    let stuck = function("one-of-many", "stuck").timeout(LONG).grace(Duration::from_millis(10));
    let runtime = host::with(host::builder().max_in_flight(MANY), [stuck]);
    let (ctx, cancel) = Context::background().with_cancel();
    let (mut running, mut feeds) = (JoinSet::new(), Vec::new());
    for number in 0..MANY {
        let (feed, body) = input::fed();
        let (runtime, ctx, end) = (runtime.clone(), ctx.clone(), End::of(number));
        let request = Request::get(end.path()).body(body)?;
        running.spawn(async move { (end, runtime.invoke(&ctx, "one-of-many", request).await) });
        feeds.push(feed);
    }
    for feed in &feeds {
        feed.asked().await;
    }
    assert_eq!(runtime.in_flight(), MANY);
    assert_eq!(ctx.children(), MANY);
    let error = runtime.invoke(&ctx, "one-of-many", Request::new("")).await.unwrap_err();
    assert!(matches!(error.outcome(), Outcome::Busy), "{error}");

    drop(feeds);
    let answers = (0..MANY).filter(|&number| End::of(number) == End::Answer).count();
    for _ in 0..answers {
        let (end, result) = running.join_next().await.unwrap()?;
        assert_eq!(end, End::Answer);
        assert_eq!(result?.status(), 200);
    }
    cancel.cancel();
    while let Some(ended) = running.join_next().await {
        let (end, result) = ended?;
        assert_ne!(end, End::Answer);
        let error = result.unwrap_err();
        assert!(matches!(error.outcome(), Outcome::Done(Done::Canceled, _)), "{error}");
    }
    assert_eq!((runtime.in_flight(), ctx.children()), (0, 0));
    Ok(())
}

/// Invocations that end by their deadlines alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_invocations_end_at_their_deadline() -> Result<()> {
    const MANY: usize = 1_000;
    let timeout = Duration::from_millis(300);
    let stuck = function("timed", "stuck").timeout(timeout).grace(Duration::ZERO);
    let runtime = host::with(host::builder().max_in_flight(MANY), [stuck]);
    let mut running = JoinSet::new();
    for number in 0..MANY {
        let (runtime, end) = (runtime.clone(), End::of(number));
        running.spawn(async move {
            let request = Request::get(end.path()).body(Body::empty()).unwrap();
            let started = Instant::now();
            let result = runtime.invoke(&Context::background(), "timed", request).await;
            (end, result, started.elapsed())
        });
    }
    while let Some(ended) = running.join_next().await {
        let (end, result, after) = ended?;
        match result {
            Ok(answer) => assert_eq!((end, answer.status().as_u16()), (End::Answer, 200)),
            Err(error) => {
                let done =
                    Outcome::Done(Done::DeadlineExceeded, hourglass::Cause::DeadlineExceeded);
                assert_eq!(error.outcome().name(), done.name(), "{end:?}");
                assert!(after >= timeout, "{end:?}: {after:?}");
            }
        }
        assert!(after < timeout + Duration::from_secs(30), "{end:?}: {after:?}");
    }
    assert_eq!(runtime.in_flight(), 0);
    Ok(())
}

/// Many connections, and many requests over each of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_get_their_own_answers() -> Result<()> {
    let host = Host::serve([function("echo", "echo").timeout(LONG)]).await?;
    let mut running = JoinSet::new();
    for connection in 0..64 {
        let mut client = host.client().await?;
        running.spawn(async move {
            for number in 0..20 {
                let body = format!("{connection}-{number}");
                let request = Request::post("/echo").header("x-id", &body).body(body.clone())?;
                let answer = client.request(&request).await?;
                assert_eq!(answer.status(), 200);
                assert_eq!(answer.headers()["x-id"], *body);
                assert_eq!(answer.into_body(), body.into_bytes());
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    assert_eq!(host.runtime.in_flight(), 0);
    Ok(())
}

/// All connections are on one thread, with more spinning and waiting guests than threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_thread_serves_all_connections_beside_stuck_guests() -> Result<()> {
    let stuck = function("stuck-beside", "stuck").timeout(LONG).grace(Duration::ZERO);
    let runtime = host::runtime([stuck, function("echo", "echo").timeout(LONG)]);
    let host = Host::start(runtime, |server| server.threads(1)).await?;
    let mut stuck = JoinSet::new();
    for path in ["/spin", "/spin", "/spin", "/sleep", "/sleep"] {
        let mut client = host.client().await?;
        let target = format!("/stuck-beside{path}");
        stuck.spawn(async move { client.get(&target).await });
    }
    host::in_flight(&host.runtime, 5).await;
    let mut client = host.client().await?;
    for number in 0..50 {
        let request = Request::post("/echo").body(number.to_string())?;
        assert_eq!(client.request(&request).await?.into_body(), number.to_string().into_bytes());
    }
    assert_eq!(host.runtime.in_flight(), 5);
    // The clients disconnect, and the guests end.
    let runtime = host.runtime.clone();
    stuck.shutdown().await;
    host::in_flight(&runtime, 0).await;
    Ok(())
}
