//! Tests of the headers.

use proptest::prelude::*;

use super::*;

#[test]
fn no_two_are_the_same() {
    let mut ids: Vec<_> = (0..100)
        .flat_map(|connection| (0..100).map(move |request| new_id(connection, request)))
        .collect();
    ids.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let (before, all) = (ids.len(), ids.first().map(HeaderValue::len));
    ids.dedup();
    assert_eq!((ids.len(), all), (before, Some(32)));
}

#[test]
fn the_clients_own_is_kept_where_it_is_plain() {
    let with = |id: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(ID, HeaderValue::from_str(id).expect("a header"));
        let taken = request_id(&mut headers, 1, 2);
        assert_eq!(headers.get(ID), Some(&taken));
        taken
    };
    assert_eq!(with("abc-1"), "abc-1");
    for bad in ["", "a b", &"x".repeat(MAX_ID + 1)] {
        assert_eq!(with(bad).len(), 32, "{bad}");
    }
}

fn budget(name: &'static str, value: &str) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(name, value.parse().expect("a header value"));
    timeout(&headers)
}

#[test]
fn every_unit_is_understood() {
    for (text, nanos) in [
        ("1H", 3_600_000_000_000),
        ("2M", 120_000_000_000),
        ("3S", 3_000_000_000),
        ("40m", 40_000_000),
        ("5u", 5_000),
        ("6n", 6),
    ] {
        assert_eq!(budget("grpc-timeout", text), Some(Duration::from_nanos(nanos)), "{text}");
    }
    assert_eq!(budget("x-envoy-expected-rq-timeout-ms", "250"), Some(Duration::from_millis(250)));
}

#[test]
fn a_timeout_that_is_sent_is_read_as_nearly_the_same() {
    for nanos in [0, 999, 1_500, 99_999_999_999, 100_000_000_000, 400_000_000_000_000] {
        let left = Duration::from_nanos(nanos);
        let text = timeout_text(left).expect("a budget");
        let read = budget("grpc-timeout", &text).expect("a budget");
        assert!(read <= left && left - read < Duration::from_secs(1), "{left:?}: {read:?}");
    }
    let mut headers = HeaderMap::new();
    headers.insert(ENVOY, HeaderValue::from_static("1"));
    headers.insert(GRPC, HeaderValue::from_static("1S"));
    inject(&Context::background(), &[], &mut headers);
    assert_eq!(timeout(&headers), None);
}

#[test]
fn what_can_not_be_read_is_ignored() {
    for text in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "123456789S", "1ä"] {
        assert_eq!(budget("grpc-timeout", text), None, "{text}");
    }
    for text in ["", "1s", "-1", "99999999999999999999"] {
        assert_eq!(budget("x-envoy-expected-rq-timeout-ms", text), None, "{text}");
    }
}

#[test]
fn the_smaller_one_counts() {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-timeout", "1S".parse().expect("valid"));
    headers.insert("x-envoy-expected-rq-timeout-ms", "20".parse().expect("valid"));
    assert_eq!(timeout(&headers), Some(Duration::from_millis(20)));
}

fn joined<T: AsRef<[u8]>>(texts: &[T]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for text in texts {
        headers.append(STATE, HeaderValue::from_bytes(text.as_ref()).ok()?);
    }
    state(&headers)
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
        trace(&headers).map(|(_, state)| state)
    };
    assert_eq!(extracted(&[GOOD]), Some(Some("a=1".to_owned())));
    assert_eq!(extracted(&[]), None);
    assert_eq!(extracted(&["bad"]), None);
    assert_eq!(extracted(&[GOOD, GOOD]), None);
}

#[test]
fn what_is_handed_down_is_read_again() {
    let span: Trace = GOOD.parse().expect("a traceparent");
    let ctx = Context::background().with_value(&TRACE, span);
    let mut headers = HeaderMap::new();
    headers.insert(STATE, HeaderValue::from_static("forged=1"));
    inject(&ctx, &[], &mut headers);
    assert_eq!(trace(&headers), Some((span, None)));
    inject(&ctx.with_value(&TRACE_STATE, "a=1".to_owned()), &[], &mut headers);
    assert_eq!(trace(&headers), Some((span, Some("a=1".to_owned()))));
    inject(&Context::background(), &[], &mut headers);
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

#[test]
fn what_is_about_one_connection_stays_there() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("host", "elsewhere"),
        ("x-kept", "1"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    strip_hop_by_hop(&mut headers);
    let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["x-kept"]);
}
