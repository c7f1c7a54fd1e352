//! What the front knows of a request, as values of its context: its id, who it
//! is made for, the trace that it is part of, what its path says, and the
//! baggage that its route lets in.

use http::HeaderMap;

use super::routes::Match;
use crate::body::{PRINCIPAL, REQUEST_ID, ROUTE_PREFIX};
use crate::context::{Context, Key};
use crate::propagation::baggage;
use crate::propagation::trace::{TRACE, TRACE_STATE};
use crate::propagation::traceparent;

/// Tells by a request's headers who it is made for, where that is known.
pub(super) type Authenticate = dyn Fn(&HeaderMap) -> Option<String> + Send + Sync;

/// The context of a request under its connection's.
pub(super) fn of(
    ctx: &Context,
    id: String,
    route: &Match<'_>,
    headers: &HeaderMap,
    authenticate: Option<&Authenticate>,
) -> Context {
    // What a client chose comes first, so that nothing of it hides the host's.
    let mut ctx = ctx.clone();
    for (name, value) in baggage::allowed(headers, route.baggage) {
        ctx = ctx.with_value(&Key::from_wire(name.to_owned()), value);
    }
    for (name, value) in route.parameters() {
        let key = Key::from_wire(format!("{ROUTE_PREFIX}{name}"));
        ctx = ctx.with_value(&key, value.into_owned());
    }
    if let Some((trace, state)) = traceparent::extract(headers) {
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
