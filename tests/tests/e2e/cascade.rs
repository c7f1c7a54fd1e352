//! Everything that an invocation started ends with it: for every cause and at any depth.

use std::time::Duration;

use anyhow::Result;
use hourglass::{Cause, Context, Function, InvokeError, Response, Runtime};
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::{LONG, input, lines};
use http::Request;
use tokio::task::JoinHandle;

const SHORT: Duration = Duration::from_millis(40);
const GRACE: Duration = Duration::from_millis(20);

/// A caller and its callee, with names that only this test uses.
fn family(test: &str) -> [Function; 2] {
    let (parent, child) = (format!("{test}-parent"), format!("{test}-child"));
    let patient = |function: Function| function.timeout(LONG).grace(LONG);
    [
        patient(function(&parent, "caller")).calls([child.clone(), parent.clone()]),
        patient(function(&child, "stuck")),
    ]
}

fn child(test: &str) -> String {
    format!("{test}-child")
}

/// Sends a path to the caller in a task.
fn start(
    runtime: &Runtime,
    ctx: &Context,
    test: &str,
    way: &str,
) -> JoinHandle<Result<Response, InvokeError>> {
    let (runtime, ctx, parent) = (runtime.clone(), ctx.clone(), format!("{test}-parent"));
    let path = format!("/{parent}/{way}");
    tokio::spawn(async move {
        let request = Request::get(path).body(()).unwrap();
        runtime.invoke(&ctx, &parent, request).await
    })
}

async fn text(answer: JoinHandle<Result<Response, InvokeError>>) -> String {
    let body = answer.await.unwrap().unwrap().into_body().bytes().await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn calls_left_running_end_when_the_caller_returns() {
    let test = "left";
    let runtime = host::runtime(family(test));
    let answer = start(&runtime, &Context::background(), test, "leave/left-child/print");
    assert_eq!(text(answer).await, "left");
    // The call may be canceled before it starts, and then it prints nothing.
    host::nothing_left(&runtime).await;
    assert_eq!(lines::count(&child(test), "cause: none"), 0);
}

#[tokio::test]
async fn a_callee_ends_with_its_caller() {
    let test = "told";
    let [parent, callee] = family(test);
    // A callee that still runs when its caller is interrupted.
    let runtime = host::runtime([parent.timeout(SHORT).grace(Duration::ZERO), callee]);
    let answer = start(&runtime, &Context::background(), test, "hold/told-child/3/print");
    let error = answer.await.unwrap().unwrap_err();
    assert_eq!(error.outcome().name(), "deadline-exceeded");
    host::nothing_left(&runtime).await;
    // The callees inherit the caller's deadline.
    let (begun, ended) = ("begun", "cause: deadline-exceeded");
    assert_eq!(lines::count(&child(test), begun), lines::count(&child(test), ended));
}

#[tokio::test]
async fn dropping_a_caller_ends_its_calls() -> Result<()> {
    let test = "gone";
    let [parent, callee] = family(test);
    let runtime = host::runtime([parent, callee]);
    let answer = start(&runtime, &Context::background(), test, "hold/gone-child/4/print");
    lines::told_times(&child(test), "begun", 4).await;
    let listed = host::listed(&runtime, 5).await;
    let root = listed.iter().find(|info| info.parent.is_none()).unwrap();
    assert_eq!(listed.iter().filter(|info| info.parent == Some(root.id)).count(), 4);
    answer.abort();
    assert!(answer.await.unwrap_err().is_cancelled());
    lines::told_times(&child(test), "cause: parent-done", 4).await;
    host::nothing_left(&runtime).await;
    Ok(())
}

#[tokio::test]
async fn dropping_a_call_cancels_it() {
    let test = "dropped";
    let runtime = host::runtime(family(test));
    let answer = start(&runtime, &Context::background(), test, "drop/dropped-child/print");
    assert_eq!(text(answer).await, "dropped");
    host::nothing_left(&runtime).await;
    assert_eq!(lines::count(&child(test), "cause: parent-done"), 0);
}

#[tokio::test]
async fn a_disconnect_ends_the_whole_tree() -> Result<()> {
    let test = "client";
    let host = Host::serve(family(test)).await?;
    let mut client = host.client().await?;
    let path = "/client-parent/call/client-parent/hold/client-child/5/print";
    client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
    lines::told_times(&child(test), "begun", 5).await;
    let listed = host::listed(&host.runtime, 7).await;
    assert!(listed.iter().all(|info| info.request_id == listed[0].request_id));
    drop(client);
    lines::told_times(&child(test), "cause: client-disconnected", 5).await;
    assert_eq!(host.runtime.shutdown(LONG).await, 0);
    assert_eq!(host.runtime.invocations().len(), 0);
    Ok(())
}

#[tokio::test]
async fn an_operator_cancels_one_subtree_and_no_other() -> Result<()> {
    let (test, other) = ("operator", "bystander");
    let runtime = host::runtime(family(test).into_iter().chain(family(other)));
    let background = Context::background();
    let above =
        start(&runtime, &background, test, "call/operator-parent/hold/operator-child/3/print");
    let beside = start(&runtime, &background, other, "call/bystander-child/print");
    lines::told_times(&child(test), "begun", 3).await;
    lines::told(&child(other), "begun").await;
    let listed = host::listed(&runtime, 7).await;
    let middle = listed
        .iter()
        .find(|info| &*info.function == "operator-parent" && info.parent.is_some())
        .unwrap();
    assert_eq!(listed.iter().filter(|info| info.parent == Some(middle.id)).count(), 3);
    assert!(listed.iter().all(|info| info.done.is_none() && info.remaining.is_some()));
    assert_eq!(runtime.cancel(middle.id), 4);
    lines::told_times(&child(test), "cause: operator", 3).await;
    // The caller gets it as a failure of the call.
    assert_eq!(text(above).await, "200 canceled\ncanceled\ncanceled\n");
    assert_eq!(runtime.cancel(middle.id), 0);
    assert_eq!(lines::count(&child(other), "cause: operator"), 0);
    let id = runtime.invocations().iter().find(|info| info.parent.is_none()).unwrap().id;
    assert_eq!(runtime.cancel(id), 2);
    assert!(text(beside).await.starts_with("canceled "));
    host::nothing_left(&runtime).await;
    Ok(())
}

#[tokio::test]
async fn a_shutdown_reaches_the_whole_tree() -> Result<()> {
    let test = "shutdown";
    let runtime = host::runtime(family(test));
    let ctx = runtime.context().clone();
    let answer = start(&runtime, &ctx, test, "hold/shutdown-child/2/print");
    lines::told_times(&child(test), "begun", 2).await;
    assert_eq!(runtime.shutdown(Duration::ZERO).await, 3);
    lines::told_times(&child(test), "cause: shutdown", 2).await;
    assert!(answer.await?.is_err() || lines::count(&child(test), "cause: shutdown") == 2);
    Ok(())
}

/// Without an executor to continue it, a detached call is canceled.
#[test]
fn detached_calls_end_without_an_executor() -> Result<()> {
    let test = "orphaned";
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let [parent, detached] = family(test);
    let runtime = host::runtime([parent.detach(LONG), detached]);
    let path = format!("/{test}-parent/detach/{}/print", child(test));
    let (ctx, name) = (Context::background(), format!("{test}-parent"));
    let callee = child(test);
    let (_feed, body) = input::fed();
    let mut running = Box::pin(runtime.invoke(&ctx, &name, Request::get(path).body(body)?));
    tokio.block_on(async {
        tokio::select! {
            _ = &mut running => panic!("it waits for its body"),
            () = lines::told(&callee, "begun") => {}
        }
    });
    drop(running);
    tokio.block_on(async {
        lines::told(&callee, "cause: parent-done").await;
        host::nothing_left(&runtime).await;
    });
    Ok(())
}

#[tokio::test]
async fn detached_calls_run_for_the_detach_period() {
    for (test, detach, cause) in [
        ("detached", LONG, None),
        // Long enough for the call to begin.
        ("briefly", Duration::from_secs(1), Some("cause: parent-done")),
        ("not-at-all", Duration::ZERO, None),
    ] {
        let [parent, callee] = family(test);
        let runtime = host::runtime([parent.detach(detach), callee]);
        let way = format!("detach/{}/print", child(test));
        let answer = start(&runtime, &Context::background(), test, &way);
        assert_eq!(text(answer).await, "detached");
        match (detach, cause) {
            (_, Some(cause)) => {
                lines::told(&child(test), cause).await;
            }
            (LONG, None) => {
                lines::told(&child(test), "begun").await;
                // It has no caller any more, but an operator or a shutdown can end it.
                let listed = host::listed(&runtime, 1).await;
                let [info] = &*listed else { panic!("{listed:?}") };
                assert!(info.parent.is_some());
                assert_eq!(runtime.cancel(info.id), 1);
                lines::told(&child(test), "cause: operator").await;
            }
            _ => {}
        }
        host::nothing_left(&runtime).await;
    }
}

#[tokio::test]
async fn a_function_may_outlive_its_client() -> Result<()> {
    for (name, detach, cause) in [
        ("goes-on", LONG, "cause: operator"),
        ("goes-on-briefly", SHORT, "cause: client-disconnected"),
    ] {
        let function = function(name, "stuck").timeout(LONG).grace(LONG).detach(detach);
        let host = Host::serve([function]).await?;
        let mut client = host.client().await?;
        client.send(format!("GET /{name}/print HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
        lines::told(name, "begun").await;
        drop(client);
        if detach == LONG {
            let listed = host::listed(&host.runtime, 1).await;
            assert!(listed[0].done.is_none());
            assert_eq!(host.runtime.cancel(listed[0].id), 1);
        }
        lines::told(name, cause).await;
        assert_eq!(host.runtime.shutdown(LONG).await, 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_of_hundreds_ends_as_a_whole() -> Result<()> {
    let test = "tree";
    let [parent, callee] = family(test);
    // Five callers below one root, each with thirty callees that only an interruption ends.
    let functions = [parent.grace(GRACE), callee.grace(GRACE)];
    let runtime = host::with(host::builder().max_in_flight(400), functions);
    for round in 1..=5 {
        let (ctx, cancel) = Context::background().with_cancel();
        let way = "hold/tree-parent/5/hold/tree-child/30/sleep-again";
        let answer = start(&runtime, &ctx, test, way);
        lines::told_times(&child(test), "begun", 150 * round).await;
        host::listed(&runtime, 156).await;
        cancel.cancel_with(Cause::Operator);
        // The root responds within its grace period, or is interrupted at the end of it.
        if let Err(error) = answer.await? {
            assert_eq!(error.outcome().cause(), Some(&Cause::Operator));
        }
        host::nothing_left(&runtime).await;
        assert_eq!(ctx.children(), 0);
    }
    Ok(())
}
