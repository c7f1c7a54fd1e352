//! Options of one fetch, as extensions of its request.

use std::time::Duration;

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
