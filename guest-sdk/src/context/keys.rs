//! The keys of the values that the host sets.
//!
//! A function can read them and cannot set them, so whatever it calls can rely on them too. The
//! parts of a route are the host's own as well: what stands for `{id}` is the value `route.id`.

use super::Key;

/// The request's id, as it is in the host's log and in the `x-request-id` of the response.
pub const REQUEST_ID: Key<String> = Key::new("request-id");

/// The name by which the function was called.
pub const FUNCTION: Key<String> = Key::new("function");

/// On whose behalf the request is, where the host has made sure of that.
pub const PRINCIPAL: Key<String> = Key::new("principal");

/// The address that the request came from.
pub const CLIENT_ADDRESS: Key<String> = Key::new("client-address");

/// Where the request stands in a distributed trace, in the form of W3C Trace Context.
pub const TRACEPARENT: Key<String> = Key::new("traceparent");

/// What tracing systems added to [`TRACEPARENT`].
pub const TRACESTATE: Key<String> = Key::new("tracestate");

/// Whether only the host may set the value of this name.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn is_the_hosts(name: &str) -> bool {
    let keys = [REQUEST_ID, FUNCTION, PRINCIPAL, CLIENT_ADDRESS, TRACEPARENT, TRACESTATE];
    keys.iter().any(|key| key.name() == name) || name.starts_with("route.")
}
