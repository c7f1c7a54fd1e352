//! A request's head and its context as environment variables, in addition to
//! the function's settings.
//!
//! Neither can be mistaken for the other: a setting can't have the name of a
//! request variable ([`is_requests_own`]), and a request sets no other names.
//! Nor can two headers, or two values of the context, become the same variable:
//! only names with a unique variable are accepted.

use hourglass_abi::key;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderName};
use http::uri::Authority;
use percent_encoding::percent_decode_str;
use wasmtime::Result;

use crate::body::{FUNCTION, ROUTE_PREFIX};
use crate::guest::memory::parts;
use crate::guest::state::run::Run;
use crate::guest::state::{Call, State};
use crate::guest::wasi::{write_sizes, write_texts};

/// The most bytes of a request's variables in total. Variables beyond that are
/// left out, headers first.
const MAX_REQUEST: usize = 256 << 10;

/// The names of the request variables that are not derived from another name.
const FIXED: [&str; 15] = [
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "GATEWAY_INTERFACE",
    "PATH_INFO",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REQUEST_METHOD",
    "REQUEST_URI",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
    "TRACEPARENT",
    "TRACESTATE",
];

/// The prefixes of all other names.
const PREFIXES: [&str; 2] = ["HTTP_", "HOURGLASS_"];

/// A header of that name would become the variable from which programs read the
/// address of their proxy ("httpoxy").
const PROXY: &str = "proxy";

/// Whether a name is reserved for request variables, even if the request does
/// not set it. A setting can't have such a name.
pub(crate) fn is_requests_own(name: &str) -> bool {
    FIXED.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// An environment in the layout of WASI: `NAME=value`, each followed by a zero
/// byte.
#[derive(Default)]
pub(crate) struct Variables(Vec<u8>);

pub(crate) fn environ_sizes_get(mut call: Call<'_>, count: u32, size: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let variables = variables(state);
    write_sizes(memory, (count, size), (variables.each().count(), variables.0.len()))
}

pub(crate) fn environ_get(mut call: Call<'_>, pointers: u32, text: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    write_texts(memory, (pointers, text), variables(state).each())
}

/// Created at the first call: the two calls have to return the same.
fn variables(state: &mut State) -> &Variables {
    let made = match state.run.cgi.as_mut().and_then(|cgi| cgi.variables.take()) {
        Some(made) => made,
        None => Variables::new(state),
    };
    state.run.cgi.get_or_insert_default().variables.insert(made)
}

impl Variables {
    fn new(state: &mut State) -> Self {
        let mut variables = Self::default();
        for [name, _, value, _] in state.capabilities.environment.variables() {
            variables.add(name, value);
        }
        let mut request = Request { variables, left: MAX_REQUEST };
        let trace = state.run.trace().to_string();
        request.head(&state.run, &state.capabilities.function);
        request.context(&state.run, &state.capabilities.function, &trace);
        request.headers(&state.run.head.headers);
        request.variables
    }

    /// The value has no zero byte.
    fn add(&mut self, name: &[u8], value: &[u8]) {
        for part in [name, b"=", value, b"\0"] {
            self.0.extend_from_slice(part);
        }
    }

    fn each(&self) -> impl Iterator<Item = [&[u8]; 1]> {
        self.0.split_inclusive(|&byte| byte == 0).map(|variable| [variable])
    }
}

/// The variables of a request, under construction.
struct Request {
    variables: Variables,
    left: usize,
}

impl Request {
    /// Adds a variable, if it is valid and there is room for it.
    fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        let left = self.left.checked_sub(name.len() + value.len() + 2);
        if let Some(left) = left
            && !value.contains(&0)
        {
            self.left = left;
            self.variables.add(name.as_bytes(), value);
        }
    }

    fn head(&mut self, run: &Run, function: &str) {
        let (uri, path) = (&run.head.uri, run.head.uri.path());
        let (script, info) = split(path, function);
        self.add("GATEWAY_INTERFACE", "CGI/1.1");
        self.add("SERVER_SOFTWARE", concat!("hourglass/", env!("CARGO_PKG_VERSION")));
        self.add("SERVER_PROTOCOL", format!("{:?}", run.head.version));
        self.add("REQUEST_METHOD", run.head.method.as_str());
        let host = run.head.headers.get(HOST).map(|host| host.as_bytes());
        let host = host.and_then(|host| Authority::try_from(host).ok());
        self.add("SERVER_NAME", host.as_ref().map_or("localhost", Authority::host));
        let port = host.and_then(|host| host.port_u16()).unwrap_or(80);
        self.add("SERVER_PORT", port.to_string());
        self.add("SCRIPT_NAME", script);
        self.add("PATH_INFO", decoded(info));
        self.add("QUERY_STRING", uri.query().unwrap_or_default());
        self.add("REQUEST_URI", uri.path_and_query().map_or(path, |target| target.as_str()));
        if let Some(kind) = run.head.headers.get(CONTENT_TYPE) {
            self.add("CONTENT_TYPE", kind);
        }
        let length = run.cgi.as_ref().and_then(|cgi| cgi.length);
        if let Some(len) = length.filter(|&len| len > 0) {
            self.add("CONTENT_LENGTH", len.to_string());
        }
    }

    fn context(&mut self, run: &Run, function: &str, trace: &str) {
        self.add("TRACEPARENT", trace);
        self.add("HOURGLASS_FUNCTION", function);
        if let Some(remaining) = run.ctx.remaining() {
            self.add("HOURGLASS_REMAINING_MS", remaining.as_millis().to_string());
        }
        for (name, text) in run.ctx.values() {
            match name {
                FUNCTION | key::TRACEPARENT => {}
                key::CLIENT_ADDRESS => self.add("REMOTE_ADDR", text),
                key::REQUEST_ID => self.add("HOURGLASS_REQUEST_ID", text),
                key::TRACESTATE => self.add("TRACESTATE", text),
                name => {
                    if let Some(name) = of_value(name) {
                        self.add(&name, text);
                    }
                }
            }
        }
    }

    fn headers(&mut self, headers: &HeaderMap) {
        for name in headers.keys() {
            let Some(variable) = of_header(name) else { continue };
            // Joins fields that were split on the way, each kind with its own
            // separator.
            let between = if name == COOKIE { "; " } else { ", " };
            let values: Vec<_> =
                headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
            self.add(&variable, values.join(between.as_bytes()));
        }
    }
}

/// Splits a path after the part that names the function.
fn split<'a>(path: &'a str, function: &str) -> (&'a str, &'a str) {
    let rest = path.strip_prefix('/').and_then(|rest| rest.strip_prefix(function));
    match rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some(rest) => path.split_at(path.len() - rest.len()),
        None => ("", path),
    }
}

/// Decodes the escapes of a path. Malformed ones stay as they are, and so does
/// that of the zero byte, which no variable can contain.
fn decoded(path: &str) -> Vec<u8> {
    percent_decode_str(&path.replace("%00", "%2500")).collect()
}

/// The variable of a header; `None` if it has none. A name with characters
/// other than letters, digits and `-` has none, because its variable could be
/// that of another header. Nor have headers with a variable of another name,
/// and headers that must not have one.
fn of_header(name: &HeaderName) -> Option<String> {
    if [CONTENT_LENGTH, CONTENT_TYPE].contains(name) || name == PROXY {
        return None;
    }
    Some(format!("HTTP_{}", screaming(name.as_str())?))
}

/// The variable of a context's value; `None` if it has none.
fn of_value(name: &str) -> Option<String> {
    match name.strip_prefix(ROUTE_PREFIX) {
        Some(parameter) => Some(format!("HOURGLASS_ROUTE_{}", screaming(parameter)?)),
        None => Some(format!("HOURGLASS_VALUE_{}", screaming(name)?)),
    }
}

/// `like-this` as `LIKE_THIS`; `None` if the result could be that of another
/// name.
fn screaming(name: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_plain = !name.is_empty() && name.bytes().all(is_plain);
    is_plain.then(|| name.to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_path_behind_the_functions_name_is_its_own() {
        for (path, expected) in [
            ("/shop", ("/shop", "")),
            ("/shop/", ("/shop", "/")),
            ("/shop/tea/2", ("/shop", "/tea/2")),
            ("/shopping", ("", "/shopping")),
            ("/images/shop", ("", "/images/shop")),
            ("/", ("", "/")),
            ("", ("", "")),
        ] {
            assert_eq!(split(path, "shop"), expected, "{path}");
        }
    }

    #[test]
    fn escapes_are_undone_where_they_can_be() {
        for (path, expected) in [
            ("/plain+text", &b"/plain+text"[..]),
            ("/a%20b%2F%2f%25", b"/a b//%"),
            ("/gr%C3%BCn%FF", b"/gr\xc3\xbcn\xff"),
            ("/%00%0", b"/%00%0"),
            ("/%zz%4%+4%", b"/%zz%4%+4%"),
        ] {
            assert_eq!(decoded(path), expected, "{path}");
        }
    }

    #[test]
    fn no_two_names_become_one_variable() {
        for (name, expected) in [
            ("x-request-id", Some("HTTP_X_REQUEST_ID")),
            ("x_request_id", None),
            ("x.y", None),
            ("proxy", None),
            ("content-type", None),
            ("content-length", None),
        ] {
            let header = HeaderName::from_static(name);
            assert_eq!(of_header(&header).as_deref(), expected, "{name}");
        }
        for (name, expected) in [
            ("tenant", Some("HOURGLASS_VALUE_TENANT")),
            ("route.id", Some("HOURGLASS_ROUTE_ID")),
            ("route-id", Some("HOURGLASS_VALUE_ROUTE_ID")),
            ("Tenant", None),
            ("a=b", None),
            ("", None),
        ] {
            assert_eq!(of_value(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_the_requests_is_known_by_its_name() {
        for name in FIXED.into_iter().chain(["HTTP_PROXY", "HOURGLASS_VALUE_X"]) {
            assert!(is_requests_own(name), "{name}");
        }
        for name in ["PATH", "GREETING", "HTTPS", "http_x"] {
            assert!(!is_requests_own(name), "{name}");
        }
    }

    #[test]
    fn there_is_no_more_than_there_is_room_for() {
        let mut request = Request { variables: Variables::default(), left: 10 };
        request.add("AB", "0123456");
        request.add("AB", "\0");
        request.add("AB", "012345");
        request.add("C", "");
        assert_eq!(request.variables.0, b"AB=012345\0");
        assert_eq!(request.variables.each().count(), 1);
    }

    proptest! {
        #[test]
        fn a_path_is_never_longer_for_being_decoded(path in "(%[0-9a-fA-F]{0,2}|/|.){0,20}") {
            let decoded = decoded(&path);
            prop_assert!(decoded.len() <= path.len());
            prop_assert_eq!(decoded.contains(&0), path.contains('\0'));
            let (script, info) = split(&path, "shop");
            prop_assert_eq!(format!("{script}{info}"), path);
        }
    }
}
