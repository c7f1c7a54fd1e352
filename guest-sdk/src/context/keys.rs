//! The keys of the values that the host sets.
//!
//! A function can read these values but not set them, so the functions that it calls can rely on
//! them too. A route's parameters are also reserved for the host: the value of `{id}` is
//! `route.id`.

use hourglass_abi::key;

use super::Key;

/// The request's id, as in the host's log and in the response's `x-request-id`.
pub const REQUEST_ID: Key<String> = Key::new(key::REQUEST_ID);

/// The name by which the function was called.
pub const FUNCTION: Key<String> = Key::new(key::FUNCTION);

/// The authenticated principal of the request, if the host has verified one.
pub const PRINCIPAL: Key<String> = Key::new(key::PRINCIPAL);

/// The address that the request came from.
pub const CLIENT_ADDRESS: Key<String> = Key::new(key::CLIENT_ADDRESS);

/// The request's position in a distributed trace, in the format of W3C Trace Context.
pub const TRACEPARENT: Key<String> = Key::new(key::TRACEPARENT);

/// The data that tracing systems added to [`TRACEPARENT`].
pub const TRACESTATE: Key<String> = Key::new(key::TRACESTATE);
