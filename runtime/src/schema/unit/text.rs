//! Values that are texts: addresses, paths, choices between words, and switches.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::{Form, Notation, Unit, ValueError};

/// A host and a port. The host is resolved when the address is used.
pub(crate) struct Address;

impl Unit for Address {
    type Value = String;

    fn form(&self) -> Form {
        Form::new("ADDR", Notation::String, r#"an address in quotes, such as "127.0.0.1:8080""#)
    }

    fn parse(&self, text: &str) -> Result<String, ValueError> {
        let is_good = text.rsplit_once(':').is_some_and(|(host, port)| {
            let is_port =
                port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
            // Without brackets the end of an IPv6 address would be read as a port.
            is_port && !host.is_empty() && (host.starts_with('[') == host.contains(':'))
        });
        is_good.then(|| text.to_owned()).ok_or_else(|| {
            let instead = "a host and a port, such as `127.0.0.1:8080`; port 0 picks a free one";
            ValueError::new(text, "not an address", instead)
        })
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }
}

/// The URL of a server.
pub(crate) struct WebUrl;

impl Unit for WebUrl {
    type Value = String;

    fn form(&self) -> Form {
        Form::new("URL", Notation::String, r#"a URL in quotes, such as "http://127.0.0.1:4317""#)
    }

    fn parse(&self, text: &str) -> Result<String, ValueError> {
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        host.filter(|host| !host.is_empty()).map(|_| text.to_owned()).ok_or_else(|| {
            ValueError::new(text, "not a URL", "one such as `http://127.0.0.1:4317`")
        })
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }
}

/// A path of a URL, without parameters.
pub(crate) struct UrlPath;

impl Unit for UrlPath {
    type Value = String;

    fn form(&self) -> Form {
        Form::new("PATH", Notation::String, r#"a path in quotes, such as "/-""#)
    }

    fn parse(&self, text: &str) -> Result<String, ValueError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        let is_good = text.starts_with('/') && !text.contains("//") && text.bytes().all(plain);
        is_good.then(|| text.to_owned()).ok_or_else(|| {
            let instead = "one that starts with `/` and has letters, digits, `-`, `.`, `_` and `~`";
            ValueError::new(text, "not a path", instead)
        })
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }
}

/// A path of a file or a directory, with the placeholder of the help.
pub(crate) struct FilePath(pub(crate) &'static str);

impl Unit for FilePath {
    type Value = PathBuf;

    fn form(&self) -> Form {
        Form::new(self.0, Notation::String, r#"a path in quotes, such as "./name""#)
    }

    /// An empty path is refused: joined to the directory of the file, it would
    /// be that directory.
    fn parse(&self, text: &str) -> Result<PathBuf, ValueError> {
        if text.is_empty() {
            return Err(ValueError::new(text, "an empty path", "one such as `./name`"));
        }
        Ok(text.into())
    }

    /// A path of the system need not be UTF-8.
    fn parse_os(&self, text: &OsStr) -> Result<PathBuf, ValueError> {
        text.to_str().map_or_else(|| Ok(text.into()), |text| self.parse(text))
    }

    fn show(&self, value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// One of a few words.
pub(crate) struct Choice<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T> Choice<T> {
    fn words(&self, separator: &str) -> String {
        self.0.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(separator)
    }
}

impl<T: Clone + PartialEq> Unit for Choice<T> {
    type Value = T;

    fn form(&self) -> Form {
        Form::new(
            self.words("|"),
            Notation::String,
            format!("one of {}, in quotes", self.words(", ")),
        )
    }

    fn range(&self) -> String {
        self.words(", ")
    }

    fn parse(&self, text: &str) -> Result<T, ValueError> {
        let choice = self.0.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone());
        choice.ok_or_else(|| {
            ValueError::new(text, "not a choice", format!("one of {}", self.words(", ")))
        })
    }

    fn show(&self, value: &T) -> String {
        let word = self.0.iter().find(|(_, choice)| choice == value).map(|(word, _)| *word);
        word.unwrap_or_default().to_owned()
    }
}

/// `true` or `false`.
pub(crate) struct Switch;

impl Unit for Switch {
    type Value = bool;

    fn form(&self) -> Form {
        Form::new("true|false", Notation::Boolean, "true or false")
    }

    fn range(&self) -> String {
        "true, false".to_owned()
    }

    fn parse(&self, text: &str) -> Result<bool, ValueError> {
        text.parse().map_err(|_| ValueError::new(text, "not a switch", self.form().expected))
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for text in ["127.0.0.1:8080", "[::1]:0", "localhost:80", "0.0.0.0:65535"] {
            assert!(Address.parse(text).is_ok(), "{text}");
        }
        for text in
            ["", "8080", ":8080", "localhost", "localhost:http", "127.0.0.1:65536", "::1", "::1:80"]
        {
            let error = Address.parse(text).expect_err(text).to_string();
            assert!(error.contains("`127.0.0.1:8080`"), "{error}");
        }
    }

    #[test]
    fn a_path_of_a_url_starts_with_a_slash_and_is_plain() {
        for text in ["/", "/-", "/a/b.c", "/health_1/~x/"] {
            assert!(UrlPath.parse(text).is_ok(), "{text}");
        }
        for text in ["", "-", "a/b", "//", "/a//b", "/a?b", "/a#b", "/{a}", "/a b", "/%2e", "/ä"] {
            let error = UrlPath.parse(text).expect_err(text).to_string();
            assert!(error.contains("starts with `/`"), "{error}");
        }
    }

    #[test]
    fn a_url_is_one_of_a_web_server() {
        for text in ["http://127.0.0.1:4317", "https://host/path"] {
            assert!(WebUrl.parse(text).is_ok(), "{text}");
        }
        for text in ["", "127.0.0.1:4317", "http://", "grpc://host"] {
            let error = WebUrl.parse(text).expect_err(text).to_string();
            assert!(error.contains("`http://127.0.0.1:4317`"), "{error}");
        }
    }

    #[test]
    fn a_choice_is_refused_with_the_words() {
        let choice = Choice(&[("reset", true), ("new", false)]);
        assert_eq!(choice.parse("new"), Ok(false));
        assert_eq!(choice.show(&true), "reset");
        let error = choice.parse("New").expect_err("case matters").to_string();
        assert!(error.contains("one of reset, new"), "{error}");
    }

    #[test]
    fn a_switch_is_true_or_false() {
        assert_eq!((Switch.parse("true"), Switch.parse("false")), (Ok(true), Ok(false)));
        let error = Switch.parse("yes").expect_err("another word").to_string();
        assert!(error.contains("true or false"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_panic(text: String) {
            let _ = Address.parse(&text);
        }
    }
}
