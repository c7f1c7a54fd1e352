//! Health, for load balancers and orchestrators: whether the process serves,
//! and whether it accepts invocations.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};

use crate::body::Response;
use crate::runtime::Runtime;

/// The response to a request for `/livez` or `/readyz` below a path; `None` for
/// any other.
pub(super) fn response<B>(
    request: &Request<B>,
    below: &str,
    runtime: &Runtime,
) -> Option<Response> {
    let endpoint = request.uri().path().strip_prefix(below)?;
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return None;
    }
    let (status, text) = match endpoint {
        "/livez" => (StatusCode::OK, "alive\n"),
        "/readyz" if runtime.is_draining() => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        "/readyz" => (StatusCode::OK, "ready\n"),
        _ => return None,
    };
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}
