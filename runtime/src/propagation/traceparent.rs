//! The `traceparent` header.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::trace::{TRACE, TRACE_STATE, Trace};
use super::tracestate;
use crate::context::Context;

const HEADER: HeaderName = HeaderName::from_static("traceparent");

/// The caller's span of a request with these headers, and the trace state.
/// `None` unless there is exactly one valid `traceparent`. A `tracestate`
/// without one is ignored.
pub(crate) fn extract(headers: &HeaderMap) -> Option<(Trace, Option<String>)> {
    let mut named = headers.get_all(HEADER).iter();
    let (Some(one), None) = (named.next(), named.next()) else { return None };
    let trace = one.to_str().ok()?.parse().ok()?;
    Some((trace, tracestate::of(headers)))
}

/// Replaces the trace headers of a request by the span of `ctx`.
pub(crate) fn inject(ctx: &Context, headers: &mut HeaderMap) {
    let texts =
        [(HEADER, ctx.value_text(TRACE.name())), (tracestate::HEADER, ctx.value(&TRACE_STATE))];
    for (name, text) in texts {
        headers.remove(&name);
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_state_belongs_to_the_one_step_that_is_named() {
        let state = |parents: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert("tracestate", "a=1".parse().expect("a value"));
            for parent in parents {
                headers.append(HEADER, parent.parse().expect("a value"));
            }
            extract(&headers).map(|(_, state)| state)
        };
        assert_eq!(state(&[GOOD]), Some(Some("a=1".to_owned())));
        assert_eq!(state(&[]), None);
        assert_eq!(state(&["bad"]), None);
        assert_eq!(state(&[GOOD, GOOD]), None);
    }

    #[test]
    fn what_is_handed_down_is_read_again() {
        let trace: Trace = GOOD.parse().expect("a traceparent");
        let ctx = Context::background().with_value(&TRACE, trace);
        let mut headers = HeaderMap::new();
        headers.insert(tracestate::HEADER, HeaderValue::from_static("forged=1"));
        inject(&ctx, &mut headers);
        assert_eq!(extract(&headers), Some((trace, None)));
        inject(&ctx.with_value(&TRACE_STATE, "a=1".to_owned()), &mut headers);
        assert_eq!(extract(&headers), Some((trace, Some("a=1".to_owned()))));
        inject(&Context::background(), &mut headers);
        assert!(headers.is_empty());
    }
}
