//! The request that a function makes.

use std::sync::Arc;

use bytes::Bytes;
use hourglass_abi::failure;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE,
    LOCATION,
};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use url::Url;

use super::error::FetchError;
use super::hosts::{Hosts, scheme};
use crate::body::Response;
use crate::limits::bytes::Reservation;
use crate::limits::fixed;
use crate::telemetry::recorder::SpanParent;

/// The most redirects followed, whatever a function asks for.
const MAX_REDIRECTS: u32 = 20;

/// A request to another host, as the function made it.
#[derive(Clone)]
pub(crate) struct FetchRequest {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// The whole body, if it is buffered.
    pub(super) body: Option<Bytes>,
    /// The most redirects to follow.
    pub(super) redirects: u32,
    /// Where it is recorded, if its request is.
    pub(super) recorded_in: Option<SpanParent>,
    /// The reservation for the head, for as long as any copy of it exists.
    _head: Arc<Reservation>,
}

impl FetchRequest {
    /// A request for a URL. `head` is the reservation for its head, and `body`
    /// is the whole body; without one it follows.
    ///
    /// # Errors
    /// [`failure::BAD_REQUEST`]: the URL can't be fetched.
    pub(crate) fn new(
        request: Request<()>,
        url: &str,
        head: Reservation,
        body: Option<Bytes>,
        redirects: u32,
    ) -> Result<Self, FetchError> {
        if request.method() == Method::CONNECT {
            return Err(FetchError::bad_request("CONNECT fetches nothing"));
        }
        if body.is_none() && [Method::GET, Method::HEAD].contains(request.method()) {
            // It would be left out silently.
            let reason = "the body of a GET or a HEAD has to be whole, if there is one";
            return Err(FetchError::bad_request(reason));
        }
        let url = Url::parse(url).map_err(|_| unusable("its address is no absolute URL"))?;
        let (parts, ()) = request.into_parts();
        Ok(Self {
            method: parts.method,
            url: normalized(url)?,
            headers: parts.headers,
            body,
            redirects: redirects.min(MAX_REDIRECTS),
            recorded_in: None,
            _head: Arc::new(head),
        })
    }

    /// Records it as a step of the request that led to it.
    pub(crate) fn recorded_in(self, parent: Option<SpanParent>) -> Self {
        Self { recorded_in: parent, ..self }
    }

    /// The next request after a redirect; `None` if the response is not a
    /// redirect, or one that can't be followed because the body is gone.
    ///
    /// # Errors
    /// The redirect has no valid target.
    pub(super) fn redirected(&self, response: &Response) -> Result<Option<Self>, FetchError> {
        let bodiless = match response.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Ok(None),
        };
        let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
        if !bodiless && self.body.is_none() {
            return Ok(None);
        }
        let location = location.to_str().ok().and_then(|location| self.url.join(location).ok());
        let url = location.ok_or_else(|| {
            let host = fixed::cut(self.url.authority(), fixed::TEXT);
            FetchError::new(failure::REDIRECT, format!("{host} redirects to no address"))
        })?;
        let mut next = Self { url: normalized(url)?, ..self.clone() };
        let mut removed = vec![];
        if bodiless {
            next.method = Method::GET;
            next.body = Some(Bytes::new());
            removed.extend([CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION]);
        }
        if self.url.origin() != next.url.origin() {
            // Credentials must not reach another origin.
            removed.extend([AUTHORIZATION, COOKIE]);
        }
        for name in removed {
            next.headers.remove(name);
        }
        Ok(Some(next))
    }

    /// Checks whether it may be sent.
    ///
    /// # Errors
    /// [`failure::FORBIDDEN`], or [`failure::BAD_REQUEST`] if a redirect made
    /// it invalid.
    pub(super) fn check(&self, hosts: &Hosts) -> Result<(), FetchError> {
        let scheme = self.url.scheme();
        let (Some(host), Some(port)) = (self.url.host(), self.url.port_or_known_default()) else {
            return Err(FetchError::bad_request("its address is not one of http or https"));
        };
        if hosts.allow(scheme, &host, port) {
            return Ok(());
        }
        let host = fixed::display(&host, fixed::TEXT);
        let text = format!("`{scheme}://{host}:{port}` is not among the function's `allow_hosts`");
        Err(FetchError::new(failure::FORBIDDEN, text))
    }

    /// The URL, for the client.
    ///
    /// # Errors
    /// [`failure::BAD_REQUEST`]: it is too long.
    pub(super) fn uri(&self) -> Result<Uri, FetchError> {
        let unusable = |error| format!("its address can't be used: {error}");
        self.url.as_str().parse().map_err(|error| FetchError::bad_request(unusable(error)))
    }
}

/// The URL in the form that is compared and requested.
fn normalized(mut url: Url) -> Result<Url, FetchError> {
    if scheme(url.scheme()).is_none() {
        return Err(unusable("its address is not one of http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(unusable("its address has credentials, which belong into a header"));
    }
    // A trailing dot does not make a different host.
    if let Some(name) = url.domain().and_then(|name| name.strip_suffix('.')) {
        let name = name.to_owned();
        url.set_host(Some(&name)).map_err(|_| unusable("its address has no host"))?;
    }
    url.set_fragment(None);
    Ok(url)
}

fn unusable(reason: &str) -> FetchError {
    FetchError::bad_request(format!("{reason}; write it as `https://host/path`"))
}
