//! Groups of calls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::{Done, Result, StatusCode};

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).expect("is valid")
}

fn functions() -> Context {
    Context::background()
        .with_function("path", |_, req: Request| req.uri().to_string())
        .with_function("wait", |ctx: &Context, _| -> Result<()> { Err(ctx.done().into()) })
        .with_function("panic", |_, _| -> () { panic!("as it was told to") })
}

fn texts(responses: &[Response]) -> Vec<&str> {
    responses.iter().map(|response| response.body().text().expect("is text")).collect()
}

#[test]
fn responses_are_in_the_order_of_the_calls() {
    let ctx = functions();
    for limit in [0, 1, 2, 10] {
        let mut group = Group::new(&ctx).limit(limit);
        for path in ["/a", "/b", "/c", "/d"] {
            group.start("path", get(path));
        }
        let responses = group.wait().expect("all of them answer");
        assert_eq!(texts(&responses), ["/a", "/b", "/c", "/d"]);
    }
}

#[test]
fn a_group_without_calls_has_nothing_to_wait_for() {
    assert!(Group::new(&functions()).wait().expect("nothing failed").is_empty());
}

#[test]
fn the_first_failure_cancels_the_others_and_says_so() {
    let mut group = Group::new(&functions());
    let ctx = group.context().clone();
    for name in ["wait", "panic", "wait"] {
        group.start(name, get("/"));
    }
    let error = group.wait().expect_err("one of them panics");
    assert!(matches!(error, CallError::Trap(_)), "{error}");
    let cause = Cause::Custom("another call of the group failed: trap".to_owned());
    assert_eq!(ctx.cause(), Some(cause));
}

#[test]
fn what_was_canceled_has_ended_when_the_group_has_been_waited_for() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let ctx = functions().with_function("counted", |ctx: &Context, _| {
        RUNNING.fetch_add(1, Ordering::SeqCst);
        ctx.done();
        // Simulates the work of cleaning up.
        std::thread::yield_now();
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    });
    let mut group = Group::new(&ctx);
    for name in ["counted", "counted", "panic"] {
        group.start(name, get("/"));
    }
    assert!(group.wait().is_err());
    assert_eq!(RUNNING.load(Ordering::SeqCst), 0);
}

#[test]
fn a_call_after_a_failure_is_one_of_the_others() {
    let mut group = Group::new(&functions()).limit(1);
    for name in ["panic", "path", "path"] {
        group.start(name, get("/"));
    }
    let names: Vec<_> = group.wait_all().into_iter().map(|result| result.err()).collect();
    let names: Vec<_> = names.iter().flatten().map(CallError::name).collect();
    assert_eq!(names, ["trap", "canceled", "canceled"]);
}

#[test]
fn a_group_that_collects_all_lets_no_failure_end_another_call() {
    let mut group = Group::new(&functions()).limit(1).collect_all();
    for name in ["panic", "path", "nobody"] {
        group.start(name, get("/"));
    }
    let results = group.wait_all();
    let names = results.iter().map(|result| result.as_ref().map_err(CallError::name));
    let names: Vec<_> = names.map(|result| result.map(Response::status)).collect();
    assert_eq!(names, [Err("trap"), Ok(StatusCode::OK), Err("not-found")]);
}

#[test]
fn no_more_calls_run_at_once_than_the_limit_says() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let ctx = functions().with_function("counted", |_, _| {
        let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
        MOST.fetch_max(running, Ordering::SeqCst);
        std::thread::yield_now();
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    });
    let mut group = Group::new(&ctx).limit(2);
    for _ in 0..20 {
        group.start("counted", get("/"));
    }
    assert_eq!(group.wait().expect("all of them answer").len(), 20);
    assert!((1..=2).contains(&MOST.load(Ordering::SeqCst)));
}

#[test]
fn a_group_ends_with_the_context_that_it_was_made_with() {
    let ctx = functions().with_timeout(Duration::from_millis(1));
    let mut group = Group::new(&ctx);
    for _ in 0..3 {
        group.start("wait", get("/"));
    }
    let error = group.wait().expect_err("the context is done");
    assert!(matches!(error, CallError::Done { done: Done::DeadlineExceeded, .. }), "{error}");
}

#[test]
fn dropping_a_group_cancels_its_calls() {
    let mut group = Group::new(&functions());
    let ctx = group.context().clone();
    group.start("wait", get("/"));
    drop(group);
    assert_eq!(ctx.err(), Some(Done::Canceled));
}
