//! A reused instance is indistinguishable from a new one, and is reused only if the proof holds.
//!
//! The module under test, `keeps`, first looks for state of an earlier run, and exits if it finds
//! any.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use hourglass::{Body, Context, Function, IdleStats, InstancePolicy, InstanceReuse, InvokeError};
use hourglass::{Response, Runtime, Usage, mib};
use hourglass_tests::guests::function;
use hourglass_tests::input::{self, Feed};
use hourglass_tests::modules::keeps::{self, WAY, Way};
use hourglass_tests::modules::{self, lax};
use hourglass_tests::{LONG, host, lines, process};
use http::Request;

/// A function that responds with this status.
fn keeps(name: &str, status: u16) -> Function {
    let function = Function::from_bytes(name, keeps::module(status)).unwrap();
    function.memory(mib(1)).timeout(LONG).grace(Duration::ZERO)
}

/// Invokes it with an empty body.
async fn run(runtime: &Runtime, name: &str, way: Way) -> Result<Response, InvokeError> {
    let ctx = Context::background().with_value(&WAY, way.letter());
    runtime.invoke(&ctx, name, Request::new("")).await
}

/// Invokes it to a normal return, and returns the status.
async fn status(runtime: &Runtime, name: &str) -> u16 {
    answer(run(runtime, name, Way::Answer).await)
}

fn answer(ended: Result<Response, InvokeError>) -> u16 {
    ended.unwrap_or_else(|error| panic!("it found something: {error}")).status().as_u16()
}

/// Waits until a run reads its request body, which it does after its checks.
async fn asked<F>(running: &mut F, feed: &Feed)
where
    F: Future<Output = Result<Response, InvokeError>> + Unpin,
{
    tokio::select! {
        ended = running => panic!("{ended:?}"),
        () = feed.asked() => {}
    }
}

#[tokio::test]
async fn ten_thousand_sequential_runs_are_isolated() {
    let runtime = host::with(host::builder(), [keeps("many", 200)]);
    for number in 0..10_000 {
        match number % 100 {
            33 => assert_eq!(answer(run(&runtime, "many", Way::Pause).await), 200),
            66 => assert!(run(&runtime, "many", Way::Trap).await.is_err()),
            _ => assert_eq!(status(&runtime, "many").await, 200),
        }
    }
    // A few instances are reused many times.
    assert!((1..=4).contains(&runtime.idle_stats().instances), "{:?}", runtime.idle_stats());
    assert!(runtime.idle_stats().memory >= keeps::SIZE / 2);
}

#[tokio::test]
async fn idle_instances_count_more_than_their_memory() -> anyhow::Result<()> {
    const ENTRIES: u64 = 65_536;
    let head = modules::head(200, &[]);
    let mut module = modules::Module::with_memory(1);
    let respond = module.import(modules::CONTEXT, "respond", modules::takes(4));
    module.table(ENTRIES).bytes(0, &head).code(0, |code| {
        code.i32_const(0).i32_const(head.len() as i32).i32_const(0).i32_const(0);
        code.call(respond).drop();
    });
    let function = Function::from_bytes("table", module.finish())?;
    let runtime = host::with(host::builder(), [function]);
    assert_eq!(status(&runtime, "table").await, 200);
    let kept = runtime.idle_stats();
    assert!(kept.instances == 1 && kept.memory >= ENTRIES * 8, "{kept:?}");
    Ok(())
}

/// What ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Itself,
    Cancel,
    Deadline,
    Drop,
}

/// A way to end other than a normal return, and the expected outcome.
struct Case {
    way: Way,
    by: By,
    outcome: &'static str,
    /// The limits of the function.
    memory: u64,
    grace: Duration,
    body: &'static str,
}

impl Case {
    fn new(way: Way, by: By, outcome: &'static str) -> Self {
        Self { way, by, outcome, memory: keeps::SIZE, grace: Duration::ZERO, body: "" }
    }

    fn name(&self) -> String {
        format!("{:?}-{:?}-{}-{}", self.way, self.by, self.memory >> 16, self.body.len())
    }

    /// Runs once so that an instance is idle, ends its next run in this way, and runs again.
    async fn check(self) {
        let name = self.name();
        let function = keeps(&name, 200).memory(self.memory).grace(self.grace);
        let runtime = host::with(host::builder().max_in_flight(4), [function]);
        process::stay_on_this_core();
        for _ in 0..2 {
            assert_eq!(status(&runtime, &name).await, 200, "{name}");
            assert_eq!(runtime.idle_stats().instances, 1, "{name}");
            assert_eq!(self.end(&runtime, &name).await, self.outcome, "{name}");
            assert_eq!(runtime.idle_stats(), IdleStats::default(), "{name}");
        }
        assert_eq!(status(&runtime, &name).await, 200, "{name}");
        assert_eq!(runtime.idle_stats().instances, 1, "{name}");
    }

    /// Runs the case, and returns its outcome.
    async fn end(&self, runtime: &Runtime, name: &str) -> &'static str {
        let mut budget = Duration::from_millis(40);
        loop {
            let background = Context::background().with_value(&WAY, self.way.letter());
            let limit = if self.by == By::Deadline { budget } else { LONG };
            let (ctx, cancel) = background.with_timeout(limit);
            let dirty = lines::count(name, "dirty");
            let mut running = Box::pin(runtime.invoke(&ctx, name, Request::new(self.body)));
            if matches!(self.by, By::Cancel | By::Drop) {
                tokio::select! {
                    ended = &mut running => panic!("{name}: {ended:?}"),
                    () = lines::told_times(name, "dirty", dirty + 1) => {}
                }
            }
            match self.by {
                By::Drop => return "dropped",
                By::Cancel => cancel.cancel(),
                By::Itself | By::Deadline => {}
            }
            let outcome = match running.await {
                Ok(_) => "response",
                Err(error) => error.outcome().name(),
            };
            // On a busy machine the deadline may pass before the guest has printed.
            if self.by != By::Deadline || lines::count(name, "dirty") > dirty {
                return outcome;
            }
            budget *= 2;
        }
    }
}

#[tokio::test]
async fn an_instance_that_did_not_return_normally_is_not_reused() {
    let itself = |way, outcome| Case::new(way, By::Itself, outcome);
    let cases = [
        itself(Way::Trap, "trap"),
        itself(Way::Exit, "exit"),
        itself(Way::ExitZero, "response"),
        itself(Way::Malformed, "bad-response"),
        itself(Way::Silent, "bad-response"),
        Case::new(Way::Spin, By::Cancel, "canceled"),
        Case::new(Way::Wait, By::Cancel, "canceled"),
        Case::new(Way::Spin, By::Deadline, "deadline-exceeded"),
        Case::new(Way::Wait, By::Deadline, "deadline-exceeded"),
        Case::new(Way::Spin, By::Drop, "dropped"),
        Case::new(Way::Wait, By::Drop, "dropped"),
        // It responds within its grace period.
        Case { grace: LONG, ..Case::new(Way::Late, By::Cancel, "response") },
        Case { grace: LONG, ..Case::new(Way::Late, By::Deadline, "response") },
        // It does not read the request body.
        Case { body: "unread", ..itself(Way::Answer, "response") },
        // A growth of memory is refused, and one is granted.
        itself(Way::Grow, "response"),
        Case { memory: mib(1), ..itself(Way::Grow, "response") },
    ];
    for case in cases {
        case.check().await;
    }
}

#[tokio::test]
async fn an_instance_that_waited_and_returned_is_reused() {
    let runtime = host::with(host::builder(), [keeps("waits", 203)]);
    process::stay_on_this_core();
    for _ in 0..20 {
        assert_eq!(answer(run(&runtime, "waits", Way::Pause).await), 203);
        let (feed, body) = input::fed();
        let ctx = Context::background().with_value(&WAY, Way::Read.letter());
        let mut reading = Box::pin(runtime.invoke(&ctx, "waits", Request::new(body)));
        asked(&mut reading, &feed).await;
        feed.give("a piece of it");
        drop(feed);
        assert_eq!(answer(reading.await), 203);
        assert_eq!(runtime.idle_stats().instances, 1);
    }
}

#[tokio::test]
async fn a_module_that_changes_unresettable_state_is_never_reused() -> Result<()> {
    let runtime = host::builder().build()?;
    for (instruction, module) in lax::all() {
        let InstanceReuse::NewEachTime { reason } =
            runtime.deploy(Function::from_bytes("lax", module)?)?
        else {
            panic!("{instruction} was overlooked")
        };
        assert!(reason.contains(&format!("`{instruction}`")), "{reason}");
        for round in 0..100 {
            assert_eq!(status(&runtime, "lax").await, lax::FRESH, "{instruction}, {round}");
        }
        assert_eq!(runtime.idle_stats(), IdleStats::default());
    }
    Ok(())
}

#[tokio::test]
async fn a_new_version_reuses_no_old_instance() -> Result<()> {
    let runtime = host::with(host::builder(), [keeps("same", 201)]);
    assert_eq!(status(&runtime, "same").await, 201);
    assert_eq!(runtime.idle_stats().instances, 1);
    runtime.deploy(keeps("same", 202))?;
    host::nothing_kept(&runtime).await;
    assert_eq!(status(&runtime, "same").await, 202);

    // An invocation in flight during the deploy completes, and its instance is dropped.
    let (feed, body) = input::fed();
    let ctx = Context::background().with_value(&WAY, Way::Read.letter());
    let mut old = Box::pin(runtime.invoke(&ctx, "same", Request::new(body)));
    asked(&mut old, &feed).await;
    runtime.deploy(keeps("same", 203))?;
    assert_eq!(status(&runtime, "same").await, 203);
    drop(feed);
    assert_eq!(answer(old.await), 202);
    assert_eq!(status(&runtime, "same").await, 203);
    runtime.deploy(Function::from_bytes("same", lax::all()[0].1.clone())?)?;
    host::nothing_kept(&runtime).await;
    Ok(())
}

#[tokio::test]
async fn new_instances_can_be_requested() -> Result<()> {
    let runtime = host::builder().build()?;
    let fresh = runtime.deploy(keeps("new", 200).instances(InstancePolicy::NewEachTime))?;
    assert!(matches!(fresh, InstanceReuse::NewEachTime { .. }), "{fresh}");
    let none = host::with(host::builder().idle_memory(0), [keeps("new", 200)]);
    for runtime in [runtime, none] {
        for _ in 0..20 {
            assert_eq!(status(&runtime, "new").await, 200);
            assert_eq!(runtime.idle_stats(), IdleStats::default());
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_idle_pool_stays_within_its_budget() {
    let names: Vec<_> =
        (0..40_u16).map(|number| (format!("one-of-{number}"), 200 + number)).collect();
    let functions = names.iter().map(|(name, status)| keeps(name, *status));
    let runtime = host::with(host::builder().idle_memory(mib(1)), functions);
    let mut most = 0;
    for round in 0..6 {
        // Each runs twice, so that the second run reuses the instance if it was kept.
        for (name, expected) in names.iter().flat_map(|each| [each; 2]) {
            assert_eq!(status(&runtime, name).await, *expected, "{name}, {round}");
            let kept = runtime.idle_stats();
            assert!(kept.memory <= mib(1), "{kept:?}");
            most = most.max(kept.instances);
        }
    }
    assert!((1..40).contains(&most), "{most}");
}

/// Functions that several threads use at once.
fn shared() -> Runtime {
    host::with(host::builder(), [200, 201, 202].map(|status| keeps(&format!("f{status}"), status)))
}

/// Invokes them in turn, in ways that end with a response.
async fn use_all(runtime: &Runtime, times: usize) {
    let ways = [Way::Answer, Way::Pause, Way::Answer, Way::Read, Way::Answer];
    for (number, way) in (0..times).zip(ways.into_iter().cycle()) {
        let expected = 200 + number as u16 % 3;
        let ctx = Context::background().with_value(&WAY, way.letter());
        let body = if way == Way::Read { Body::from("a body") } else { Body::empty() };
        let ended = runtime.invoke(&ctx, &format!("f{expected}"), Request::new(body)).await;
        assert_eq!(answer(ended), expected, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_that_move_between_threads_are_isolated() -> Result<()> {
    let runtime = shared();
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let runtime = runtime.clone();
        tasks.push(tokio::spawn(async move { use_all(&runtime, 250).await }));
    }
    for task in tasks {
        task.await?;
    }
    let kept = runtime.idle_stats().instances;
    assert!((1..=64).contains(&kept), "{kept}");
    Ok(())
}

#[test]
fn threads_are_isolated() {
    let runtime = shared();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build();
                tokio.unwrap().block_on(use_all(&runtime, 500));
            });
        }
    });
    assert!((1..=64).contains(&runtime.idle_stats().instances));
}

#[tokio::test]
async fn a_reused_instance_reports_the_same_peak_memory() {
    let runtime = host::with(host::builder(), [keeps("peaks", 200)]);
    let peak = async |way| {
        let answer = run(&runtime, "peaks", way).await.unwrap();
        answer.extensions().get::<Usage>().unwrap().peak_memory
    };
    assert_eq!(peak(Way::Answer).await, keeps::SIZE);
    for _ in 0..5 {
        assert_eq!(peak(Way::Answer).await, keeps::SIZE);
        assert_eq!(peak(Way::Grow).await, keeps::SIZE + (1 << 16));
        assert_eq!(peak(Way::Answer).await, keeps::SIZE);
    }
}

#[tokio::test]
async fn compiled_guests_are_reset() -> Result<()> {
    let runtime = host::builder().build()?;
    for name in ["echo", "memory", "hello"] {
        assert_eq!(
            runtime.deploy(function(name, name).memory(mib(4)))?,
            InstanceReuse::ResetInPlace,
            "{name}"
        );
    }
    assert_eq!(runtime.check(&function("stuck", "stuck"))?, InstanceReuse::ResetInPlace);
    let ctx = Context::background();
    for round in 0..20 {
        let sent = "x".repeat(round * 1_000);
        let echoed = runtime.invoke(&ctx, "echo", Request::new(sent.clone())).await?;
        assert_eq!(echoed.into_body().bytes().await.unwrap(), sent);
        let searches = Request::get("/memory/search/123456789abcdef1").body(())?;
        let searched = runtime.invoke(&ctx, "memory", searches).await?.into_body();
        let expected = format!("searched {}: 0 left over", mib(4));
        assert_eq!(searched.bytes().await.unwrap(), expected, "{round}");
        let greeted = runtime.invoke(&ctx, "hello", Request::new("")).await?;
        assert_eq!(greeted.status(), 200);
    }
    assert!((1..10).contains(&runtime.idle_stats().instances), "{:?}", runtime.idle_stats());
    Ok(())
}
