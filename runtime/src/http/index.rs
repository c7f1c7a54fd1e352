//! The index page: the public functions, for a request to `/` that no route
//! matches. A client may choose between plain text and JSON.

use std::fmt::Write as _;

use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, VARY};
use http::{HeaderMap, Method, Request};
use serde::Serialize;

use super::problem;
use super::routes::Routes;
use super::server::ServerState;
use crate::body::Response;

#[derive(Serialize)]
struct Index<'a> {
    functions: Vec<Listed<'a>>,
    /// A command that requests the first of them; `None` without functions, or
    /// if the client names no host.
    example: Option<String>,
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    /// Its name, if it is served by name, and the patterns of its routes.
    paths: Vec<String>,
}

/// Whether a request asks for the index page.
pub(super) fn is_requested<B>(request: &Request<B>, routes: &Routes) -> bool {
    request.uri().path() == "/"
        && [Method::GET, Method::HEAD].contains(request.method())
        && routes.find("/").function.is_empty()
}

/// The index page, as the client prefers it.
pub(super) fn response(headers: &HeaderMap, state: &ServerState, routes: &Routes) -> Response {
    let names = state.runtime.functions();
    let listed = names.iter().map(|name| Listed { name, paths: routes.paths(name) });
    let functions: Vec<_> = listed.filter(|function| !function.paths.is_empty()).collect();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let first = functions.first().and_then(|function| function.paths.first());
    let example = first.zip(host.filter(|host| is_plain(host))).map(|(path, host)| {
        let scheme = if state.tls.is_some() { "https" } else { "http" };
        // A parameter matches its own name.
        format!("curl {scheme}://{host}{}", path.replace(['{', '}', '*'], ""))
    });
    let index = Index { functions, example };
    let (kind, body) = match quality(headers, "application/json") > quality(headers, "text/plain") {
        // Serializing texts to JSON can't fail.
        true => ("application/json", serde_json::to_string(&index).unwrap_or_default() + "\n"),
        false => ("text/plain; charset=utf-8", index.text()),
    };
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    let held = state.responses.hold(response);
    held.unwrap_or_else(|outcome| problem::refusal(outcome.status(), &outcome.to_string()))
}

impl Index<'_> {
    fn text(&self) -> String {
        let mut text = "functions:\n".to_owned();
        for Listed { name, paths } in &self.functions {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {name}  {}", paths.join("  "));
        }
        if let Some(example) = &self.example {
            let _ = writeln!(text, "\nexample:\n  {example}");
        }
        text
    }
}

/// Whether a shell takes a host as it is: it is copied into a command.
fn is_plain(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(plain)
}

/// The weight of a media type in the `accept` header (RFC 9110, section
/// 12.5.1). The most specific range that covers it applies.
fn quality(headers: &HeaderMap, wanted: &str) -> f32 {
    let (kind, _) = wanted.split_once('/').unwrap_or_default();
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let specificity = match parts.next()?.to_ascii_lowercase() {
            exact if exact == wanted => 2,
            all if all.strip_suffix("/*") == Some(kind) => 1,
            any if any == "*/*" => 0,
            _ => return None,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        Some((specificity, weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))))
    });
    ranges.max_by_key(|(specificity, _)| *specificity).map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_sent_if_the_client_prefers_it_to_text() {
        for (accept, expected) in [
            ("", false),
            ("*/*", false),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/*, */*;q=0.1", true),
            ("application/json;q=0.5, text/plain", false),
            ("application/json, text/*;q=0.9", true),
            ("application/json;q=0, */*", false),
            ("application/json;q=nan", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().expect("a header"));
            let prefers = quality(&headers, "application/json") > quality(&headers, "text/plain");
            assert_eq!(prefers, expected, "{accept}");
        }
    }

    #[test]
    fn a_host_in_a_command_means_nothing_to_a_shell() {
        for (host, expected) in [("a.example:80", true), ("[::1]:8080", true), ("", false)] {
            assert_eq!(is_plain(host), expected, "{host}");
        }
        for host in ["a;b", "$(b)", "a&b", "a'b", "a%20b", "*"] {
            assert!(!is_plain(host), "{host}");
        }
    }
}
