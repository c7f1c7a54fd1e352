//! `tracestate`: vendor-specific data of a trace. It is forwarded unchanged, so
//! it is only checked for being valid.

use http::{HeaderMap, HeaderName};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("tracestate");

/// The longest `tracestate` that is forwarded, in bytes: the minimum that the
/// specification requires.
const MOST_BYTES: usize = 512;

/// The most members.
const MOST_MEMBERS: usize = 32;

/// The longest key or value of a member, in bytes.
const MOST_PART: usize = 256;

/// Joins the headers into one value. `None` if they are empty, too long, or
/// malformed in any part.
pub(crate) fn of(headers: &HeaderMap) -> Option<String> {
    let mut state = String::new();
    let mut members = 0;
    for header in headers.get_all(HEADER) {
        let header = header.to_str().ok()?;
        for member in header.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            members += 1;
            if !is_member(member) || members > MOST_MEMBERS {
                return None;
            }
            if !state.is_empty() {
                state.push(',');
            }
            state.push_str(member);
            if state.len() > MOST_BYTES {
                return None;
            }
        }
    }
    Some(state).filter(|state| !state.is_empty())
}

fn is_member(member: &str) -> bool {
    member.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value))
}

fn is_key(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= MOST_PART
        && key.bytes().next().is_some_and(plain)
        && key.bytes().all(|byte| plain(byte) || b"_-*/@".contains(&byte))
}

/// Trailing blanks are not part of a value.
fn is_value(value: &str) -> bool {
    (1..=MOST_PART).contains(&value.len())
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state<T: AsRef<[u8]>>(texts: &[T]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(HEADER, http::HeaderValue::from_bytes(text.as_ref()).ok()?);
        }
        of(&headers)
    }

    #[test]
    fn several_headers_are_one_state() {
        let texts = ["a=1, b=2 ,", "", ",\tt1@vendor/x=some text~"];
        assert_eq!(state(&texts).as_deref(), Some("a=1,b=2,t1@vendor/x=some text~"));
        assert_eq!(state::<&str>(&[]), None);
        assert_eq!(state(&[" , "]), None);
    }

    #[test]
    fn one_bad_member_spoils_all() {
        for bad in ["a", "=1", "a=", "A=1", "a=1=2", "a b=1", "-a=1", "a=\u{e4}", "a=\t1\t2"] {
            assert_eq!(state(&["ok=1", bad]), None, "{bad}");
        }
        let long = "x".repeat(257);
        assert_eq!(state(&[format!("{long}=1")]), None);
        assert_eq!(state(&[format!("a={long}")]), None);
    }

    #[test]
    fn it_is_carried_up_to_its_bounds() {
        let with_bytes = |bytes: usize| {
            ["a=".to_owned() + &"x".repeat(254), "b=".to_owned() + &"y".repeat(bytes - 259)]
        };
        assert_eq!(state(&with_bytes(512)).map(|state| state.len()), Some(512));
        assert_eq!(state(&with_bytes(513)), None);
        let with_members = |members| (0..members).map(|key| format!("{key}=1")).collect::<Vec<_>>();
        assert!(state(&with_members(32)).is_some());
        assert_eq!(state(&with_members(33)), None);
    }

    proptest! {
        #[test]
        fn what_is_carried_is_carried_on_as_it_is(bytes: Vec<u8>, text in "([a-z=, ]{0,9},?){0,9}") {
            for state_once in [state(&[bytes]), state(&[text])].into_iter().flatten() {
                prop_assert_eq!(state(&[&state_once]), Some(state_once));
            }
        }
    }
}
