//! Shortens the text in the request's body to its first sentences.
//!
//! ```text
//! $ hourglass invoke summary --path '/summary?words=4' --data 'Short. Then a long sentence.'
//! Short.
//! ```
//!
//! It is a stage of the example `pipeline`.

use hourglass_sdk::{Context, Error, Request, Result, StatusCode, serve};

/// The default maximum number of words in a summary.
const WORDS: usize = 40;

fn main() {
    serve(summary)
}

fn summary(_: &Context, req: Request) -> Result<String> {
    let query = req.uri().query().unwrap_or_default();
    let most = match query.split('&').find_map(|pair| pair.strip_prefix("words=")) {
        None => WORDS,
        Some(text) => text
            .parse()
            .map_err(|_| Error::status(StatusCode::BAD_REQUEST, "words= takes a number"))?,
    };
    Ok(shortened(req.body().text()?, most) + "\n")
}

/// Returns as many whole sentences as fit in `most` words, or the first `most` words if none fits.
fn shortened(text: &str, most: usize) -> String {
    let mut rest = text.split_whitespace();
    let words: Vec<&str> = rest.by_ref().take(most).collect();
    if rest.next().is_none() {
        return words.join(" ");
    }
    match words.iter().rposition(|word| word.ends_with(['.', '!', '?'])) {
        Some(end) => words[..=end].join(" "),
        None => words.join(" ") + " ...",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(uri: &'static str, text: &'static str) -> Result<String> {
        summary(&Context::background(), Request::post(uri).body(text.into())?)
    }

    #[test]
    fn sentences_stay_whole() -> Result<()> {
        let text = "One. Two words! Now\nthree words? And what is left.";
        for (uri, short) in [
            ("/?words=1", "One.\n"),
            ("/?words=2", "One.\n"),
            ("/?words=3", "One. Two words!\n"),
            ("/?words=7", "One. Two words! Now three words?\n"),
            ("/", "One. Two words! Now three words? And what is left.\n"),
        ] {
            assert_eq!(post(uri, text)?, short);
        }
        Ok(())
    }

    #[test]
    fn a_sentence_that_is_too_long_is_cut() -> Result<()> {
        assert_eq!(post("/?words=3", "a sentence of five words.")?, "a sentence of ...\n");
        Ok(())
    }

    #[test]
    fn only_a_number_of_words_is_taken() {
        let error = post("/?words=few", "").expect_err("it is no number");
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
    }
}
