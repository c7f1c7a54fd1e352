//! Options of one fetch, as extensions of its request.

use std::time::Duration;

/// How many redirects a fetch follows: an [extension](http::Request::extensions) of its request.
/// Without it none is, and a redirect is a response like any other. The host follows 20 at most.
///
/// Each is checked against the hosts that the function may reach. Credentials (`authorization` and
/// `cookie`) do not go along to another origin. A redirect that asks for the body once more is not
/// followed where the body was [streamed](crate::Body::stream).
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
/// [`FetchError::HeadTimeout`](crate::FetchError::HeadTimeout). Sending a body that is
/// [streamed](crate::Body::stream) counts, but is not interrupted.
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
