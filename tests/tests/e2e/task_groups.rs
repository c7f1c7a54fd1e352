//! Groups of invocations: bounded, ended together, and without a lost result.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use anyhow::Result;
use hourglass::{
    Cause, Context, GroupEnd, Outcome, Policy, Retry, Runtime, Task, TaskGroup, TaskResult,
};
use hourglass_tests::guests::function;
use hourglass_tests::process::{Holdings, delegated};
use hourglass_tests::{LONG, host, poll};
use http::Request;

/// A runtime with `hello`, and with functions that get stuck or fail in the way that a path names.
fn runtime() -> Runtime {
    let stuck = function("group-stuck", "stuck").timeout(LONG).grace(LONG);
    let spins = function("group-spins", "stuck").timeout(LONG).grace(Duration::from_millis(20));
    let fails = function("group-fails", "fail");
    host::runtime([function("group-hello", "hello"), stuck, spins, fails])
}

fn task(runtime: &Runtime, path: &str) -> Task {
    let name = path.split('/').nth(1).unwrap_or_default();
    Task::new(runtime, name, Request::get(path).body("").unwrap())
}

fn group() -> TaskGroup {
    TaskGroup::new(&Context::background()).parallelism(4)
}

/// Whether a submission has to wait for room.
async fn is_full(group: &TaskGroup, task: Task) -> bool {
    let mut submission = pin!(group.submit(task));
    poll_fn(|cx| Poll::Ready(submission.as_mut().poll(cx).is_pending())).await
}

fn cause(result: &TaskResult) -> Option<Cause> {
    result.result.as_ref().err()?.outcome().cause().cloned()
}

fn outcome(result: &TaskResult) -> &str {
    result.result.as_ref().map_or_else(|error| error.outcome().name(), |_| "response")
}

#[tokio::test]
async fn every_task_has_one_result_in_the_order_of_submission() -> Result<()> {
    let runtime = runtime();
    let group = group();
    for number in 0..500 {
        let request = Request::get(format!("/hello/no{number}")).body("")?;
        let task = Task::new(&runtime, "group-hello", request).label(format!("#{number}"));
        assert_eq!(group.submit(task).await?.number(), number);
    }
    let results = group.wait().await;
    assert_eq!(results.len(), 500);
    for (number, ended) in results.into_iter().enumerate() {
        assert_eq!(*ended.label, *format!("#{number}"));
        assert_eq!((ended.id.number(), ended.attempts), (number as u64, 1));
        let body = ended.result?.into_body().bytes().await.unwrap();
        let text = String::from_utf8_lossy(&body);
        assert!(text.starts_with(&format!("hello no{number},")), "{text}");
    }
    let refused = group.submit(task(&runtime, "/group-hello")).await.unwrap_err();
    assert_eq!(refused.0.function(), "group-hello");
    Ok(())
}

#[tokio::test]
async fn as_many_tasks_wait_as_may_run_and_further_submissions_wait_for_room() -> Result<()> {
    let runtime = runtime();
    let group = group();
    for _ in 0..8 {
        group.submit(task(&runtime, "/group-stuck/answer")).await?;
    }
    host::in_flight(&runtime, 4).await;
    assert!(is_full(&group, task(&runtime, "/group-hello")).await);
    assert_eq!(group.unfinished(), 8);

    // More room, and more workers for those that wait.
    group.set_parallelism(6);
    host::in_flight(&runtime, 6).await;
    group.submit(task(&runtime, "/group-hello")).await?;

    group.cancel_with(Cause::Operator);
    let results = group.wait().await;
    let attempts: Vec<_> = results.iter().map(|ended| ended.attempts).collect();
    assert_eq!(attempts, [1, 1, 1, 1, 1, 1, 0, 0, 0]);
    assert!(results.iter().skip(6).all(|ended| cause(ended) == Some(Cause::Operator)));
    host::nothing_left(&runtime).await;
    Ok(())
}

#[tokio::test]
async fn results_that_are_not_taken_hold_up_submissions() -> Result<()> {
    let runtime = runtime();
    let group = group().unread(2);
    let mut results = group.results();
    for _ in 0..2 {
        group.submit(task(&runtime, "/group-hello")).await?;
    }
    assert!(is_full(&group, task(&runtime, "/group-hello")).await);
    let (submitted, taken) =
        tokio::join!(group.submit(task(&runtime, "/group-hello")), results.next());
    assert_eq!(submitted?.number(), 2);
    assert!(taken.is_some());
    assert_eq!(group.wait().await.len(), 2);
    assert!(results.next().await.is_none());
    Ok(())
}

#[tokio::test]
async fn the_first_failure_ends_the_others() -> Result<()> {
    let runtime = runtime();
    let group = group().policy(Policy::FailFast);
    for _ in 0..3 {
        group.submit(task(&runtime, "/group-stuck/sleep")).await?;
    }
    host::in_flight(&runtime, 3).await;
    group.submit(task(&runtime, "/group-fails/7")).await?;
    let results = group.wait().await;
    let outcomes: Vec<_> = results.iter().map(outcome).collect();
    assert_eq!(outcomes, ["canceled", "canceled", "canceled", "exit"]);
    for ended in results.iter().take(3) {
        let Some(Cause::Custom(error)) = cause(ended) else { panic!("{ended:?}") };
        assert_eq!(error.downcast_ref(), Some(&GroupEnd::Failed));
    }
    assert!(group.submit(task(&runtime, "/group-hello")).await.is_err());
    Ok(())
}

#[tokio::test]
async fn enough_successes_end_the_others() -> Result<()> {
    let runtime = runtime();
    let group = group().policy(Policy::First(2));
    for path in ["/group-stuck/sleep", "/group-hello", "/group-fails/1"] {
        group.submit(task(&runtime, path)).await?;
    }
    // Only the first goes on, so that no success ends the one that fails.
    poll::until(|| match group.unfinished() {
        1 => Ok(()),
        unfinished => Err(unfinished),
    })
    .await;
    group.submit(task(&runtime, "/group-hello")).await?;
    let results = group.wait().await;
    let outcomes: Vec<_> = results.iter().map(outcome).collect();
    assert_eq!(outcomes, ["canceled", "response", "exit", "response"]);
    Ok(())
}

#[tokio::test]
async fn a_shutdown_says_how_each_task_ended() -> Result<()> {
    let runtime = runtime();
    let group = group();
    for path in [
        "/group-stuck/answer",
        "/group-spins/spin",
        "/group-stuck/sleep",
        "/group-stuck/check",
        "/group-hello",
    ] {
        group.submit(task(&runtime, path)).await?;
    }
    host::in_flight(&runtime, 4).await;
    let results = group.shutdown(Duration::from_millis(20)).await;
    let ends: Vec<_> = results.iter().map(|ended| (outcome(ended), ended.attempts)).collect();
    assert_eq!(
        ends,
        [("response", 1), ("canceled", 1), ("canceled", 1), ("canceled", 1), ("canceled", 0)]
    );
    assert!(results.iter().skip(1).all(|ended| cause(ended) == Some(Cause::Shutdown)));
    host::nothing_left(&runtime).await;
    Ok(())
}

#[tokio::test]
async fn tasks_that_have_not_begun_can_be_taken_back() -> Result<()> {
    let runtime = runtime();
    let group = group();
    for _ in 0..8 {
        group.submit(task(&runtime, "/group-stuck/answer")).await?;
    }
    host::in_flight(&runtime, 4).await;
    assert_eq!(group.withdraw().len(), 4);
    assert_eq!(group.unfinished(), 4);
    group.cancel_with(Cause::Operator);
    assert_eq!(group.wait().await.len(), 4);
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_has_the_number_of_its_attempt() -> Result<()> {
    let runtime = host::runtime([function("group-shows", "metadata")]);
    let group = group();
    let task = task(&runtime, "/group-shows").earlier_attempts(2);
    group.submit(task).await?;
    let ended = group.wait().await.pop().unwrap();
    assert_eq!((ended.earlier_attempts, ended.attempts), (2, 1));
    let body = ended.result?.into_body().bytes().await.unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&body)?;
    let headers = shown["request"]["headers"].to_string();
    assert!(headers.contains(r#""hourglass-attempt","value":"3""#), "{headers}");
    Ok(())
}

#[tokio::test]
async fn a_shutdown_waits_for_tasks_that_end_in_time() -> Result<()> {
    let runtime = runtime();
    let group = group();
    for _ in 0..8 {
        group.submit(task(&runtime, "/group-hello")).await?;
    }
    let results = group.shutdown(LONG).await;
    assert_eq!(results.iter().filter(|ended| !ended.is_failure()).count(), 8);
    Ok(())
}

#[tokio::test]
async fn failures_are_retried_unless_they_would_fail_again() -> Result<()> {
    let runtime = runtime();
    let group = group();
    let quick = Retry::times(2).backoff(Duration::from_millis(1), Duration::from_millis(2));
    for path in ["/group-hello", "/group-fails/7", "/missing", "/group-fails/status"] {
        group.submit(task(&runtime, path).retry(quick)).await?;
    }
    let results = group.wait().await;
    let ends: Vec<_> = results.iter().map(|ended| (outcome(ended), ended.attempts)).collect();
    assert_eq!(ends, [("response", 1), ("exit", 3), ("not-found", 1), ("response", 1)]);
    let failures: Vec<_> = results.iter().map(TaskResult::is_failure).collect();
    assert_eq!(failures, [false, true, true, true]);
    Ok(())
}

#[tokio::test]
async fn a_canceled_group_does_not_wait_for_the_next_attempt() -> Result<()> {
    let runtime = runtime();
    let group = group();
    let slow = Retry::times(1).backoff(LONG * 1_000, LONG * 1_000);
    group.submit(task(&runtime, "/group-fails/7").retry(slow)).await?;
    let results = group.shutdown(Duration::from_millis(20)).await;
    let ends: Vec<_> = results.iter().map(|ended| (outcome(ended), ended.attempts)).collect();
    assert_eq!(ends, [("exit", 1)]);
    Ok(())
}

#[tokio::test]
async fn a_task_has_its_own_timeout() -> Result<()> {
    let runtime = runtime();
    let group = group();
    let short = Duration::from_millis(20);
    group.submit(task(&runtime, "/group-stuck/sleep").timeout(short)).await?;
    let results = group.wait().await;
    assert_eq!(outcome(&results[0]), "deadline-exceeded");
    Ok(())
}

#[tokio::test]
async fn the_deadline_of_the_context_closes_the_group() -> Result<()> {
    let runtime = runtime();
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(50));
    let group = TaskGroup::new(&ctx).parallelism(1);
    let mut results = group.results();
    for _ in 0..2 {
        group.submit(task(&runtime, "/group-stuck/sleep")).await?;
    }
    // There is no room, and there will be none.
    assert!(group.submit(task(&runtime, "/group-hello")).await.is_err());
    let mut ends = Vec::new();
    while let Some(ended) = results.next().await {
        ends.push((outcome(&ended).to_owned(), ended.attempts));
    }
    let late = "deadline-exceeded".to_owned();
    assert_eq!(ends, [(late.clone(), 1), (late, 0)]);
    Ok(())
}

#[tokio::test]
async fn results_outlive_the_group_and_the_group_its_results() -> Result<()> {
    let runtime = runtime();
    let group = group();
    let mut results = group.results();
    for _ in 0..8 {
        group.submit(task(&runtime, "/group-hello")).await?;
    }
    drop(group);
    let mut taken = 0;
    while results.next().await.is_some() {
        taken += 1;
    }
    assert_eq!(taken, 8);

    let group = self::group();
    let results = group.results();
    for _ in 0..8 {
        group.submit(task(&runtime, "/group-hello")).await?;
    }
    drop(results);
    assert_eq!(group.wait().await.len(), 8);
    Ok(())
}

#[tokio::test]
async fn without_the_group_and_its_results_the_tasks_are_canceled() -> Result<()> {
    let runtime = runtime();
    let group = group();
    let results = group.results();
    for _ in 0..8 {
        group.submit(task(&runtime, "/group-stuck/sleep")).await?;
    }
    host::in_flight(&runtime, 4).await;
    drop(group);
    assert_eq!(runtime.in_flight(), 4);
    drop(results);
    host::nothing_left(&runtime).await;
    Ok(())
}

#[test]
fn tasks_whose_tokio_runtime_shuts_down_have_results() -> Result<()> {
    let tokio = tokio::runtime::Runtime::new()?;
    let (runtime, group) = tokio.block_on(async {
        let (runtime, group) = (runtime(), group());
        for _ in 0..8 {
            group.submit(task(&runtime, "/group-stuck/sleep")).await?;
        }
        host::in_flight(&runtime, 4).await;
        anyhow::Ok((runtime, group))
    })?;
    drop(tokio);
    let other = tokio::runtime::Runtime::new()?;
    let results = other.block_on(group.wait());
    assert_eq!(results.len(), 8);
    for ended in &results {
        let error = ended.result.as_ref().unwrap_err();
        assert!(matches!(error.outcome(), Outcome::Host(_)), "{error}");
    }
    other.block_on(host::nothing_left(&runtime));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_guests_sleep_at_once_on_a_stock_machine() -> Result<()> {
    const GUESTS: usize = 10_000;
    if delegated("task_groups::ten_thousand_guests_sleep_at_once_on_a_stock_machine") {
        return Ok(());
    }
    let stuck = function("group-sleepers", "stuck").timeout(LONG).grace(Duration::from_secs(60));
    let builder = host::cached(Runtime::builder().max_in_flight(GUESTS));
    let runtime = host::with(builder, [stuck]);
    let group = TaskGroup::new(&Context::background()).parallelism(GUESTS);
    for _ in 0..GUESTS {
        group.submit(task(&runtime, "/group-sleepers/sleep")).await?;
    }
    host::in_flight(&runtime, GUESTS).await;
    let mappings = Holdings::now().mappings;
    assert!(mappings <= runtime.capacity().max_map_count, "{mappings}");
    group.cancel_with(Cause::Operator);
    let results = group.wait().await;
    assert_eq!(results.len(), GUESTS);
    assert!(results.iter().all(|ended| cause(ended) == Some(Cause::Operator)));
    host::nothing_left(&runtime).await;
    Ok(())
}
