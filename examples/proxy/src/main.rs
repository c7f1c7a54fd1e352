//! Fetches a page, marks a word in it and streams the result. It holds one piece of the page at a
//! time.
//!
//! ```text
//! $ curl 'http://127.0.0.1:8080/proxy/hello/world?mark=world'
//! hello **world**, 10.0s left
//! ```
//! The path after the function's name is the path that it fetches from its setting `UPSTREAM`. It
//! may only fetch from hosts that its configuration lists in `allow_hosts`.

use std::io::{BufRead, BufReader, Write};

use hourglass_sdk::header::CONTENT_LENGTH;
use hourglass_sdk::{Body, Context, Error, Request, Response, Result, StatusCode, serve};

fn main() {
    serve(proxy)
}

fn proxy(ctx: &Context, req: Request) -> Result<Response> {
    let upstream = ctx.config("UPSTREAM").ok_or_else(|| {
        Error::status(StatusCode::NOT_IMPLEMENTED, "set UPSTREAM in [function.proxy.env]")
    })?;
    let path = req.uri().path().splitn(3, '/').nth(2).unwrap_or_default();
    let word = req.uri().query().and_then(|query| query.strip_prefix("mark=")).unwrap_or_default();
    let word = word.to_owned();

    let fetched = ctx.fetch(Request::get(format!("{upstream}/{path}")).body(())?)?;
    let (mut head, body) = fetched.into_parts();
    if word.is_empty() {
        return Ok(Response::from_parts(head, body)); // forwarded piece by piece
    }
    head.headers.remove(CONTENT_LENGTH);
    let marked = Body::stream(move |writer| {
        for line in BufReader::new(body).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).replace(&word, &format!("**{word}**"));
            writeln!(writer, "{line}")?;
        }
        Ok(())
    });
    Ok(Response::from_parts(head, marked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let ctx = Context::background().with_config("UPSTREAM", "http://pages.example");
        ctx.with_fetch(|_, req: Request| format!("{}\nby the deadline\n", req.uri()))
    }

    #[test]
    fn a_word_is_marked() -> Result<()> {
        let request = Request::get("/proxy/a/b?mark=deadline").body(Body::default())?;
        let page = proxy(&context(), request)?;
        assert_eq!(page.body().text()?, "http://pages.example/a/b\nby the **deadline**\n");
        Ok(())
    }

    #[test]
    fn without_a_word_a_page_is_passed_on() -> Result<()> {
        let page = proxy(&context(), Request::get("/proxy/a").body(Body::default())?)?;
        assert_eq!(page.body().text()?, "http://pages.example/a\nby the deadline\n");
        Ok(())
    }

    #[test]
    fn without_an_upstream_it_says_what_to_set() {
        let error = proxy(&Context::background(), Request::default()).expect_err("no upstream");
        assert_eq!(error.status_code(), StatusCode::NOT_IMPLEMENTED);
    }
}
