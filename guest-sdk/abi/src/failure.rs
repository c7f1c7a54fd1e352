//! Names of the reasons why a call or a fetch has no response. If its context is done, the name is
//! the one of [how the context is done](crate::cause).

/// No function of this name is deployed.
pub const NOT_FOUND: &str = "not-found";
/// The caller may not call this function or reach this host.
pub const FORBIDDEN: &str = "forbidden";
/// The host has no capacity left.
pub const BUSY: &str = "busy";
/// The host shuts down.
pub const DRAINING: &str = "draining";
/// The callee trapped.
pub const TRAP: &str = "trap";
/// The callee exited with a nonzero code.
pub const EXIT: &str = "exit";
/// The callee exceeded its memory limit.
pub const OUT_OF_MEMORY: &str = "out-of-memory";
/// The response is missing, incomplete or malformed.
pub const BAD_RESPONSE: &str = "bad-response";
/// The request's body is larger than the callee accepts.
pub const BODY_TOO_LARGE: &str = "body-too-large";
/// The response is larger than allowed.
pub const RESPONSE_TOO_LARGE: &str = "response-too-large";
/// The request is invalid.
pub const BAD_REQUEST: &str = "bad-request";
/// The call chain is longer than allowed.
pub const DEPTH_EXCEEDED: &str = "depth-exceeded";
/// The invocation makes more calls than allowed.
pub const CALLS_EXCEEDED: &str = "calls-exceeded";
/// The host failed.
pub const HOST: &str = "host";
/// The request's body broke off.
pub const REQUEST_BODY: &str = "request-body";
/// The host's name has no address.
pub const UNRESOLVED: &str = "unresolved";
/// No connection could be established.
pub const UNREACHABLE: &str = "unreachable";
/// No secure connection could be established.
pub const TLS: &str = "tls";
/// There are too many redirects, or one is invalid.
pub const REDIRECT: &str = "redirect";
/// The invocation makes more fetches than allowed.
pub const FETCHES_EXCEEDED: &str = "fetches-exceeded";
