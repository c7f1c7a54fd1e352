//! Context propagation: how a context travels in the headers of a request, in
//! from a client and out to another host.
//!
//! # Layout
//! - [`trace`]: the span of an invocation (W3C Trace Context); `traceparent` and
//!   `tracestate`: its headers; `random`: its ids.
//! - `timeout`: the remaining time.
//! - `baggage`: values (W3C Baggage).
//! - `request_id`: the request's id.
//! - `hop_by_hop`: headers that are not forwarded.

mod random;
pub(crate) mod trace;

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
#[cfg(feature = "server")]
pub(crate) mod traceparent;
#[cfg(feature = "server")]
mod tracestate;

#[cfg(feature = "server")]
mod headers;
#[cfg(feature = "server")]
pub(crate) use self::headers::inject;
