//! The context values of a request: its id, its principal, its trace, its path
//! parameters, and the baggage that its route allows.

use http::HeaderMap;

use super::routes::Match;
use crate::body::{PRINCIPAL, REQUEST_ID, ROUTE_PREFIX};
use crate::context::{Context, Key};
use crate::propagation::baggage;
use crate::propagation::trace::{TRACE, TRACE_STATE};
use crate::propagation::trace_headers;

/// Returns the principal of a request from its headers, if known.
pub(super) type Authenticate = dyn Fn(&HeaderMap) -> Option<String> + Send + Sync;

/// The context of a request, derived from its connection's.
pub(super) fn context(
    ctx: &Context,
    id: String,
    route: &Match<'_>,
    headers: &HeaderMap,
    authenticate: Option<&Authenticate>,
) -> Context {
    // Values chosen by the client are set first, so they can't hide the host's.
    let mut ctx = ctx.clone();
    for (name, value) in baggage::allowed(headers, route.baggage) {
        ctx = ctx.with_value(&Key::from_wire(name.to_owned()), value);
    }
    for (name, value) in route.parameters() {
        let key = Key::from_wire(format!("{ROUTE_PREFIX}{name}"));
        ctx = ctx.with_value(&key, value.into_owned());
    }
    if let Some((trace, state)) = trace_headers::extract(headers) {
        ctx = ctx.with_value(&TRACE, trace.child());
        if let Some(state) = state {
            ctx = ctx.with_value(&TRACE_STATE, state);
        }
    }
    if let Some(principal) = authenticate.and_then(|authenticate| authenticate(headers)) {
        ctx = ctx.with_value(&PRINCIPAL, principal);
    }
    ctx.with_value(&REQUEST_ID, id)
}
