//! How errors are answered.

use super::*;
use crate::Cause;

/// An error with a source, as libraries define them.
#[derive(Debug)]
struct Outer(Done);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the row was not read")
    }
}

impl StdError for Outer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

fn answer(error: &Error) -> Response {
    error.answer(&Context::background()).expect("the context is not done")
}

fn detail(answer: &Response) -> String {
    let problem: serde_json::Value = answer.body().json().expect("it is JSON");
    problem["detail"].as_str().expect("there is one").to_owned()
}

fn failed_call(done: Done) -> CallError {
    CallError::Done { function: "callee".to_owned(), done, cause: Cause::Shutdown }
}

#[test]
fn an_error_without_a_status_tells_the_client_nothing() {
    let answer = answer(&Error::new("the password is hunter2"));
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(detail(&answer), "the function failed");
}

#[test]
fn the_host_answers_an_incomplete_request_unless_the_error_has_a_status() {
    let function = "callee".to_owned();
    let of_call = CallError::Body { function, error: Box::new(BodyError::Incomplete) };
    let errors: [fn(CallError) -> Error; 3] = [
        |_| BodyError::Incomplete.into(),
        |_| std::io::Error::other(BodyError::Incomplete).into(),
        |of_call| of_call.into(),
    ];
    for make in errors {
        let error = make(of_call.clone());
        assert!(error.is_incomplete(), "{error:?}");
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
        let error = Error::status(StatusCode::CONFLICT, make(of_call.clone()));
        assert!(!error.is_incomplete(), "{error:?}");
        assert_eq!(error.status_code(), StatusCode::CONFLICT);
    }
}

#[test]
fn an_error_with_a_status_is_for_the_client_to_read() {
    let answer = answer(&Error::status(StatusCode::NOT_FOUND, "no such page"));
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let expected = "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\
                    \"detail\":\"no such page\"}\n";
    assert_eq!(answer.body().text().ok(), Some(expected));
}

#[test]
fn a_failed_call_is_somebody_elses_fault() {
    let statuses = [
        (CallError::Busy("secret".to_owned()), 503),
        (CallError::Draining("secret".to_owned()), 503),
        (failed_call(Done::DeadlineExceeded), 504),
        (failed_call(Done::Canceled), 502),
        (CallError::Trap("secret".to_owned()), 502),
    ];
    for (error, status) in statuses {
        let answer = answer(&error.into());
        assert_eq!(answer.status(), status);
        assert_eq!(detail(&answer), "the function failed");
    }
}

#[test]
fn a_callees_done_is_not_the_callers() {
    let error = Error::from(failed_call(Done::DeadlineExceeded));
    assert_eq!(error.done(), None);
}

#[test]
fn what_says_no_more_than_that_the_context_is_done_is_not_answered() {
    let (ctx, cancel) = Context::background().with_cancel();
    let (check, call) = (Error::from(Done::Canceled), Error::from(failed_call(Done::Canceled)));
    for error in [&check, &call] {
        assert!(error.answer(&ctx).is_ok(), "it speaks of a context that was derived");
    }
    cancel.cancel();
    for error in [&check, &call] {
        assert_eq!(error.answer(&ctx).err(), Some(Done::Canceled));
    }
    assert!(Error::new("something else").answer(&ctx).is_ok());
}

#[test]
fn done_is_found_among_the_sources() {
    assert_eq!(Error::from(Done::Canceled).done(), Some(Done::Canceled));
    let deep = Error::from(Outer(Done::DeadlineExceeded));
    assert_eq!(deep.done(), Some(Done::DeadlineExceeded));
    assert_eq!(Error::new("something else").done(), None);
    let read = std::io::Error::other(Done::Canceled);
    assert_eq!(Error::from(read).done(), Some(Done::Canceled));
}

#[test]
fn done_with_a_status_is_answered() {
    let error = Error::status(StatusCode::SERVICE_UNAVAILABLE, Done::Canceled);
    assert_eq!(error.done(), None);
}

#[test]
fn debug_shows_the_sources() {
    let text = format!("{:?}", Error::from(Outer(Done::Canceled)));
    assert_eq!(text, "the row was not read\n  because: context canceled");
}

#[test]
fn an_answer_names_the_function_and_the_request() {
    let ctx = Context::background().with_host_value(&keys::FUNCTION, "shop".to_owned());
    let ctx = ctx.with_host_value(&keys::REQUEST_ID, "r-\"1\"".to_owned());
    let problem = Problem::new(StatusCode::CONFLICT, "sold out").kind("https://a.example/sold-out");
    let error = Error::from(problem.title("Sold out").with("left", &0).with("shape", "round"));
    let answer = error.answer(&ctx).expect("the context is not done");
    let told: serde_json::Value = answer.body().json().expect("it is JSON");
    let expected = serde_json::json!({
        "type": "https://a.example/sold-out",
        "title": "Sold out",
        "status": 409,
        "detail": "sold out",
        "left": 0,
        "shape": "round",
        "function": "shop",
        "request_id": "r-\"1\"",
    });
    assert_eq!(told, expected);
    assert!(Error::new("x").problem(&ctx).response().headers().get("retry-after").is_none());
}

#[test]
fn the_outermost_of_the_sources_decides() {
    let inner = Error::status(StatusCode::NOT_FOUND, "no such page");
    assert_eq!(Error::new(inner).status_code(), StatusCode::NOT_FOUND);
    let outer = Error::status(StatusCode::GONE, Error::from(failed_call(Done::Canceled)));
    assert_eq!(outer.status_code(), StatusCode::GONE);
    assert!(outer.find::<CallError>().is_some());
    assert_eq!(format!("{outer:?}"), "`callee`: context canceled (cause: shutdown)");
}

#[cfg(feature = "anyhow")]
mod anyhow {
    use ::anyhow::{Context as _, Result, anyhow, bail};

    use super::*;
    use crate::{Body, IntoResponse, Request};

    /// A typical handler, in which every kind of failure has a meaning.
    fn handler(ctx: &Context, req: Request) -> Result<Response> {
        ctx.check()?;
        match req.uri().path() {
            "/bail" => bail!("secret"),
            "/context" => return Err(anyhow!(Done::Canceled).context("while it waited")),
            "/call" => Err(failed_call(Done::DeadlineExceeded)).context("no price")?,
            "/status" => Err(Error::status(StatusCode::NOT_FOUND, "no such page"))?,
            "/deep" => {
                let error = Error::status(StatusCode::NOT_FOUND, "no such page");
                Err(::anyhow::Error::from(error).context("while it looked"))?
            }
            "/problem" => Err(Problem::new(StatusCode::CONFLICT, "sold out"))?,
            _ => {}
        }
        let number: u32 = req.body().json()?;
        Ok(Response::new(number.to_string().into()))
    }

    fn error(path: &str, ctx: &Context) -> Error {
        let request = Request::get(path).body(Body::from("no number")).expect("is valid");
        handler(ctx, request).into_response().expect_err(path)
    }

    #[test]
    fn errors_of_anyhow_keep_their_meaning() {
        let (ctx, cancel) = Context::background().with_cancel();
        let answers =
            ["/bail", "/call", "/status", "/deep", "/problem", "/json", "/context"].map(|path| {
                let answer = error(path, &ctx).answer(&ctx).expect("the context is not done");
                (answer.status().as_u16(), detail(&answer))
            });
        let failed = "the function failed".to_owned();
        let page = (404, "no such page".to_owned());
        assert_eq!(
            answers[..5],
            [
                (500, failed.clone()),
                (504, failed),
                page.clone(),
                page,
                (409, "sold out".to_owned()),
            ]
        );
        assert_eq!(answers[5].0, 400);
        assert!(answers[5].1.starts_with("the body is not the expected JSON: "));
        assert_eq!(answers[6].0, 500);
        let waited = error("/context", &ctx);
        cancel.cancel();
        for error in [waited, error("/", &ctx)] {
            assert_eq!(error.answer(&ctx).err(), Some(Done::Canceled), "{error:?}");
        }
        let handler: fn(&Context, Request) -> std::result::Result<(), String> =
            |_, _| Err("no".into());
        let failed = handler(&ctx, Request::default()).into_response().expect_err("it fails");
        assert_eq!(failed.to_string(), "no");
    }

    #[test]
    fn the_causes_are_shown_once() {
        let shown = format!("{:?}", error("/deep", &Context::background()));
        assert_eq!(shown, "while it looked\n  because: no such page");
        let shown = format!("{:?}", error("/call", &Context::background()));
        assert!(shown.starts_with("no price\n  because: `callee`: "), "{shown}");
    }
}
