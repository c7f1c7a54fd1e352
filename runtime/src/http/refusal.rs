//! Requests that are refused before routing: they violate RFC 9110, 9112 or
//! 9113, or ask for something that a server of functions does not do.
//!
//! hyper and h2 refuse what they can't parse. They leave it to their users to
//! check the host, the target and the codings.

use http::header::{ALLOW, HOST, TRANSFER_ENCODING};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};

use super::header_limits::HeaderLimits;
use super::problem;
use crate::body::Response;

/// The methods that functions usually implement; they may implement others.
const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the request names no host; send a `Host` header")]
    NoHost,
    #[error("the request names several hosts; send one `Host` header")]
    Hosts,
    #[error("the request's host is malformed; write it as `name` or `name:port`")]
    Host,
    #[error("the request's target is malformed; write it as a path, such as `/hello`")]
    Target,
    #[error("CONNECT is not supported: this server is no proxy")]
    Connect,
    #[error("the only transfer coding that is supported is `chunked`")]
    Coding,
    #[error("the transfer coding `chunked` must be the last one, and there only once")]
    Chunked,
    #[error("the request has more than {0} header fields")]
    TooManyHeaders(usize),
}

impl Refusal {
    /// Why this request is refused, if it is.
    pub(super) fn of<B>(request: &Request<B>, limits: HeaderLimits) -> Option<Self> {
        let (uri, headers) = (request.uri(), request.headers());
        if *request.method() == Method::CONNECT {
            return Some(Self::Connect);
        }
        if headers.len() > limits.count {
            return Some(Self::TooManyHeaders(limits.count));
        }
        if let Some(refusal) = host(request.version(), uri, headers) {
            return Some(refusal);
        }
        if !is_target(request.method(), uri) {
            return Some(Self::Target);
        }
        if headers.contains_key(TRANSFER_ENCODING) { coding(headers) } else { None }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NoHost | Self::Hosts | Self::Host | Self::Target | Self::Chunked => {
                StatusCode::BAD_REQUEST
            }
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::TooManyHeaders(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }

    /// The response for its client.
    pub(super) fn response(self) -> Response {
        let mut response = problem::refusal(self.status(), &self.to_string());
        if self == Self::Connect {
            response.headers_mut().insert(ALLOW, METHODS);
        }
        response
    }
}

/// Checks the host that a request names in its target, in its header, or in
/// both.
fn host(version: Version, uri: &Uri, headers: &HeaderMap) -> Option<Refusal> {
    let mut named = headers.get_all(HOST).iter();
    let (header, authority) = (named.next(), uri.authority());
    if named.next().is_some() {
        return Some(Refusal::Hosts);
    }
    if header.is_some_and(|host| !is_host(host.as_bytes()))
        || authority.is_some_and(|host| !is_host(host.as_str().as_bytes()))
    {
        return Some(Refusal::Host);
    }
    match (version, header, authority) {
        // HTTP/1.0 has no virtual hosts and usually no `host` header.
        (Version::HTTP_09 | Version::HTTP_10, ..) => None,
        // In HTTP/1.1 a client sends an empty field if its URI has no host.
        (Version::HTTP_11, Some(_), _) => None,
        // RFC 9113, section 8.3.1: neither is empty, and they do not differ.
        (Version::HTTP_2, Some(host), Some(authority)) => {
            let same = host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
            (!same).then_some(Refusal::Hosts)
        }
        (Version::HTTP_2, Some(host), None) => host.is_empty().then_some(Refusal::NoHost),
        (Version::HTTP_2, None, Some(_)) => None,
        _ => Some(Refusal::NoHost),
    }
}

/// Whether this is a `uri-host`, with or without a port (RFC 3986, section
/// 3.2). User information belongs in neither header nor target.
fn is_host(text: &[u8]) -> bool {
    let end = match text {
        [b'[', ..] => text.iter().position(|&byte| byte == b']').map(|at| at + 1),
        _ => text.iter().position(|&byte| byte == b':').or(Some(text.len())),
    };
    let Some((name, port)) = end.and_then(|end| text.split_at_checked(end)) else { return false };
    let is_name = match name {
        [b'[', address @ .., b']'] => {
            !address.is_empty() && address.iter().all(|&byte| byte == b':' || is_in_name(byte))
        }
        name => name.iter().all(|&byte| is_in_name(byte)),
    };
    let is_port = match port {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_name && is_port
}

/// Unreserved characters, percent-encoded octets, and sub-delimiters.
fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

/// Whether a target is a path, alone or in an HTTP URL, or `*`, which is valid
/// only for OPTIONS.
fn is_target(method: &Method, uri: &Uri) -> bool {
    let is_http = match uri.scheme() {
        None => true,
        Some(scheme) => *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS,
    };
    let is_path = uri.path().starts_with('/') || (uri.path() == "*" && *method == Method::OPTIONS);
    is_http && is_path
}

/// Checks a body's transfer codings. hyper refuses codings that do not end with
/// `chunked`: the length of such a body is unknown.
fn coding(headers: &HeaderMap) -> Option<Refusal> {
    let values = headers.get_all(TRANSFER_ENCODING).iter();
    let codings: Vec<_> = values
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty())
        .collect();
    let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let (last, others) = codings.split_last()?;
    match others {
        _ if !is_chunked(last) || others.iter().any(is_chunked) => Some(Refusal::Chunked),
        [] => None,
        _ => Some(Refusal::Coding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::header_limits::DEFAULT;

    /// The refusal of a GET for a target, with this version and these headers.
    fn of(version: Version, target: &str, headers: &[(&str, &str)]) -> Option<Refusal> {
        let mut request = Request::get(target).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Refusal::of(&request.body(()).expect("a request"), DEFAULT)
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_a_port_or_without() {
        for good in [
            "",
            "a",
            "a.b:80",
            "a:",
            "127.0.0.1",
            "[::1]",
            "[::1]:80",
            "a_b",
            "xn--grn-joa.de",
            "a%20b",
            "a,b",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b", "a/b", "a?b", "a#b", "me@a", "a:b", "a:80:80", "::1", "[::1", "[]", "[::1]80",
            "[::1]:x", "a\\b", "grün", "a:123456", "a\tb", "\"a\"", "<a>", "a[b]",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_host_is_named_once() {
        use Refusal::{Host, Hosts, NoHost, Target};
        let one = [("host", "a")];
        let two = [("host", "a"), ("host", "a")];
        let (v10, v11, v2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        for (version, target, headers, expected) in [
            (v10, "/", &[][..], None),
            (v10, "/", &two, Some(Hosts)),
            (v10, "/", &[("host", "a b")], Some(Host)),
            (v11, "/", &one, None),
            (v11, "/", &[], Some(NoHost)),
            (v11, "/", &[("host", "")], None),
            (v11, "/", &two, Some(Hosts)),
            (v11, "http://b/", &one, None),
            (v11, "http://b/", &[], Some(NoHost)),
            (v11, "http://me@b/", &one, Some(Host)),
            (v11, "ftp://b/", &one, Some(Target)),
            (v11, "b:80", &one, Some(Target)),
            (v11, "*", &one, Some(Target)),
            (v2, "http://a/", &[], None),
            (v2, "http://a/", &[("host", "A")], None),
            (v2, "http://a/", &[("host", "b")], Some(Hosts)),
            (v2, "http://a/", &[("host", "")], Some(Hosts)),
            (v2, "http://me@a/", &[], Some(Host)),
            (v2, "/", &one, None),
            (v2, "/", &[("host", "")], Some(NoHost)),
            (v2, "/", &[], Some(NoHost)),
            (v2, "/", &two, Some(Hosts)),
        ] {
            assert_eq!(of(version, target, headers), expected, "{version:?} {target} {headers:?}");
        }
    }

    #[test]
    fn a_body_is_chunked_once_or_not_at_all() {
        use Refusal::{Chunked, Coding};
        for (values, expected) in [
            (&["chunked"][..], None),
            (&["Chunked"], None),
            (&[" , chunked ,"], None),
            (&["gzip, chunked"], Some(Coding)),
            (&["identity,chunked"], Some(Coding)),
            (&["gzip", "chunked"], Some(Coding)),
            (&["chunked, chunked"], Some(Chunked)),
            (&["chunked", "chunked"], Some(Chunked)),
            (&["chunked, gzip, chunked"], Some(Chunked)),
            (&["chunked, gzip"], Some(Chunked)),
            (&["gzip"], Some(Chunked)),
        ] {
            let headers = [("host", "a")].into_iter();
            let headers = headers.chain(values.iter().map(|value| ("transfer-encoding", *value)));
            let headers: Vec<_> = headers.collect();
            assert_eq!(of(Version::HTTP_11, "/", &headers), expected, "{values:?}");
        }
    }
}
