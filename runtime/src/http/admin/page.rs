//! The page of the dashboard. Its files are part of the program, and contain no
//! data: the page reads that from the other endpoints.

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_FRAME_OPTIONS,
};
use http::{Method, Request};

use super::endpoints::only;
use crate::body::Response;

/// The page runs its own script and style, and connects to this listener alone.
/// Images come from the page too: it shows those that a function returns.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The path of each file, its type, and its content.
const FILES: [(&str, &str, &[u8]); 3] = [
    ("/", "text/html; charset=utf-8", include_bytes!("page/index.html")),
    ("/app.js", "text/javascript; charset=utf-8", include_bytes!("page/app.js")),
    ("/app.css", "text/css; charset=utf-8", include_bytes!("page/app.css")),
];

/// The file that a request is for, if it is for one.
pub(super) fn response<B>(request: &Request<B>) -> Option<Response> {
    let (_, kind, content) = FILES.into_iter().find(|(path, ..)| *path == request.uri().path())?;
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Some(only("GET"));
    }
    let mut response = Response::new(bytes::Bytes::from_static(content).into());
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}
