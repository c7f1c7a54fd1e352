//! Calls, as a function's own tests see them.

use std::io::Write;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::{
    Body, BodyError, CallError, Cause, Context, Done, Error, Group, Key, Pending, Request,
    Response, Result, StatusCode, join_all, keys, select,
};

/// A limit that no test reaches, unless something is broken.
const HOUR: Duration = Duration::from_secs(3600);

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).expect("is valid")
}

/// Functions: one that responds, and some that do not.
fn functions() -> Context {
    Context::background()
        .with_function("echo", |_, req: Request| req.into_body())
        .with_function("path", |_, req: Request| req.uri().to_string())
        .with_function("wait", |ctx: &Context, _| -> Result<()> { Err(ctx.done().into()) })
        .with_function("panic", |_, _| -> () { panic!("the moon is full") })
        .with_function("fail", |_, _| -> Result<()> { Err(Error::new("secret")) })
}

fn text(result: Result<Response, CallError>) -> String {
    match result {
        Ok(response) => response.body().text().expect("is text").to_owned(),
        Err(error) => error.name().to_owned(),
    }
}

#[test]
fn a_call_is_answered_by_the_handler_of_that_name() {
    let ctx = functions();
    let request = Request::post("/").body("some text").expect("is valid");
    assert_eq!(text(ctx.call("echo", request)), "some text");
    let child = ctx.with_timeout(HOUR);
    let nearer = child.without_cancel().with_function("echo", |_, _| "another");
    assert_eq!(text(nearer.call("echo", get("/"))), "another");
    assert_eq!(text(nearer.call("path", get("/"))), "/");
}

#[test]
fn a_callee_sees_the_origin_form() {
    assert_eq!(text(functions().call("path", get("http://example.com/a?b=c"))), "/a?b=c");
    assert_eq!(text(functions().call("path", get("example.com"))), "/");
}

#[test]
fn an_unregistered_name_is_not_found() {
    let error = functions().call("nobody", get("/")).expect_err("there is none");
    assert!(matches!(error, CallError::NotFound(_)));
    assert!(error.to_string().starts_with("`nobody`: "), "{error}");
}

#[test]
fn a_panic_is_a_trap() {
    let error = functions().call("panic", get("/")).expect_err("it panics");
    assert_eq!(error, CallError::Trap("`panic`: the moon is full".to_owned()));
}

#[test]
fn an_error_is_answered_as_a_client_would_be() {
    let response = functions().call("fail", get("/")).expect("an error is answered");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.body().text().expect("is text").contains("the function failed"));
}

#[test]
fn a_callee_runs_under_a_child_of_the_callers_context() {
    const TENANT: Key<u32> = Key::new("tenant");
    let ctx = Context::background().with_timeout(HOUR);
    let ctx = ctx.with_host_value(&keys::FUNCTION, "caller".to_owned()).with_value(&TENANT, 7);
    let ctx = ctx.with_function("callee", |ctx: &Context, _: Request| {
        let left = ctx.remaining().is_some_and(|left| left <= HOUR);
        format!("{:?} {:?} {left}", ctx.value(&keys::FUNCTION), ctx.value(&TENANT))
    });
    assert_eq!(text(ctx.call("callee", get("/"))), "Some(\"callee\") Some(7) true");
}

#[test]
fn a_call_under_a_done_context_is_done_with_its_cause() {
    let (ctx, cancel) = functions().with_cancel();
    cancel.cancel_with(Cause::Shutdown);
    let error = ctx.call("echo", get("/")).expect_err("the context is done");
    let expected =
        CallError::Done { function: "echo".into(), done: Done::Canceled, cause: Cause::Shutdown };
    assert_eq!(error, expected);
}

#[test]
fn waiting_ends_with_the_context_that_the_call_was_started_under() {
    let (end, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    // It does not check its context, and ends when the test does.
    let ctx = Context::background().with_function("deaf", move |_, _| {
        let _ = wait.lock().map(|wait| wait.recv());
    });
    let child = ctx.with_timeout(Duration::from_millis(1));
    assert_eq!(text(child.call("deaf", get("/"))), "deadline-exceeded");
    let (child, cancel) = ctx.with_cancel();
    let pending = child.start("deaf", get("/"));
    cancel.cancel_with(Cause::Operator);
    let error = pending.wait().expect_err("the context is done");
    assert!(matches!(error, CallError::Done { cause: Cause::Operator, .. }), "{error}");
    drop(end);
}

#[test]
fn a_callee_that_ran_out_of_a_time_of_its_own_has_failed() {
    let ctx = Context::background().with_function("hasty", |ctx: &Context, _| -> Result<()> {
        let child = ctx.with_timeout(Duration::ZERO);
        Ok(child.check()?)
    });
    // The context that it was called under is not done, so the callee failed, and that is answered.
    let response = ctx.call("hasty", get("/")).expect("an error is answered");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

/// A function that reports when it begins, and then the cause of its end.
fn telling() -> (Context, mpsc::Receiver<Option<Cause>>) {
    let (tell, told) = mpsc::channel();
    let ctx = Context::background().with_function("telling", move |ctx: &Context, _| {
        let _ = tell.send(None);
        ctx.done();
        let _ = tell.send(ctx.cause());
    });
    (ctx, told)
}

#[test]
fn dropping_a_call_that_is_pending_cancels_it() {
    let (ctx, told) = telling();
    let pending = ctx.start("telling", get("/"));
    assert_eq!(told.recv(), Ok(None));
    drop(pending);
    assert_eq!(told.recv(), Ok(Some(Cause::Canceled)));
}

#[test]
fn a_detached_call_goes_on_until_its_context_is_done() {
    let (ctx, told) = telling();
    let (child, cancel) = ctx.with_cancel();
    let (apart, cancel_apart) = child.without_cancel().with_cancel();
    apart.start("telling", get("/")).detach();
    assert_eq!(told.recv(), Ok(None));
    cancel.cancel();
    cancel_apart.cancel_with(Cause::Operator);
    assert_eq!(told.recv(), Ok(Some(Cause::Operator)));
}

#[test]
fn a_detached_call_keeps_its_context() {
    let (ctx, told) = telling();
    ctx.without_cancel().with_timeout(HOUR).start("telling", get("/")).detach();
    assert_eq!(told.recv(), Ok(None));
    // It continues: nothing has canceled it.
    assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Empty));
    // With a deadline, it ends.
    let (ctx, told) = telling();
    ctx.with_timeout(Duration::from_secs(1)).start("telling", get("/")).detach();
    assert_eq!(told.recv(), Ok(None));
    assert_eq!(told.recv(), Ok(Some(Cause::DeadlineExceeded)));
}

#[test]
fn a_callees_streamed_response_is_complete() {
    let ctx = Context::background().with_function("streams", |ctx: &Context, _| {
        let ctx = ctx.clone();
        Body::stream(move |writer| {
            ctx.check()?;
            Ok(writer.write_all(b"all of it")?)
        })
    });
    assert_eq!(text(ctx.with_timeout(HOUR).call("streams", get("/"))), "all of it");
}

#[test]
fn a_callee_whose_response_breaks_off_has_failed() {
    let ctx = Context::background()
        .with_function("torn", |_, _| Body::stream(|_| Err(Error::new("it is torn"))));
    let error = ctx.call("torn", get("/")).expect_err("the response is incomplete");
    assert!(matches!(error, CallError::Exit(_)), "{error}");
    assert!(error.to_string().ends_with("it is torn"), "{error}");
}

#[test]
fn a_call_fails_if_its_requests_body_cannot_be_read() {
    let torn = |error: fn() -> Error| Request::post("/").body(Body::stream(move |_| Err(error())));
    let ctx = functions();
    let request = torn(|| Error::new("it is torn")).expect("is valid");
    let error = ctx.call("echo", request).expect_err("the body is torn");
    let CallError::Body { function, error: body } = &error else { panic!("{error}") };
    assert_eq!((&**function, &**body), ("echo", &BodyError::Written("it is torn".to_owned())));
    assert_eq!(error.name(), "request-body");
    assert_eq!(Error::from(error).status_code(), StatusCode::INTERNAL_SERVER_ERROR);
    let request = torn(|| Done::Canceled.into()).expect("is valid");
    let error = ctx.call("echo", request).expect_err("the writer gave up");
    assert!(matches!(error, CallError::Done { done: Done::Canceled, .. }), "{error}");
}

#[test]
fn select_gives_the_first_that_ends() {
    let ctx = functions();
    let mut pending: Vec<Pending> =
        ["wait", "path", "wait"].map(|name| ctx.start(name, get("/"))).into();
    let (place, result) = select(&mut pending).expect("there are three");
    assert_eq!((place, text(result)), (1, "/".to_owned()));
    assert_eq!(pending.len(), 2);
    assert!(pending.iter().all(|call| call.function() == "wait"));
}

#[test]
fn select_gives_what_failed_at_once() {
    let ctx = functions();
    let mut pending: Vec<Pending> = ["wait", "nobody"].map(|name| ctx.start(name, get("/"))).into();
    let (place, result) = select(&mut pending).expect("there are two");
    assert_eq!((place, text(result)), (1, "not-found".to_owned()));
}

#[test]
fn select_ends_for_all_when_the_context_is_done() {
    let ctx = functions().with_timeout(Duration::from_millis(1));
    let mut pending: Vec<Pending> = ["wait"; 3].map(|name| ctx.start(name, get("/"))).into();
    for _ in 0..3 {
        let (place, result) = select(&mut pending).expect("there are more");
        assert!(place <= pending.len());
        assert_eq!(text(result), "deadline-exceeded");
    }
    assert!(select(&mut pending).is_none());
}

#[test]
fn join_all_keeps_the_order_of_the_calls() {
    let ctx = functions();
    let paths = ["/a", "/b", "/c"];
    let pending = paths.map(|path| ctx.start("path", get(path))).into();
    let texts: Vec<_> = join_all(pending).into_iter().map(text).collect();
    assert_eq!(texts, paths);
}

#[test]
fn whatever_a_call_is_made_with_can_be_handed_to_a_thread() {
    fn can_be<T: Send + Sync>() {}
    can_be::<Context>();
    can_be::<Pending>();
    can_be::<Group>();
    can_be::<CallError>();
}

#[test]
fn a_function_may_call_itself() {
    let ctx =
        Context::background().with_function("down", |ctx: &Context, req: Request| {
            match req.uri().path().strip_prefix("/x") {
                Some(rest) => text(ctx.call("down", get(&format!("/{rest}")))),
                None => "the ground".to_owned(),
            }
        });
    assert_eq!(text(ctx.call("down", get("/xxxx"))), "the ground");
}
