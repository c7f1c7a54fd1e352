//! Authorizes requests. With a token, every request must present it; without
//! one, any client that can connect is allowed, except web pages.
//!
//! A page in an operator's browser can send requests to this machine. With DNS
//! rebinding, a name that resolves first to the page's own server and then to
//! this machine, it can even read the responses. Browsers mark such requests,
//! and a name is not an IP address.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};

use super::token::Token;

/// Set by browsers: what initiated a request. `none` is the user.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Allows or refuses requests.
pub(super) struct Guard(Option<Token>);

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not present the token.
    Token,
    /// A web page sent it.
    Page,
    /// Its host is in a form that a web page could produce.
    Host,
}

impl Guard {
    pub(super) fn new(token: Option<Token>) -> Self {
        Self(token)
    }

    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match &self.0 {
            Some(token) if shown(headers).is_some_and(|shown| token.is(shown)) => Ok(()),
            Some(_) => Err(Refusal::Token),
            None if is_from_page(headers) => Err(Refusal::Page),
            None if !is_named_plainly(headers) => Err(Refusal::Host),
            None => Ok(()),
        }
    }
}

/// The token that a request presents.
fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

fn is_from_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.get(FETCH_SITE).is_some_and(|site| site != "none")
}

/// Whether the host is named exactly once, by an IP address or as `localhost`.
fn is_named_plainly(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return false };
    let Some(authority) = authority(host) else { return false };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

fn authority(host: &HeaderValue) -> Option<Authority> {
    host.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn admit(token: bool, headers: &[(HeaderName, &str)]) -> Result<(), Refusal> {
        let token = token.then(|| TOKEN.parse().expect("a token"));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().expect("a value"));
        }
        Guard::new(token).admit(&map)
    }

    #[test]
    fn with_a_token_only_the_token_counts() {
        for scheme in ["Bearer", "bearer"] {
            let shown = format!("{scheme} {TOKEN}");
            assert_eq!(admit(true, &[(AUTHORIZATION, &shown), (ORIGIN, "http://a")]), Ok(()));
        }
        for shown in ["", "Bearer", "Bearer 0123456789abcdeg", TOKEN, &format!("Basic {TOKEN}")] {
            let headers = [(AUTHORIZATION, shown), (HOST, "localhost")];
            assert_eq!(admit(true, &headers), Err(Refusal::Token), "{shown}");
        }
        assert_eq!(admit(true, &[(HOST, "localhost")]), Err(Refusal::Token));
    }

    #[test]
    fn without_a_token_the_host_is_named_by_its_address() {
        for host in ["127.0.0.1:9090", "127.0.0.1", "[::1]:9090", "localhost:9090", "LocalHost"] {
            assert_eq!(admit(false, &[(HOST, host)]), Ok(()), "{host}");
        }
        for host in ["", "attacker.example", "localhost.attacker.example:9090", "127.0.0.1.nip.io"]
        {
            assert_eq!(admit(false, &[(HOST, host)]), Err(Refusal::Host), "{host}");
        }
        assert_eq!(admit(false, &[]), Err(Refusal::Host));
        let twice = [(HOST, "localhost"), (HOST, "attacker.example")];
        assert_eq!(admit(false, &twice), Err(Refusal::Host));
    }

    #[test]
    fn without_a_token_no_web_page_is_let_in() {
        let from = |name, value| admit(false, &[(HOST, "localhost"), (name, value)]);
        assert_eq!(from(ORIGIN, "http://localhost"), Err(Refusal::Page));
        assert_eq!(from(ORIGIN, "null"), Err(Refusal::Page));
        assert_eq!(from(FETCH_SITE, "cross-site"), Err(Refusal::Page));
        assert_eq!(from(FETCH_SITE, "none"), Ok(()));
    }
}
