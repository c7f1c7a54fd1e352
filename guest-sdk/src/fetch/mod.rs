//! Requests to other hosts, on behalf of a context.
//!
//! Who answers is another file's business: `host` asks the host, `native` (outside of a host, for
//! tests) asks the handler that the test registered.

mod error;
mod fetched;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(not(target_arch = "wasm32"))]
mod native;
mod options;

pub use error::FetchError;
pub(crate) use fetched::Fetched;
#[cfg(target_arch = "wasm32")]
use host as fetches;
#[cfg(not(target_arch = "wasm32"))]
use native as fetches;
pub use options::{HeadTimeout, Redirects};

use std::time::Instant;

use crate::pending::Late;
use crate::{Body, Context, Pending, Request, Response};

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
