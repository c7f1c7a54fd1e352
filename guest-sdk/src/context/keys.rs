//! The keys of the values that the host sets.
//!
//! A function can read them and cannot set them, so whatever it calls can rely on them too. The
//! parts of a route are the host's own as well: what stands for `{id}` is the value `route.id`.

use hourglass_abi::key;

use super::Key;

/// The request's id, as it is in the host's log and in the `x-request-id` of the response.
pub const REQUEST_ID: Key<String> = Key::new(key::REQUEST_ID);

/// The name by which the function was called.
pub const FUNCTION: Key<String> = Key::new(key::FUNCTION);

/// On whose behalf the request is, where the host has made sure of that.
pub const PRINCIPAL: Key<String> = Key::new(key::PRINCIPAL);

/// The address that the request came from.
pub const CLIENT_ADDRESS: Key<String> = Key::new(key::CLIENT_ADDRESS);

/// Where the request stands in a distributed trace, in the form of W3C Trace Context.
pub const TRACEPARENT: Key<String> = Key::new(key::TRACEPARENT);

/// What tracing systems added to [`TRACEPARENT`].
pub const TRACESTATE: Key<String> = Key::new(key::TRACESTATE);
