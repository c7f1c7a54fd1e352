//! Requests to other hosts, on behalf of a context.
//!
//! Who answers is another file's business: `host` asks the host, `native` (outside of a host, for
//! tests) asks the handler that the test registered.

mod error;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(not(target_arch = "wasm32"))]
mod native;

pub use error::FetchError;
#[cfg(target_arch = "wasm32")]
use host as fetches;
#[cfg(not(target_arch = "wasm32"))]
use native as fetches;

use std::time::{Duration, Instant};

pub(crate) use self::fetches::Fetched;
use crate::pending::Late;
use crate::{Body, Context, Pending, Request, Response};

/// How many redirects a fetch follows: an [extension](http::Request::extensions) of its request.
/// Without it none is, and a redirect is a response like any other. The host follows 20 at most.
///
/// Each is checked against the hosts that the function may reach. Credentials (`authorization` and
/// `cookie`) do not go along to another origin. A redirect that asks for the body once more is not
/// followed where the body was [streamed](Body::stream).
///
/// ```
/// use hourglass_sdk::{Redirects, Request};
///
/// let request = Request::get("https://example.com/").extension(Redirects(5)).body(());
/// # assert!(request.is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redirects(pub u32);

/// How long a fetch waits for the response's head: an [extension](http::Request::extensions) of its
/// request. Without it, and always for the response's body, there is as much time as the context
/// has left.
///
/// The time begins with the fetch. A fetch that exceeds it is ended, and fails as
/// [`FetchError::HeadTimeout`]. Sending a body that is [streamed](Body::stream) counts, but is not
/// interrupted.
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

/// Requests to other hosts.
///
/// A fetch has no more time than is left of this context, and it ends when this context is done:
/// the connection is closed, so that the other host hears of it. The host that the function runs on
/// hands down what is left of the time (as `grpc-timeout`), the trace and the request's id, keeps
/// connections for later fetches, and speaks HTTP/1.1 or, where the other side does, HTTP/2.
///
/// Which hosts a function may reach is what its configuration lists as `allow_hosts`: none unless
/// listed, and no address that is not public unless that is listed as one.
///
/// The request's URI is absolute (`https://host/path`). Headers that are about one connection are
/// left out in either direction, and so is `host`. Any response is one, whatever its status.
impl Context {
    /// Fetches, and waits for the response's head. Its body may still be on its way: read it piece
    /// by piece, give it as the response's own body to have it passed on that way, or look at it as
    /// a whole.
    ///
    /// The body keeps this context from being canceled until the body is dropped: see [how long a
    /// derived context lives](Self#how-long-a-derived-context-lives). The context's deadline holds
    /// for the body too. [`HeadTimeout`] limits the wait for the head alone.
    ///
    /// The body of the function's own request may be the fetch's, too: the host then passes on what
    /// comes, while the function goes on. A body that is [streamed](Body::stream), or was fetched
    /// itself, is sent piece by piece before this returns, as fast as the other side takes it.
    /// Another host that answers while it reads, with more than the connection holds, waits for its
    /// answer to be read, and so does this for the host, until the context is done: send that one a
    /// whole body. The body of a GET or a HEAD has to be whole.
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
    /// [`FetchError`] when there is no response.
    pub fn fetch<B: Into<Body>>(&self, request: Request<B>) -> Result<Response, FetchError> {
        self.start_fetch(request).wait()
    }

    /// Fetches, and does not wait: the response is [`Pending`]. Several may be under way at once;
    /// [`select`](crate::select) gives the first whose head is there, and
    /// [`join_all`](crate::join_all) all.
    ///
    /// What fails at once, since the host is not one that may be reached for example, says so when
    /// it is waited for.
    pub fn start_fetch<B: Into<Body>>(&self, request: Request<B>) -> Pending<FetchError> {
        let request = request.map(Into::into);
        let url = request.uri().to_string();
        let late = request.extensions().get().and_then(|limit| late(&url, *limit));
        let started = fetches::start(self, &url, request);
        Pending::new(self, url, started).late(late)
    }
}

/// When a response's head is late, and the error that says so. `None` is as good as never.
fn late(url: &str, HeadTimeout(after): HeadTimeout) -> Option<Late<FetchError>> {
    let text = format!("{url}: no response head within {after:?}");
    let at = Instant::now().checked_add(after)?;
    Some(Late { at, error: FetchError::HeadTimeout(text) })
}
