//! The next request after a redirect, for functions that follow redirects.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE,
    LOCATION,
};
use http::{Method, StatusCode};
use url::Url;

use super::error::FetchError;
use super::request::Order;
use crate::body::Response;
use crate::limits::fixed;

/// The next request, in place of `order`; `None` if the response is not a
/// redirect, or one that can't be followed because the body is gone.
///
/// # Errors
/// The redirect has no valid target.
pub(super) fn next(order: &Order, response: &Response) -> Result<Option<Order>, FetchError> {
    let bodiless = match response.status() {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => order.method == Method::POST,
        StatusCode::SEE_OTHER => order.method != Method::HEAD,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
        _ => return Ok(None),
    };
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    if !bodiless && order.body.is_none() {
        return Ok(None);
    }
    let nowhere = || {
        let host = fixed::cut(order.url.authority(), fixed::TEXT);
        FetchError::Redirect(format!("{host} redirects to no address"))
    };
    let location = location.to_str().map_err(|_| nowhere())?;
    let url = order.url.join(location).map_err(|_| nowhere())?;
    let mut next = order.to(url)?;
    if bodiless {
        next.method = Method::GET;
        next.body = Some(bytes::Bytes::new());
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
            next.headers.remove(name);
        }
    }
    if !same_origin(&order.url, &next.url) {
        // Credentials must not reach another origin.
        for name in [AUTHORIZATION, COOKIE] {
            next.headers.remove(name);
        }
    }
    Ok(Some(next))
}

fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && a.port_or_known_default() == b.port_or_known_default()
}
