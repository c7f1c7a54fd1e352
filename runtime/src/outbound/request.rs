//! The request that a function makes.

use std::sync::Arc;

use bytes::Bytes;
use hourglass_abi::failure;
use http::{HeaderMap, Method, Request, Uri};
use url::Url;

use super::error::FetchError;
use super::hosts::{Hosts, scheme};
use crate::limits::bytes::Reservation;
use crate::limits::fixed;

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
            _head: Arc::new(head),
        })
    }

    /// The same request to another URL.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn to(&self, url: Url) -> Result<Self, FetchError> {
        Ok(Self { url: normalized(url)?, ..self.clone() })
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
