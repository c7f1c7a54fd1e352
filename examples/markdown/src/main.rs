//! Converts the Markdown in the request's body to HTML.
//!
//! ```text
//! $ curl http://127.0.0.1:8080/markdown --data-binary @examples/markdown/deadlines.md
//! ```
//!
//! HTML within the Markdown is shown as text, so that the author of the Markdown cannot inject
//! scripts into the page. Links are left unchanged: check them before you show a page to others.

use hourglass_sdk::{Context, Error, Method, Request, Response, Result, StatusCode, header, serve};
use pulldown_cmark::{Event, Options, Parser, html};

fn main() {
    serve(markdown)
}

fn markdown(_: &Context, req: Request) -> Result<Response> {
    if req.method() != Method::POST {
        let text = "post some Markdown: curl URL --data-binary @FILE";
        return Err(Error::status(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    let page = to_html(req.body().text()?);
    let media_type = "text/html; charset=utf-8";
    Ok(Response::builder().header(header::CONTENT_TYPE, media_type).body(page.into())?)
}

fn to_html(markdown: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(markdown, options).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        other => other,
    });
    // HTML is longer than its Markdown, usually by less than half.
    let mut page = String::with_capacity(markdown.len() / 2 * 3);
    html::push_html(&mut page, events);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(body: impl Into<hourglass_sdk::Body>) -> Result<Request> {
        Ok(Request::builder().method("POST").body(body.into())?)
    }

    #[test]
    fn markdown_becomes_html() -> Result<()> {
        let answer = markdown(&Context::background(), post("# Hi\n\nA *word*.\n")?)?;
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(answer.body().text()?, "<h1>Hi</h1>\n<p>A <em>word</em>.</p>\n");
        Ok(())
    }

    #[test]
    fn the_text_beside_this_crate_becomes_a_page() -> Result<()> {
        let answer = markdown(&Context::background(), post(include_str!("../deadlines.md"))?)?;
        let page = answer.body().text()?;
        assert!(page.starts_with("<h1>Every invocation ends on time</h1>"));
        assert!(page.contains("<table>"));
        Ok(())
    }

    #[test]
    fn html_is_shown_and_not_run() {
        assert_eq!(to_html("a <b>c</b>"), "<p>a &lt;b&gt;c&lt;/b&gt;</p>\n");
        assert!(!to_html("<script>\nalert(1)\n</script>\n").contains("<script"));
    }

    #[test]
    fn only_text_that_is_posted_is_taken() -> Result<()> {
        let ctx = Context::background();
        let refused = markdown(&ctx, Request::default()).expect_err("it is not a POST");
        assert_eq!(refused.status_code(), StatusCode::METHOD_NOT_ALLOWED);
        let refused = markdown(&ctx, post(vec![0xff])?).expect_err("it is not text");
        assert_eq!(refused.status_code(), StatusCode::BAD_REQUEST);
        Ok(())
    }
}
