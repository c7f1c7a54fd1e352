//! What of a context goes along in a request's headers, in from a client and out
//! to another host.
//!
//! # Layout
//! - [`budget`]: how long whoever asks will wait.
//! - [`baggage`]: values that come along; [`percent`]: how they are written.
//! - [`request_id`]: what a request goes by.
//!
//! The step of a trace is [`crate::trace`]'s own business.

pub(crate) mod baggage;
pub(crate) mod budget;
pub(crate) mod percent;
pub(crate) mod request_id;

use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::context::Context;
use crate::message::REQUEST_ID;
use crate::trace;

/// Headers that are about one connection, or that the host itself writes.
const NOT_HANDED_ON: [HeaderName; 10] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Takes out what is about one connection, and what the connection's own header
/// names as such.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in NOT_HANDED_ON.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Writes down what of a context goes along to another host, in place of what
/// stood there: what is left of its time, its step of a trace, the request's
/// id, and as baggage the values of these names.
pub(crate) fn hand_down(ctx: &Context, names: &[Arc<str>], headers: &mut HeaderMap) {
    budget::hand_down(ctx.remaining(), headers);
    trace::hand_down(ctx, headers);
    baggage::hand_down(ctx, names, headers);
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
    fn the_context_goes_along_as_far_as_it_is_let_out() {
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(60));
        let ctx = ctx
            .with_value(&REQUEST_ID, "id-1".to_owned())
            .with_value(&Key::new("tenant"), "a, b".to_owned())
            .with_value(&Key::new("secret"), "hush".to_owned());
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_static("9H"));
        headers.insert("baggage", HeaderValue::from_static("secret=forged"));
        hand_down(&ctx, &["tenant".into(), "gone".into()], &mut headers);
        assert_eq!(headers["x-request-id"], "id-1");
        assert_eq!(headers["baggage"], "tenant=a%2C%20b");
        let left = budget::of(&headers).expect("a budget");
        assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(30), "{left:?}");
    }

    #[test]
    fn what_is_about_one_connection_stays_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("host", "elsewhere"),
            ("x-kept", "1"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-kept"]);
    }
}
