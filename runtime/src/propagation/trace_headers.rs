//! The headers of a trace. `traceparent` names the caller's span; `tracestate`
//! is vendor-specific data, which is forwarded unchanged, so it is only checked
//! for being valid.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::trace::{TRACE, TRACE_STATE, Trace};
use crate::context::Context;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest `tracestate` that is forwarded, in bytes: the minimum that the
/// specification requires.
const MAX_BYTES: usize = 512;

/// The most members of a `tracestate`.
const MAX_MEMBERS: usize = 32;

/// The longest key or value of a member, in bytes.
const MAX_PART: usize = 256;

/// The caller's span of a request with these headers, and the trace state.
/// `None` unless there is exactly one valid `traceparent`. A `tracestate`
/// without one is ignored.
pub(crate) fn extract(headers: &HeaderMap) -> Option<(Trace, Option<String>)> {
    let mut parents = headers.get_all(PARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    Some((parent.to_str().ok()?.parse().ok()?, state(headers)))
}

/// Replaces the trace headers of a request by the span of `ctx`.
pub(crate) fn inject(ctx: &Context, headers: &mut HeaderMap) {
    for (name, text) in [(PARENT, ctx.value_text(TRACE.name())), (STATE, ctx.value(&TRACE_STATE))] {
        headers.remove(&name);
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(name, value);
        }
    }
}

/// Joins the `tracestate` headers into one value. `None` if they are empty, too
/// long, or malformed in any part.
fn state(headers: &HeaderMap) -> Option<String> {
    let texts: Option<Vec<&str>> =
        headers.get_all(STATE).iter().map(|header| header.to_str().ok()).collect();
    let members = texts?.into_iter().flat_map(|text| text.split(','));
    let members = members.map(|member| member.trim_matches([' ', '\t']));
    let members: Vec<_> =
        members.filter(|member| !member.is_empty()).take(MAX_MEMBERS + 1).collect();
    let state = members.join(",");
    let is_valid = (1..=MAX_MEMBERS).contains(&members.len())
        && state.len() <= MAX_BYTES
        && members.into_iter().all(is_member);
    is_valid.then_some(state)
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= MAX_PART
        && key.bytes().next().is_some_and(plain)
        && key.bytes().all(|byte| plain(byte) || b"_-*/@".contains(&byte))
        && (1..=MAX_PART).contains(&value.len())
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined<T: AsRef<[u8]>>(texts: &[T]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(STATE, HeaderValue::from_bytes(text.as_ref()).ok()?);
        }
        super::state(&headers)
    }

    #[test]
    fn several_headers_are_one_state() {
        let texts = ["a=1, b=2 ,", "", ",\tt1@vendor/x=some text~"];
        assert_eq!(joined(&texts).as_deref(), Some("a=1,b=2,t1@vendor/x=some text~"));
        assert_eq!(joined::<&str>(&[]), None);
        assert_eq!(joined(&[" , "]), None);
    }

    #[test]
    fn one_bad_member_spoils_all() {
        for bad in ["a", "=1", "a=", "A=1", "a=1=2", "a b=1", "-a=1", "a=\u{e4}", "a=\t1\t2"] {
            assert_eq!(joined(&["ok=1", bad]), None, "{bad}");
        }
        let long = "x".repeat(257);
        assert_eq!(joined(&[format!("{long}=1")]), None);
        assert_eq!(joined(&[format!("a={long}")]), None);
    }

    #[test]
    fn it_is_carried_up_to_its_bounds() {
        let with_bytes = |bytes: usize| {
            ["a=".to_owned() + &"x".repeat(254), "b=".to_owned() + &"y".repeat(bytes - 259)]
        };
        assert_eq!(joined(&with_bytes(512)).map(|state| state.len()), Some(512));
        assert_eq!(joined(&with_bytes(513)), None);
        let with_members = |members| (0..members).map(|key| format!("{key}=1")).collect::<Vec<_>>();
        assert!(joined(&with_members(32)).is_some());
        assert_eq!(joined(&with_members(33)), None);
    }

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_state_belongs_to_the_one_step_that_is_named() {
        let extracted = |parents: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert("tracestate", "a=1".parse().expect("a value"));
            for parent in parents {
                headers.append(PARENT, parent.parse().expect("a value"));
            }
            extract(&headers).map(|(_, state)| state)
        };
        assert_eq!(extracted(&[GOOD]), Some(Some("a=1".to_owned())));
        assert_eq!(extracted(&[]), None);
        assert_eq!(extracted(&["bad"]), None);
        assert_eq!(extracted(&[GOOD, GOOD]), None);
    }

    #[test]
    fn what_is_handed_down_is_read_again() {
        let trace: Trace = GOOD.parse().expect("a traceparent");
        let ctx = Context::background().with_value(&TRACE, trace);
        let mut headers = HeaderMap::new();
        headers.insert(STATE, HeaderValue::from_static("forged=1"));
        inject(&ctx, &mut headers);
        assert_eq!(extract(&headers), Some((trace, None)));
        inject(&ctx.with_value(&TRACE_STATE, "a=1".to_owned()), &mut headers);
        assert_eq!(extract(&headers), Some((trace, Some("a=1".to_owned()))));
        inject(&Context::background(), &mut headers);
        assert!(headers.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_carried_is_carried_on_as_it_is(bytes: Vec<u8>, text in "([a-z=, ]{0,9},?){0,9}") {
            for state_once in [joined(&[bytes]), joined(&[text])].into_iter().flatten() {
                prop_assert_eq!(joined(&[&state_once]), Some(state_once));
            }
        }
    }
}
