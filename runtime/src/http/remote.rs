//! A function on another host, called like a local one.
//!
//! The call propagates its context as far as HTTP can carry it: the remaining
//! time budget, the trace step, the request's id, and the values that the
//! operator allows as baggage. When the context is done, the connection is
//! closed, which cancels the call on the other host.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::Uri;
use http::uri::{Authority, Scheme};
use http_body_util::{LengthLimitError, Limited};

use super::target;
use crate::body::{Body, Request, Response};
use crate::context::Context;
use crate::error::DeployError;
use crate::limits::bytes::ByteBudget;
use crate::outbound::{Client, FetchError, Hosts, Upload, client};
use crate::outcome::Outcome;
use crate::propagation::headers;
use crate::runtime::Runtime;

/// The largest accepted response, in bytes.
const MAX_BODY: usize = 10 << 20;

/// A function on another host, identified by its URL.
///
/// ```no_run
/// # use std::time::Duration;
/// # fn example(runtime: hourglass::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// use hourglass::http::Remote;
///
/// let resize = Remote::new("http://images.internal:8080/resize")?.baggage(["tenant"]);
/// resize.provide(&runtime, "resize", Duration::from_secs(5))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Remote {
    client: Client,
    base: Uri,
    baggage: Arc<[Arc<str>]>,
}

/// Why a URL can't be a function's.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` can't be called: {reason}; write it as `https://host:port/function`")]
pub struct RemoteError {
    url: String,
    reason: String,
}

impl Remote {
    /// A function at a URL such as `https://host:port/function`, or one of
    /// plain `http`. The first call connects; connections are reused for later
    /// calls. Certificates are checked against this machine's trust store;
    /// `SSL_CERT_FILE` names another.
    ///
    /// # Errors
    /// [`RemoteError`] if the URL is invalid, or its scheme is not HTTP or
    /// HTTPS. It does not show a user, a password or a query.
    pub fn new(url: &str) -> Result<Self, RemoteError> {
        let refuse = |reason: String| RemoteError { url: redacted(url), reason };
        let base: Uri = url.parse().map_err(|error| refuse(format!("{error}")))?;
        let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&base.scheme());
        if !is_http || base.host().is_none_or(str::is_empty) {
            return Err(refuse("it is no address of HTTP".into()));
        }
        if base.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refuse("a user and a password in it are not sent".into()));
        }
        // A password with a `/` ends the authority, and looks like a port.
        let is_plain = |authority: &Authority| {
            authority.as_str() == authority.host() || authority.port_u16().is_some()
        };
        if !base.authority().is_some_and(is_plain) {
            return Err(refuse("its port is not a number up to 65535".into()));
        }
        if base.query().is_some() {
            return Err(refuse("a query belongs to a call".into()));
        }
        if target::has_dot_segment(&target::decode(base.path())) {
            return Err(refuse("its path has a segment `.` or `..`".into()));
        }
        let client = client(Arc::new(Hosts::anywhere()));
        Ok(Self { client, base, baggage: Arc::new([]) })
    }

    /// Names the values of a call's context that are sent as `baggage`, which
    /// everyone on the way can read. Default: none.
    #[must_use]
    pub fn baggage<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.baggage = names.into_iter().map(Into::into).collect();
        self
    }

    /// Lets the functions of a runtime call it under a name, within `timeout`.
    ///
    /// A call's path is appended to the URL's own, except a bare `/`. A call is
    /// [`Outcome::BadRequest`] if its path has a segment `.` or `..`, encoded
    /// or not, if its target is not a path, or if its method is CONNECT: no
    /// call reaches anything on the other host but that URL and what is below
    /// it. A host that can't be reached within 10 seconds, or that does not
    /// send a whole response of at most 10 MiB with a head of at most 64 KiB,
    /// is [`Outcome::BadResponse`].
    ///
    /// # Errors
    /// As [`Runtime::provide`].
    pub fn provide(
        self,
        runtime: &Runtime,
        name: &str,
        timeout: Duration,
    ) -> Result<(), DeployError> {
        runtime.provide(name, timeout, move |ctx, request| {
            let remote = self.clone();
            async move { remote.call(&ctx, request).await }
        })
    }

    async fn call(&self, ctx: &Context, request: Request) -> Result<Response, Outcome> {
        let failed = |error: &(dyn Error + 'static)| {
            Outcome::BadResponse(format!("{}: {}", self.base, FetchError::from_client(error)))
        };
        let (mut head, body) = request.into_parts();
        let budget = head.extensions.remove::<Arc<ByteBudget>>();
        head.uri = target::below(&self.base, &head.method, &head.uri)
            .map_err(|error| Outcome::BadRequest(error.to_string()))?;
        headers::strip_hop_by_hop(&mut head.headers);
        headers::inject(ctx, &self.baggage, &mut head.headers);
        let body = body.bytes().await.map_err(|error| Outcome::BadRequest(error.to_string()))?;
        let (body, _gone) = Upload::whole(body);
        let request = http::Request::from_parts(head, body);
        let response = self.client.request(request).await.map_err(|error| failed(&error))?;
        let (mut head, body) = response.into_parts();
        headers::strip_hop_by_hop(&mut head.headers);
        let mut body = Body::stream(Limited::new(body, MAX_BODY));
        // Charged to the caller while it arrives: many responses may be in
        // transit.
        let mut reservation = budget.and_then(|budget| budget.reserve(0));
        let mut whole = BytesMut::new();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => Outcome::ResponseTooLarge { limit: MAX_BODY as u64 },
                None => failed(&*error),
            })?;
            let grown = reservation.as_mut().map_or(Ok(()), |held| held.grow(piece.len() as u64));
            grown.map_err(|limit| Outcome::ResponseTooLarge { limit })?;
            whole.extend_from_slice(&piece);
        }
        Ok(Response::from_parts(head, whole.freeze().into()))
    }
}

/// The URL, which may be malformed, without the parts that may be secrets: all
/// before the last `@` but the scheme, and the query.
fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    // A malformed password may contain any character.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("...@", rest),
        None => ("", rest),
    };
    match rest.split_once(['?', '#']) {
        Some((rest, _)) => format!("{scheme}{user}{rest}?..."),
        None => format!("{scheme}{user}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_no_user_password_or_query() {
        for (url, shown) in [
            ("http://hush:hush@h/", "`http://...@h/`"),
            ("htp://hush:hush@h:1/f", "`htp://...@h:1/f`"),
            ("http://hush:hush @h/f", "`http://...@h/f`"),
            ("hush:hush@h", "`...@h`"),
            ("http:/hush:hush@h/", "`...@h/`"),
            ("http://hush:hu/sh@h/f", "`http://...@h/f`"),
            ("http://h h/f?token=hush", "`http://h h/f?...`"),
            ("http://h/f?token=hush", "`http://h/f?...`"),
            ("http://h/../f", "`http://h/../f`"),
        ] {
            let error = Remote::new(url).expect_err(url).to_string();
            assert!(error.starts_with(shown), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn an_address_that_can_not_be_called_says_why() {
        for bad in [
            "",
            "second",
            "/second",
            "https://",
            "http://",
            "ftp://h/f",
            "http://h:port/f",
            "http://h:65536/f",
            "http://h:/f",
            "http://h/f?q",
            "http://h/../f",
            "http://h/f/%2e%2e",
        ] {
            let error = Remote::new(bad).expect_err(bad).to_string();
            assert!(error.contains("https://host:port/function"), "{error}");
        }
    }
}
