//! Authorizes requests. With a token, every request must present it; without
//! one, any client that can connect is allowed, except web pages other than the
//! dashboard.
//!
//! A page in an operator's browser can send requests to this machine. With DNS
//! rebinding, a name that resolves first to the page's own server and then to
//! this machine, it can even read the responses. Browsers mark such requests,
//! and a name is not an IP address.

use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::token::AdminToken;
use crate::outbound::address::literal;

/// Set by browsers: what initiated a request. `none` is the user.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Allows or refuses requests.
pub(super) struct AdminGuard(pub(super) Option<AdminToken>);

/// Why a request is refused: the status of its response, and the reason.
pub(super) type Denial = (StatusCode, &'static str);

/// The request does not present the token.
const TOKEN: Denial =
    (StatusCode::UNAUTHORIZED, "show the token, as `Authorization: Bearer TOKEN`");

/// A web page of another origin sent the request.
const PAGE: Denial =
    (StatusCode::FORBIDDEN, "without a token no web page is let in but the dashboard");

/// The request's host is in a form that a web page could produce.
const HOST_NAME: Denial = (
    StatusCode::FORBIDDEN,
    "without a token the host has to be named by its IP address or as localhost",
);

impl AdminGuard {
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Denial> {
        match &self.0 {
            Some(token) if shown(headers).is_some_and(|shown| token.is(shown)) => Ok(()),
            Some(_) => Err(TOKEN),
            None if is_from_another_page(headers) => Err(PAGE),
            None if !is_named_plainly(headers) => Err(HOST_NAME),
            None => Ok(()),
        }
    }
}

/// The token that a request presents.
fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// Whether a web page sent a request that is not from this listener. All that
/// is served here is the dashboard.
fn is_from_another_page(headers: &HeaderMap) -> bool {
    let is_own = |origin: &HeaderValue| {
        let host = origin.as_bytes().strip_prefix(b"http://");
        host.is_some() && host == headers.get(HOST).map(HeaderValue::as_bytes)
    };
    let sites = ["none", "same-origin"];
    headers.get_all(ORIGIN).iter().any(|origin| !is_own(origin))
        || headers.get_all(FETCH_SITE).iter().any(|site| !sites.iter().any(|own| site == own))
}

/// Whether the host is named exactly once, by an IP address or as `localhost`.
fn is_named_plainly(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return false };
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let name = authority.host();
        name.eq_ignore_ascii_case("localhost") || literal(name).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn admit(token: bool, headers: &[(HeaderName, &str)]) -> Result<(), Denial> {
        let token = token.then(|| SECRET.parse().expect("a token"));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().expect("a value"));
        }
        AdminGuard(token).admit(&map)
    }

    #[test]
    fn with_a_token_only_the_token_counts() {
        for scheme in ["Bearer", "bearer"] {
            let shown = format!("{scheme} {SECRET}");
            assert_eq!(admit(true, &[(AUTHORIZATION, &shown), (ORIGIN, "http://a")]), Ok(()));
        }
        for shown in ["", "Bearer", "Bearer 0123456789abcdeg", SECRET, &format!("Basic {SECRET}")] {
            let headers = [(AUTHORIZATION, shown), (HOST, "localhost")];
            assert_eq!(admit(true, &headers), Err(TOKEN), "{shown}");
        }
        assert_eq!(admit(true, &[(HOST, "localhost")]), Err(TOKEN));
    }

    #[test]
    fn without_a_token_the_host_is_named_by_its_address() {
        for host in ["127.0.0.1:9090", "127.0.0.1", "[::1]:9090", "localhost:9090", "LocalHost"] {
            assert_eq!(admit(false, &[(HOST, host)]), Ok(()), "{host}");
        }
        for host in ["", "attacker.example", "localhost.attacker.example:9090", "127.0.0.1.nip.io"]
        {
            assert_eq!(admit(false, &[(HOST, host)]), Err(HOST_NAME), "{host}");
        }
        assert_eq!(admit(false, &[]), Err(HOST_NAME));
        let twice = [(HOST, "localhost"), (HOST, "attacker.example")];
        assert_eq!(admit(false, &twice), Err(HOST_NAME));
    }

    #[test]
    fn without_a_token_no_other_web_page_is_let_in() {
        let from = |name, value| admit(false, &[(HOST, "localhost:9090"), (name, value)]);
        for origin in
            ["http://localhost", "http://localhost:8080", "https://localhost:9090", "null"]
        {
            assert_eq!(from(ORIGIN, origin), Err(PAGE), "{origin}");
        }
        for site in ["cross-site", "same-site", ""] {
            assert_eq!(from(FETCH_SITE, site), Err(PAGE), "{site}");
        }
        assert_eq!(from(FETCH_SITE, "none"), Ok(()));
    }

    #[test]
    fn the_dashboard_is_let_in() {
        let own = [
            (HOST, "localhost:9090"),
            (ORIGIN, "http://localhost:9090"),
            (FETCH_SITE, "same-origin"),
        ];
        assert_eq!(admit(false, &own), Ok(()));
        // Under a name that a page could make lead here, it is not.
        let rebound = [(HOST, "attacker.example"), (ORIGIN, "http://attacker.example")];
        assert_eq!(admit(false, &rebound), Err(HOST_NAME));
        let twice = [(HOST, "localhost"), (ORIGIN, "http://localhost"), (ORIGIN, "http://a")];
        assert_eq!(admit(false, &twice), Err(PAGE));
    }
}
