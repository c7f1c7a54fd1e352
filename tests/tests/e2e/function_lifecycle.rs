//! The lifecycle of a function: a removed or dropped function holds no resources, and a module is
//! loaded once.

use std::time::Duration;

use anyhow::Result;
use hourglass::{Cause, Context, Done, FinalUsage, Function, Outcome, Runtime, Usage, mib};
use hourglass_tests::guests::function;
use hourglass_tests::modules;
use hourglass_tests::process::{self, Holdings};
use hourglass_tests::{host, input};
use http::Request;

/// The number of functions that are deployed and removed.
const UPLOADS: u16 = 200;

/// How many mappings a process may gain: a few for each of the pool's 36 slots, but not three for
/// each function.
const SLACK: usize = 200;

/// A unique module with an initialized memory.
fn module(number: u16) -> Vec<u8> {
    modules::responding(&modules::head(200, &[("x-number", &number.to_string())]), 1, |_| ())
}

async fn run(runtime: &Runtime, name: &str) -> Result<u16> {
    let answer = runtime.invoke(&Context::background(), name, Request::new("")).await?;
    Ok(answer.headers()["x-number"].to_str()?.parse()?)
}

/// Checks that the process holds little more than before.
fn assert_given_back(before: Holdings, what: &str) {
    let after = Holdings::now();
    assert!(after.descriptors <= before.descriptors + 10, "{what}: {before:?} {after:?}");
    assert!(after.mappings <= before.mappings + SLACK, "{what}: {before:?} {after:?}");
    assert!(after.memory <= before.memory + mib(48), "{what}: {before:?} {after:?}");
}

#[test]
fn removed_functions_hold_nothing() -> Result<()> {
    if process::delegated("function_lifecycle::removed_functions_hold_nothing") {
        return Ok(());
    }
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let runtime = Runtime::builder().max_in_flight(16).build()?;
    // The first run initializes everything that is created on demand.
    runtime.deploy(Function::from_bytes("first", module(u16::MAX))?)?;
    tokio.block_on(run(&runtime, "first"))?;
    let before = Holdings::now();
    for number in 0..UPLOADS {
        let name = format!("upload-{number}");
        runtime.deploy(Function::from_bytes(&name, module(number))?)?;
        assert_eq!(tokio.block_on(run(&runtime, &name))?, number);
    }
    assert_eq!(runtime.functions().len(), 1 + usize::from(UPLOADS));
    let between = Holdings::now();
    assert!(between.descriptors >= before.descriptors + usize::from(UPLOADS), "{between:?}");
    for number in 0..UPLOADS {
        assert!(runtime.remove(&format!("upload-{number}")));
    }
    assert_given_back(before, "after removing all");
    assert_eq!(runtime.functions().len(), 1);
    assert_eq!(tokio.block_on(run(&runtime, "first"))?, u16::MAX);
    assert!(!runtime.remove("upload-1"));
    Ok(())
}

#[test]
fn an_upload_is_freed_with_its_last_handle() -> Result<()> {
    if process::delegated("function_lifecycle::an_upload_is_freed_with_its_last_handle") {
        return Ok(());
    }
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let runtime = Runtime::builder().max_in_flight(16).build()?;
    let upload = |number| -> Result<()> {
        let handle = runtime.prepare(Function::from_bytes("upload", module(number))?)?;
        let (clone, ctx) = (handle.clone(), Context::background());
        drop(handle);
        let answer = tokio.block_on(clone.invoke(&ctx, Request::new("")))?;
        assert_eq!(answer.headers()["x-number"], number.to_string().as_str());
        Ok(())
    };
    upload(u16::MAX)?;
    let before = Holdings::now();
    (0..UPLOADS).try_for_each(upload)?;
    assert_given_back(before, "after dropping all");
    assert!(runtime.functions().is_empty());
    Ok(())
}

#[test]
fn the_same_module_is_loaded_once() -> Result<()> {
    if process::delegated("function_lifecycle::the_same_module_is_loaded_once") {
        return Ok(());
    }
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let runtime = Runtime::builder().max_in_flight(16).build()?;
    runtime.deploy(Function::from_bytes("first", module(7))?)?;
    let before = Holdings::now();
    for number in 0..50 {
        runtime.deploy(Function::from_bytes(format!("again-{number}"), module(7))?)?;
    }
    let after = Holdings::now();
    assert!(after.descriptors <= before.descriptors + 1, "{before:?} {after:?}");
    assert!(after.mappings <= before.mappings + 20, "{before:?} {after:?}");
    // Each is an independent function, also after the first is removed.
    runtime.remove("first");
    assert_eq!(tokio.block_on(run(&runtime, "again-3"))?, 7);
    Ok(())
}

#[tokio::test]
async fn a_removed_function_finishes_its_invocations() -> Result<()> {
    let runtime = host::runtime([function("removed", "echo")]);
    let (feed, body) = input::fed();
    let asked = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.invoke(&Context::background(), "removed", Request::new(body)).await }
    });
    feed.asked().await;
    assert!(runtime.remove("removed"));
    let refused = runtime.invoke(&Context::background(), "removed", Request::new("")).await;
    assert!(matches!(refused.unwrap_err().outcome(), Outcome::NotFound));
    feed.give("to the end");
    drop(feed);
    assert_eq!(asked.await??.into_body().bytes().await.unwrap(), "to the end");
    host::nothing_kept(&runtime).await;
    Ok(())
}

#[tokio::test]
async fn the_usage_of_a_stream_is_available_at_its_end() -> Result<()> {
    let long = Duration::from_secs(600);
    let runtime = host::runtime([]);
    let stream = runtime.prepare(function("streams", "stream").timeout(long).grace(long))?;
    let ctx = Context::background();
    let ask = |path: &str| Request::get(path.to_owned()).body(());
    // Complete, dropped by the reader, and failed midway.
    let mut all = stream.invoke_streaming(&ctx, ask("/streams/pieces/3")?).await?;
    let usage = all.extensions_mut().remove::<FinalUsage>().unwrap();
    assert_eq!(all.into_body().bytes().await.unwrap(), "piece 0\npiece 1\npiece 2\n");
    let used = usage.get().await.unwrap();
    assert!(!used.wall.is_zero() && used.peak_memory > 0, "{used:?}");

    let left = stream.invoke_streaming(&ctx, ask("/streams/wait")?).await?;
    let usage = left.extensions().get::<FinalUsage>().unwrap().clone();
    drop(left);
    let used = tokio::time::timeout(long / 10, usage.get()).await.expect("it ends");
    assert!(!used.unwrap().wall.is_zero());

    let (feed, body) = input::fed();
    let request = Request::post("/streams/trap").body(body)?;
    let traps = stream.invoke_streaming(&ctx, request).await?;
    let usage = traps.extensions().get::<FinalUsage>().unwrap().clone();
    drop(feed);
    assert!(traps.into_body().bytes().await.is_err());
    assert!(usage.get().await.unwrap().peak_memory > 0);
    host::nothing_left(&runtime).await;

    // A whole response has both.
    let whole = runtime.prepare(function("whole", "hello"))?;
    let answer = whole.invoke_streaming(&ctx, Request::new("")).await?;
    let (usage, end) =
        (answer.extensions().get::<Usage>(), answer.extensions().get::<FinalUsage>().unwrap());
    assert_eq!(usage.copied(), end.get().await);
    Ok(())
}

#[test]
fn an_outcome_suggests_a_status() {
    let done = |done, cause| Outcome::Done(done, cause);
    for (outcome, status) in [
        (Outcome::Response, 200),
        (Outcome::NotFound, 404),
        (Outcome::Busy, 503),
        (Outcome::Exit(1), 500),
        (Outcome::BodyTooLarge { limit: 1 }, 413),
        (done(Done::DeadlineExceeded, Cause::DeadlineExceeded), 504),
        (done(Done::Canceled, Cause::ClientDisconnected), 499),
        (done(Done::Canceled, Cause::Operator), 503),
    ] {
        assert_eq!(outcome.status().as_u16(), status, "{outcome}");
    }
}
