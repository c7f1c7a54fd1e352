//! Counts the words of the HTML page in the request's body, and responds with the page's text and
//! the header `x-words`.
//!
//! ```text
//! $ hourglass invoke word-count --data '<p>Two words.</p>'
//! Two words.
//! ```
//!
//! It is a stage of the example `pipeline`.

use hourglass_sdk::{Context, Request, Response, Result, header, serve};

fn main() {
    serve(word_count)
}

fn word_count(_: &Context, req: Request) -> Result<Response> {
    let text = text_of(req.body().text()?);
    let words = text.split_whitespace().count();
    let response = Response::builder().header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
    Ok(response.header("x-words", words).body(text.into())?)
}

/// Returns the text of a page that a reader sees: everything outside of tags.
fn text_of(page: &str) -> String {
    let (mut text, mut rest) = (String::with_capacity(page.len()), page);
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    // The ampersand comes last: an unescaped one could otherwise form another entity.
    let characters = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
    characters.iter().fold(text, |text, (name, character)| text.replace(name, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_and_tags_are_not() -> Result<()> {
        let page = "<h1 class=\"large\">A title</h1>\n<p>Some <em>more</em> words.</p>\n";
        let answer = word_count(&Context::background(), Request::new(page.into()))?;
        assert_eq!(answer.headers()["x-words"], "5");
        assert_eq!(answer.body().text()?, "A title\nSome more words.\n");
        Ok(())
    }

    #[test]
    fn characters_are_read_by_their_names() {
        assert_eq!(text_of("1 &lt; 2 &amp;&amp; 3 &gt; 2"), "1 < 2 && 3 > 2");
        assert_eq!(text_of("&amp;lt;"), "&lt;");
    }

    #[test]
    fn a_page_that_breaks_off_has_the_text_up_to_there() {
        assert_eq!(text_of("words <a href="), "words ");
        assert_eq!(text_of(""), "");
    }
}
