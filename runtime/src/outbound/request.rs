//! The request that a function makes.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::uri::Uri;
use http::{HeaderMap, Method, Request};
use url::Url;

use super::error::FetchError;
use super::hosts::{Hosts, Scheme};
use crate::limits::bytes::Reservation;
use crate::limits::fixed;

/// The most redirects followed, whatever a function asks for.
const MOST_REDIRECTS: u32 = 20;

/// A request to another host, as the function made it.
#[derive(Clone)]
pub(crate) struct Order {
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

impl Order {
    /// A request for a URL. `reserved` is the reservation for its head, and `body`
    /// is the whole body; without one it follows.
    ///
    /// # Errors
    /// [`FetchError::BadRequest`]: the URL can't be fetched.
    pub(crate) fn new(
        request: Request<()>,
        url: &str,
        reserved: Reservation,
        body: Option<Bytes>,
        redirects: u32,
    ) -> Result<Self, FetchError> {
        if request.method() == Method::CONNECT {
            return Err(FetchError::BadRequest("CONNECT fetches nothing".into()));
        }
        if body.is_none() && [Method::GET, Method::HEAD].contains(request.method()) {
            // It would be left out silently.
            let reason = "the body of a GET or a HEAD has to be whole, if there is one";
            return Err(FetchError::BadRequest(reason.into()));
        }
        let url = Url::parse(url).map_err(|_| unusable("its address is no absolute URL"))?;
        let (head, ()) = request.into_parts();
        let redirects = redirects.min(MOST_REDIRECTS);
        let (method, headers, url) = (head.method, head.headers, plain(url)?);
        Ok(Self { method, url, headers, body, redirects, _head: Arc::new(reserved) })
    }

    /// The same request to another URL.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn to(&self, url: Url) -> Result<Self, FetchError> {
        Ok(Self { url: plain(url)?, ..self.clone() })
    }

    /// The length of the body that follows, if the function announced it.
    pub(super) fn announced(&self) -> Option<u64> {
        self.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// Checks whether it may be sent.
    ///
    /// # Errors
    /// [`FetchError::Forbidden`], or [`FetchError::BadRequest`] if a redirect
    /// made it invalid.
    pub(super) fn check(&self, hosts: &Hosts) -> Result<(), FetchError> {
        let scheme = Scheme::of(self.url.scheme());
        let (Some(scheme), Some(host), Some(port)) =
            (scheme, self.url.host(), self.url.port_or_known_default())
        else {
            return Err(FetchError::BadRequest("its address is not one of http or https".into()));
        };
        if hosts.allow(scheme, &host, port) {
            return Ok(());
        }
        let host = fixed::display(&host, fixed::TEXT);
        Err(FetchError::Forbidden(format!(
            "`{scheme}://{host}:{port}` is not among the function's `allow_hosts`"
        )))
    }

    /// The URL, for the client.
    ///
    /// # Errors
    /// [`FetchError::BadRequest`]: it is too long.
    pub(super) fn uri(&self) -> Result<Uri, FetchError> {
        let uri = self.url.as_str().parse();
        uri.map_err(|error| FetchError::BadRequest(format!("its address can't be used: {error}")))
    }
}

/// The URL in the form that is compared and requested.
fn plain(mut url: Url) -> Result<Url, FetchError> {
    if Scheme::of(url.scheme()).is_none() {
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
    FetchError::BadRequest(format!("{reason}; write it as `https://host/path`"))
}
