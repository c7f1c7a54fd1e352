//! Passes the Markdown in the request's body through three other functions under one deadline, and
//! shows the time left at each.
//!
//! ```text
//! $ curl http://127.0.0.1:8080/pipeline -H 'grpc-timeout: 500m' \
//!       --data-binary @examples/markdown/deadlines.md
//! markdown begins with 499.7ms
//! word-count begins with 498.1ms
//! summary begins with 497.4ms
//! 289 words, in short: Every invocation ends on time A request that nobody waits for ...
//! ```
//!
//! The stages are the examples `markdown`, `word-count` and `summary`. The host has to allow the
//! calls: see `examples/hourglass.toml`. A stage that takes too long ends the whole pipeline.

use hourglass_sdk::{Body, Context, Error, Request, Response, Result, StatusCode, serve};

fn main() {
    serve(pipeline)
}

fn pipeline(ctx: &Context, req: Request) -> Result<String> {
    let mut log = String::new();
    let page = stage(ctx, &mut log, "markdown", "/markdown", req.into_body())?;
    let text = stage(ctx, &mut log, "word-count", "/word-count", page.into_body())?;
    let words: u32 = match text.headers().get("x-words") {
        Some(words) => words.to_str()?.parse()?,
        None => return Err(Error::status(StatusCode::BAD_GATEWAY, "nobody counted the words")),
    };
    // The summary has a fifth of the words.
    let target = format!("/summary?words={}", words / 5);
    let summary = stage(ctx, &mut log, "summary", &target, text.into_body())?;
    Ok(format!("{log}{words} words, in short: {}", summary.body().text()?))
}

/// Posts a body to a function, and records the time left when it began.
fn stage(
    ctx: &Context,
    log: &mut String,
    function: &str,
    target: &str,
    body: Body,
) -> Result<Response> {
    match ctx.remaining() {
        Some(left) => log.push_str(&format!("{function} begins with {left:.1?}\n")),
        None => log.push_str(&format!("{function} takes its time\n")),
    }
    let answer = ctx.call(function, Request::post(target).body(body)?)?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    // The client that posted the Markdown must see what is wrong with it.
    let said = String::from_utf8_lossy(&answer.body().collect()?).into_owned();
    Err(Error::status(answer.status(), format!("{function}: {}", said.trim_end())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hourglass_sdk::CallError;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Stages that record their input.
    fn stages() -> Context {
        Context::background()
            .with_function("markdown", |_, req: Request| -> Result<String> {
                Ok(format!("page of {}", req.body().text()?))
            })
            .with_function("word-count", |_, req: Request| {
                Response::builder().header("x-words", 120).body(req.into_body()).map_err(Error::new)
            })
            .with_function("summary", |_, req: Request| -> Result<String> {
                Ok(format!("{} of {}\n", req.uri(), req.body().text()?))
            })
    }

    #[test]
    fn each_stage_takes_what_the_one_before_it_gave() -> Result<()> {
        let answer = pipeline(&stages(), Request::post("/").body("some text".into())?)?;
        let shown = "markdown takes its time\nword-count takes its time\nsummary takes its time\n\
                     120 words, in short: /summary?words=24 of page of some text\n";
        assert_eq!(answer, shown);
        Ok(())
    }

    #[test]
    fn all_stages_are_on_one_budget() -> Result<()> {
        let ctx = stages().with_timeout(HOUR);
        let answer = pipeline(&ctx, Request::default())?;
        let lines: Vec<_> = answer.lines().take(3).collect();
        assert!(lines.iter().all(|line| line.contains(" begins with 3")), "{lines:?}");
        Ok(())
    }

    #[test]
    fn a_stage_that_takes_too_long_ends_the_whole() {
        let slow = stages()
            .with_function("word-count", |ctx: &Context, _| Ok::<_, Error>(ctx.sleep(HOUR)?));
        let ctx = slow.with_timeout(Duration::from_millis(1));
        let error = pipeline(&ctx, Request::default()).expect_err("there is no time");
        assert_eq!(error.status_code(), StatusCode::GATEWAY_TIMEOUT);
    }

    #[test]
    fn a_stage_that_fails_is_named() {
        let ctx = stages().with_function("summary", |_, _| -> String { panic!("out of words") });
        let error = pipeline(&ctx, Request::default()).expect_err("the last stage fails");
        let trap = CallError::Trap("`summary`: out of words".to_owned());
        assert_eq!(error.to_string(), trap.to_string());
        assert_eq!(error.status_code(), StatusCode::BAD_GATEWAY);
    }

    #[test]
    fn what_a_stage_refuses_is_refused() {
        let refuse = |_: &Context, _: Request| (StatusCode::BAD_REQUEST, "that is no text\n");
        let ctx = stages().with_function("markdown", refuse);
        let error = pipeline(&ctx, Request::default()).expect_err("the first stage refuses");
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
        assert_eq!(error.to_string(), "markdown: that is no text");
    }
}
