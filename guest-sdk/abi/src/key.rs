//! Names of the context values that only the host sets.

/// The request's id.
pub const REQUEST_ID: &str = "request-id";
/// The function's name.
pub const FUNCTION: &str = "function";
/// The authenticated principal of the request.
pub const PRINCIPAL: &str = "principal";
/// The client's address.
pub const CLIENT_ADDRESS: &str = "client-address";
/// The position in a distributed trace, as in W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// The vendor's part of [`TRACEPARENT`].
pub const TRACESTATE: &str = "tracestate";
/// The prefix of the names of a route's parameters.
pub const ROUTE_PREFIX: &str = "route.";

/// Whether only the host may set the value of this name.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let names = [REQUEST_ID, FUNCTION, PRINCIPAL, CLIENT_ADDRESS, TRACEPARENT, TRACESTATE];
    names.contains(&name) || name.starts_with(ROUTE_PREFIX)
}
