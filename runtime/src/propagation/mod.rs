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
