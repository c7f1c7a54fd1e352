//! The next request after a redirect, for functions that follow redirects.

use hourglass_abi::failure;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE,
    LOCATION,
};
use http::{Method, StatusCode};

use super::error::FetchError;
use super::request::FetchRequest;
use crate::body::Response;
use crate::limits::fixed;

/// The next request, in place of `request`; `None` if the response is not a
/// redirect, or one that can't be followed because the body is gone.
///
/// # Errors
/// The redirect has no valid target.
pub(super) fn next(
    request: &FetchRequest,
    response: &Response,
) -> Result<Option<FetchRequest>, FetchError> {
    let bodiless = match response.status() {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
        StatusCode::SEE_OTHER => request.method != Method::HEAD,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
        _ => return Ok(None),
    };
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    if !bodiless && request.body.is_none() {
        return Ok(None);
    }
    let nowhere = || {
        let host = fixed::cut(request.url.authority(), fixed::TEXT);
        FetchError::new(failure::REDIRECT, format!("{host} redirects to no address"))
    };
    let location = location.to_str().map_err(|_| nowhere())?;
    let url = request.url.join(location).map_err(|_| nowhere())?;
    let mut next = request.to(url)?;
    if bodiless {
        next.method = Method::GET;
        next.body = Some(bytes::Bytes::new());
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
            next.headers.remove(name);
        }
    }
    if request.url.origin() != next.url.origin() {
        // Credentials must not reach another origin.
        for name in [AUTHORIZATION, COOKIE] {
            next.headers.remove(name);
        }
    }
    Ok(Some(next))
}
