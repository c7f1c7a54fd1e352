//! Injects a context into the headers of a request to another host.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::{baggage, request_id, timeout, traceparent};
use crate::body::REQUEST_ID;
use crate::context::Context;

/// Replaces the headers that carry a context to another host: the remaining
/// time, the span, the request's id, and as baggage the values of these names.
pub(crate) fn inject(ctx: &Context, names: &[Arc<str>], headers: &mut HeaderMap) {
    timeout::inject(ctx.remaining(), headers);
    traceparent::inject(ctx, headers);
    baggage::inject(ctx, names, headers);
    headers.remove(request_id::HEADER);
    if let Some(id) = ctx.value(&REQUEST_ID).and_then(|id| HeaderValue::try_from(id).ok()) {
        headers.insert(request_id::HEADER, id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::context::Key;

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
