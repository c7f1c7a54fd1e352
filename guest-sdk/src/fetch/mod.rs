//! Requests to other hosts, on behalf of a context.

mod error;

pub use error::FetchError;

use std::time::{Duration, Instant};

use crate::pending::Late;
use crate::{Body, Context, Pending, Request, Response, platform};

/// Requests to other hosts.
///
/// A fetch has at most the remaining time of this context. It ends when this context is done: the
/// connection is closed, so that the other host notices. The host that the function runs on
/// propagates the remaining time (as `grpc-timeout`), the trace context and the request id. It
/// keeps connections alive for later fetches, and uses HTTP/1.1, or HTTP/2 if the other side
/// supports it.
///
/// A function may reach only the hosts that its configuration lists as `allow_hosts`: none by
/// default, and no address that is not public unless it is listed as such.
///
/// The request's URI is absolute (`https://host/path`). Hop-by-hop headers are removed in both
/// directions, and so is `host`. Any response is a success, whatever its status.
impl Context {
    /// Fetches, and waits for the response's head. The body may still be in transit. Read it piece
    /// by piece, return it as the response's own body to forward it piece by piece, or read it as a
    /// whole.
    ///
    /// The body keeps this context from being canceled until the body is dropped: see [how long a
    /// derived context lives](Self#how-long-a-derived-context-lives). The context's deadline
    /// applies to the body too. [`HeadTimeout`] limits the wait for the head alone.
    ///
    /// The body of the function's own request may also be the fetch's body. The host then forwards
    /// it as it arrives, while the function continues. A [streamed](Body::stream) or fetched body
    /// is sent piece by piece before this method returns, as fast as the other side accepts it. If
    /// the other host starts a response that is larger than the connection's buffers before it has
    /// read the whole request, both sides block until the context is done. Send such hosts a
    /// buffered body. The body of a GET or a HEAD must be buffered.
    ///
    /// ```
    /// use hourglass_sdk::{Context, Request, Response, Result};
    ///
    /// fn handler(ctx: &Context, _: Request) -> Result<Response> {
    ///     let page = ctx.fetch(Request::get("https://example.com/page").body(())?)?;
    ///     Ok(page)
    /// }
    /// # let ctx = Context::background().with_fetch(|_, req: Request| req.uri().to_string());
    /// # let page = handler(&ctx, Request::default()).unwrap();
    /// # assert_eq!(page.body().text().unwrap(), "https://example.com/page");
    /// ```
    ///
    /// # Errors
    ///
    /// [`FetchError`] if there is no response.
    pub fn fetch<B: Into<Body>>(&self, request: Request<B>) -> Result<Response, FetchError> {
        self.start_fetch(request).wait()
    }

    /// Starts a fetch, without waiting: the response is [`Pending`]. Several fetches may be in
    /// progress at once. [`select`](crate::select) returns the first with a complete response head,
    /// and [`join_all`](crate::join_all) returns all.
    ///
    /// An immediate failure, for example because the function may not reach the host, is reported
    /// by the wait.
    pub fn start_fetch<B: Into<Body>>(&self, request: Request<B>) -> Pending<FetchError> {
        let request = request.map(Into::into);
        let url = request.uri().to_string();
        let late = request.extensions().get().and_then(|limit| late(&url, *limit));
        let started = platform::start_fetch(self, &url, request);
        Pending::new(self, url, started, late)
    }
}

/// The maximum number of redirects that a fetch follows: an [extension](http::Request::extensions)
/// of its request. Without it, redirects are not followed and are ordinary responses. The host
/// follows at most 20.
///
/// Each redirect is checked against the hosts that the function may reach. Credentials
/// (`authorization` and `cookie`) are not sent to another origin. A redirect that requires sending
/// the body again is not followed if the body was [streamed](crate::Body::stream).
///
/// ```
/// use hourglass_sdk::{Redirects, Request};
///
/// let request = Request::get("https://example.com/").extension(Redirects(5)).body(());
/// # assert!(request.is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redirects(pub u32);

/// The time that a fetch waits for the response's head: an [extension](http::Request::extensions)
/// of its request. Without it, and always for the response's body, the limit is the context's
/// remaining time.
///
/// The time starts with the fetch. A fetch that exceeds it ends with
/// [`FetchError::HeadTimeout`](crate::FetchError::HeadTimeout).
/// Sending a [streamed](crate::Body::stream) body counts towards the time, but is not interrupted.
///
/// ```
/// use std::time::Duration;
///
/// use hourglass_sdk::{HeadTimeout, Request};
///
/// let limit = HeadTimeout(Duration::from_millis(200));
/// let request = Request::get("https://example.com/").extension(limit).body(());
/// # assert!(request.is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadTimeout(pub Duration);

/// Returns the time from which a response's head is late, and the error to report then. `None`, if
/// the time overflows, is effectively never.
fn late(url: &str, HeadTimeout(after): HeadTimeout) -> Option<Late<FetchError>> {
    let text = format!("{url}: no response head within {after:?}");
    let at = Instant::now().checked_add(after)?;
    Some(Late { at, error: FetchError::HeadTimeout(text) })
}
