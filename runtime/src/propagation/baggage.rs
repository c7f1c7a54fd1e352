//! W3C Baggage: values that a caller sends along with a request, for all
//! services that handle it.
//!
//! Any client may send baggage, so only names that the operator allows are
//! accepted, and the number of members and bytes read is bounded. Malformed
//! members are ignored.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::percent;
use crate::context::Context;

pub(super) const HEADER: HeaderName = HeaderName::from_static("baggage");

/// The most members that are read, in all headers together.
const MAX_MEMBERS: usize = 64;

/// The most bytes that are read, counting all headers as joined by commas.
const MAX_BYTES: usize = 8_192;

/// The longest value that is accepted, in bytes.
const MAX_VALUE: usize = 4_096;

/// Whether a member can have that name: a token of HTTP.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(plain)
}

/// The allowed names that occur in the headers, and their values.
///
/// Of several members with one name the last one applies, as in most other
/// implementations: a new member is appended, so the last one comes from the
/// nearest sender.
pub(crate) fn allowed<'a>(headers: &HeaderMap, names: &'a [Arc<str>]) -> Vec<(&'a str, String)> {
    let mut values: Vec<(&str, String)> = Vec::new();
    if names.is_empty() {
        return values;
    }
    for (name, value) in members(headers).filter_map(|member| read(member, names)) {
        match values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, earlier)) => *earlier = value,
            None => values.push((name, value)),
        }
    }
    values
}

/// The values of these names as one header, if there are any.
pub(super) fn text(ctx: &Context, names: &[Arc<str>]) -> Option<String> {
    let member = |name: &Arc<str>| {
        let text = ctx.value_text(name).filter(|text| text.len() <= MAX_VALUE)?;
        Some(format!("{name}={}", percent::encode(&text)))
    };
    let text = names.iter().filter_map(member).collect::<Vec<_>>().join(",");
    Some(text).filter(|text| !text.is_empty())
}

/// The members of all headers, within the bounds.
fn members(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    // No comma follows the last one.
    let mut left = MAX_BYTES + 1;
    let all = headers.get_all(HEADER).into_iter().flat_map(|header| {
        let is_comma = |byte: &u8| *byte == b',';
        header.as_bytes().split(is_comma)
    });
    let within = all.map_while(move |member| {
        left = left.checked_sub(member.len() + 1)?;
        Some(member.trim_ascii())
    });
    within.filter(|member| !member.is_empty()).take(MAX_MEMBERS)
}

/// The member's name, if it is allowed, and its value. Properties are ignored.
fn read<'a>(member: &[u8], names: &'a [Arc<str>]) -> Option<(&'a str, String)> {
    let pair = member.split(|byte| *byte == b';').next()?;
    let (name, value) = pair.split_at_checked(pair.iter().position(|byte| *byte == b'=')?)?;
    let name = names.iter().find(|allowed| allowed.as_bytes() == name.trim_ascii())?;
    let value = value.get(1..)?.trim_ascii();
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    let value = std::str::from_utf8(value).ok().filter(|_| value.iter().all(plain))?;
    let value = percent::decode(value).filter(|value| value.len() <= MAX_VALUE)?;
    Some((name, value.into_owned()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// The accepted members of `a` and `b`.
    fn of<T: AsRef<[u8]>>(texts: &[T]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for value in texts.iter().filter_map(|text| HeaderValue::from_bytes(text.as_ref()).ok()) {
            headers.append(HEADER, value);
        }
        let names: [Arc<str>; 2] = ["a".into(), "b".into()];
        let values = allowed(&headers, &names).into_iter();
        values.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_allowed_names_are_let_in() {
        let header = "c=3, a = 1 ;property;key=value,A=2";
        assert_eq!(of(&[header, "b=gr%C3%BCn==,ab=4"]), pairs(&[("a", "1"), ("b", "grün==")]));
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static("a=1"));
        assert_eq!(allowed(&headers, &[]), []);
    }

    #[test]
    fn of_one_name_the_last_member_counts() {
        assert_eq!(of(&["a=1,b=2,a=3", "a=4,a"]), pairs(&[("a", "4"), ("b", "2")]));
    }

    #[test]
    fn what_is_malformed_is_passed_over() {
        for bad in ["a", "=1", "a=%4", "a=%FF", "a=x y", "a=\"x\"", "a=\\", "a=ü", "a;=1", ";a=1"]
        {
            assert_eq!(of(&[&format!("{bad},b=2")]), pairs(&[("b", "2")]), "{bad}");
        }
        assert_eq!(of(&["a=, ,;,"]), pairs(&[("a", "")]));
    }

    #[test]
    fn members_are_counted_over_all_headers() {
        let others = "c=1,,".repeat(63);
        assert_eq!(of(&[&*others, "a=1"]), pairs(&[("a", "1")]));
        assert_eq!(of(&[&*others, "c=1", "a=1"]), []);
    }

    #[test]
    fn bytes_are_counted_over_all_headers() {
        // With a comma between them and with `a=1`, up to the limit and past
        // it.
        let other = |bytes: usize| "x".repeat(bytes);
        assert_eq!(of(&[&*other(4_000), &*other(8_192 - 4_000 - 5), "a=1"]), pairs(&[("a", "1")]));
        assert_eq!(of(&["b=2", &*other(4_000), &*other(8_192), "a=1"]), pairs(&[("b", "2")]));
        assert_eq!(of(&[&*other(4_000), &*other(8_192 - 4_000 - 4), "a=1"]), []);
    }

    #[test]
    fn a_value_is_let_in_up_to_its_bound() {
        let value = |bytes: usize| format!("a={}", "x".repeat(bytes));
        assert_eq!(of(&[value(4_096)]).len(), 1);
        assert_eq!(of(&[value(4_097)]), []);
    }

    #[test]
    fn the_context_is_injected_with_the_allowed_values() {
        let (ctx, _cancel) = Context::background().with_timeout(std::time::Duration::from_secs(60));
        let ctx = ctx
            .with_value(&crate::body::REQUEST_ID, "id-1".to_owned())
            .with_value(&crate::context::Key::new("tenant"), "a, b".to_owned())
            .with_value(&crate::context::Key::new("secret"), "hush".to_owned());
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_static("9H"));
        headers.insert("baggage", HeaderValue::from_static("secret=forged"));
        crate::propagation::headers::inject(&ctx, &["tenant".into(), "gone".into()], &mut headers);
        assert_eq!(headers["x-request-id"], "id-1");
        assert_eq!(headers["baggage"], "tenant=a%2C%20b");
        let left = crate::propagation::headers::timeout(&headers).expect("a timeout");
        assert!(
            left <= std::time::Duration::from_secs(60) && left > std::time::Duration::from_secs(30),
            "{left:?}"
        );
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange(bytes: Vec<u8>, text in "([ab=%;, ü]{0,9},?){0,9}") {
            let _ = of(&[bytes, text.into_bytes()]);
        }
    }
}
