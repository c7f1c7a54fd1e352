//! Context propagation: how a context travels in the headers of a request, in
//! from a client and out to another host.
//!
//! # Layout
//! - [`trace`]: the span of an invocation (W3C Trace Context), and its ids.
//! - `headers`: the headers of the remaining time, the span and the request's
//!   id, and the headers that are not forwarded.
//! - `baggage`: values (W3C Baggage).

#[cfg(feature = "server")]
pub(crate) mod baggage;
#[cfg(feature = "server")]
pub(crate) mod headers;
#[cfg(feature = "server")]
pub(crate) mod percent;
pub(crate) mod trace;
