//! What a call inherits: values, contexts, and cancellation.

use anyhow::Result;
use hourglass::{Cause, Context, Key, Outcome, TRACE, Trace};
use hourglass_tests::guests::function;
use hourglass_tests::{LONG, host, lines};
use http::Request;
use serde_json::Value;

use super::calls::{ask, ask_under, caller};

#[tokio::test]
async fn values_reach_the_callee_and_host_values_cannot_be_forged() -> Result<()> {
    const TENANT: Key<u32> = Key::new("tenant");
    const PLAN: Key<String> = Key::protected("plan");
    let runtime = host::runtime([caller(&["metadata"]), function("metadata", "metadata")]);
    let trace = Trace::root();
    let ctx = Context::background()
        .with_value(&TENANT, 7)
        .with_value(&PLAN, "free".to_owned())
        .with_value(&TRACE, trace);
    let shown = ask_under(&runtime, &ctx, "/caller/value/colour/red/metadata").await;
    let shown: Value = serde_json::from_str(shown.strip_prefix("200 ").unwrap())?;
    let values = shown["context"]["values"].as_array().unwrap();
    let value = |name: &str| {
        let found = values.iter().find(|value| value["name"] == name)?;
        Some(found["value"].as_str().unwrap().to_owned())
    };
    assert_eq!(value("function").as_deref(), Some("metadata"));
    assert_eq!(value("tenant").as_deref(), Some("7"));
    assert_eq!(value("plan").as_deref(), Some("free"));
    assert_eq!(value("colour").as_deref(), Some("red"));
    // Caller and callee are spans of the same trace.
    let step: Trace = value("traceparent").unwrap().parse()?;
    assert_eq!(step.trace_id(), trace.trace_id());
    assert_ne!(step.span_id(), trace.span_id());

    for name in ["principal", "request-id", "client-address", "function", "route.id", "plan"] {
        let request = Request::get(format!("/caller/forge/{name}")).body(())?;
        let error = runtime.invoke(&ctx, "caller", request).await.unwrap_err();
        let Outcome::Trap(trap) = error.outcome() else { panic!("{name}: {error}") };
        assert!(trap.stderr.contains(name), "{name}: {trap}");
    }
    assert_eq!(ask_under(&runtime, &ctx, "/caller/forge/mine").await, "forged");
    Ok(())
}

#[tokio::test]
async fn a_guest_derives_contexts() {
    let runtime = host::runtime([caller(&["sleeps"]), function("sleeps", "stuck").timeout(LONG)]);
    for (how, expected) in [
        ("derive/timeout", "deadline-exceeded deadline-exceeded\nnone\n"),
        ("derive/cancel/enough", "canceled custom: enough\nnone\n"),
        ("derive/cancel/operator", "canceled custom: operator\nnone\n"),
        ("derive/apart", "canceled\nnone\n"),
        ("derive/many/4000", "4000 held\n"),
        ("derive/again/20000", "20000 derived\n"),
        ("within/20/sleeps/sleep", "deadline-exceeded "),
    ] {
        let answer = ask(&runtime, &format!("/caller/{how}")).await;
        assert!(answer.starts_with(expected), "{how}: {answer}");
    }
    let request = Request::get("/caller/derive/many/5000").body(()).unwrap();
    let error = runtime.invoke(&Context::background(), "caller", request).await.unwrap_err();
    assert!(error.to_string().contains("4096 context handles at once"), "{error}");
    host::nothing_left(&runtime).await;
}

#[tokio::test]
async fn a_cancel_reaches_the_callee_with_its_cause() {
    let called = function("called", "stuck").timeout(LONG).grace(LONG);
    let runtime = host::runtime([caller(&["called"]).grace(LONG), called]);
    let (ctx, cancel) = Context::background().with_cancel();
    let asking = tokio::spawn({
        let runtime = runtime.clone();
        async move { ask_under(&runtime, &ctx, "/caller/call/called/print").await }
    });
    lines::told("called", "begun").await;
    cancel.cancel_with(Cause::Operator);
    lines::told("called", "cause: operator").await;
    assert!(asking.await.unwrap().starts_with("canceled "));
    host::nothing_left(&runtime).await;
}
