//! Fetches, as a function's own tests see them.

use std::io::{Read, Write};
use std::time::Duration;

use crate::{
    Body, BodyError, Cancel, Context, Done, Error, FetchError, HeadTimeout, Request, Response,
    Result, StatusCode, join_all, select,
};

/// A limit that no test reaches, unless something is broken.
const HOUR: Duration = Duration::from_secs(3600);

fn get(url: &str) -> Request<()> {
    Request::get(url).body(()).expect("is valid")
}

/// Another host. Its bodies are written when they are read, so they arrive after their heads.
fn host() -> Context {
    Context::background().with_fetch(|ctx: &Context, request: Request| -> Result<Body> {
        let (ctx, path) = (ctx.clone(), request.uri().path().to_owned());
        if path == "/never" {
            return Err(ctx.done().into());
        }
        Ok(Body::stream(move |writer| {
            ctx.check()?;
            writer.write_all(path.as_bytes())?;
            if path == "/torn" { Err(Error::new("it is torn")) } else { Ok(()) }
        }))
    })
}

/// Derives a context, fetches under it and returns the response, as a handler does.
fn fetched(ctx: &Context, path: &str) -> Result<(Response, Cancel)> {
    let (ctx, cancel) = ctx.with_timeout(HOUR).with_cancel();
    Ok((ctx.fetch(get(&format!("http://a.example{path}")))?, cancel))
}

#[test]
fn a_body_arrives_after_its_handler_has_returned() -> Result<()> {
    let (mut response, _) = fetched(&host(), "/page")?;
    let mut text = String::new();
    response.body_mut().read_to_string(&mut text)?;
    assert_eq!(text, "/page");
    let pending = host().with_timeout(HOUR).start_fetch(get("http://a.example/later"));
    assert_eq!(pending.wait()?.body().text()?, "/later");
    Ok(())
}

#[test]
fn canceling_cuts_a_body_off() -> Result<()> {
    let (response, cancel) = fetched(&host(), "/page")?;
    cancel.cancel();
    let error = response.body().text().expect_err("the context is done");
    let BodyError::Upstream { error: FetchError::Done { done, .. }, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*done, Done::Canceled);
    assert_eq!(Error::from(error).status_code(), StatusCode::BAD_GATEWAY);
    Ok(())
}

#[test]
fn the_deadline_cuts_a_body_off() -> Result<()> {
    let ctx = host().with_timeout(Duration::from_secs(2));
    let (response, _) = fetched(&ctx, "/page")?;
    ctx.done();
    let mut text = String::new();
    let error = response.into_body().read_to_string(&mut text).expect_err("the context is done");
    assert_eq!(Error::from(error).status_code(), StatusCode::GATEWAY_TIMEOUT);
    Ok(())
}

#[test]
fn a_body_that_breaks_off_is_the_other_hosts_fault() -> Result<()> {
    let (response, _) = fetched(&host(), "/torn")?;
    let error = Error::from(response.body().json::<u32>().expect_err("it breaks off"));
    assert_eq!(error.status_code(), StatusCode::BAD_GATEWAY);
    assert_eq!(
        error.to_string(),
        "http://a.example/torn: the response's body broke off: it is torn"
    );
    Ok(())
}

#[test]
fn a_head_may_be_given_less_time_than_its_body() {
    let limited = |path, limit| {
        let request = Request::get(format!("http://a.example{path}"));
        request.extension(HeadTimeout(limit)).body(()).expect("is valid")
    };
    let ctx = host().with_timeout(HOUR);
    let soon = Duration::from_millis(1);
    let late = ctx.fetch(limited("/never", soon)).expect_err("there is no answer");
    assert!(matches!(&late, FetchError::HeadTimeout(text) if text.contains("1ms")), "{late}");
    assert_eq!(Error::from(late).status_code(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(ctx.err(), None);
    // A fetch that is late is the first of several to end.
    let mut pending = vec![
        ctx.start_fetch(get("http://a.example/never")),
        ctx.start_fetch(limited("/never", soon)),
    ];
    let (place, result) = select(&mut pending).expect("there are two");
    assert_eq!(
        (place, result.map(drop).map_err(|error| error.name().to_owned())),
        (1, Err("head-timeout".to_owned()))
    );
    // Fetches within their limit are answered, bodies included.
    let pending = ["/a", "/b"].map(|path| ctx.start_fetch(limited(path, HOUR)));
    let answers = join_all(pending.into());
    assert!(
        answers.into_iter().all(|answer| answer.is_ok_and(|answer| answer.body().text().is_ok()))
    );
    let (ctx, cancel) = ctx.with_cancel();
    cancel.cancel();
    let done = ctx.fetch(limited("/never", HOUR)).expect_err("the context is done");
    assert_eq!(done.name(), "canceled");
}
