//! Context propagation: how a context travels in the headers of a request, in
//! from a client and out to another host.
//!
//! # Layout
//! - [`trace`]: the span of an invocation (W3C Trace Context), and its ids;
//!   `trace_headers`: its headers.
//! - `timeout`: the remaining time.
//! - `baggage`: values (W3C Baggage).
//! - `request_id`: the request's id.
//! - `hop_by_hop`: headers that are not forwarded.

#[cfg(feature = "server")]
pub(crate) mod baggage;
#[cfg(feature = "server")]
pub(crate) mod hop_by_hop;
#[cfg(feature = "server")]
pub(crate) mod percent;
#[cfg(feature = "server")]
pub(crate) mod request_id;
#[cfg(feature = "server")]
pub(crate) mod timeout;
pub(crate) mod trace;
#[cfg(feature = "server")]
pub(crate) mod trace_headers;

/// Replaces the headers that carry a context to another host: the remaining
/// time, the span, the request's id, and as baggage the values of these names.
#[cfg(feature = "server")]
pub(crate) fn inject(
    ctx: &crate::context::Context,
    names: &[std::sync::Arc<str>],
    headers: &mut http::HeaderMap,
) {
    timeout::inject(ctx.remaining(), headers);
    trace_headers::inject(ctx, headers);
    baggage::inject(ctx, names, headers);
    request_id::inject(ctx, headers);
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::body::REQUEST_ID;
    use crate::context::{Context, Key};

    #[test]
    fn the_context_is_injected_with_the_allowed_values() {
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(60));
        let ctx = ctx
            .with_value(&REQUEST_ID, "id-1".to_owned())
            .with_value(&Key::new("tenant"), "a, b".to_owned())
            .with_value(&Key::new("secret"), "hush".to_owned());
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_static("9H"));
        headers.insert("baggage", HeaderValue::from_static("secret=forged"));
        inject(&ctx, &["tenant".into(), "gone".into()], &mut headers);
        assert_eq!(headers["x-request-id"], "id-1");
        assert_eq!(headers["baggage"], "tenant=a%2C%20b");
        let left = timeout::extract(&headers).expect("a timeout");
        assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(30), "{left:?}");
    }
}
