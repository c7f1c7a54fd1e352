//! The remaining time of a request: how long a client waits, and how long this
//! host waits for another.
//!
//! Two headers are read: `grpc-timeout` and `x-envoy-expected-rq-timeout-ms`.
//! They can only shorten the function's timeout. A malformed header is ignored.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");
const ENVOY: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");

/// The smallest timeout in a request's headers.
pub(crate) fn extract(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let grpc = text(&GRPC).and_then(grpc_timeout);
    let envoy = text(&ENVOY).and_then(digits).map(Duration::from_millis);
    match (grpc, envoy) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Replaces the timeout headers by the time that this host waits.
pub(crate) fn inject(left: Option<Duration>, headers: &mut HeaderMap) {
    headers.remove(&GRPC);
    headers.remove(&ENVOY);
    // The finest unit that needs no more than eight digits.
    let text = left.and_then(|left| {
        [(left.as_micros(), 'u'), (left.as_millis(), 'm'), (left.as_secs().into(), 'S')]
            .into_iter()
            .find(|(number, _)| *number < 100_000_000)
    });
    if let Some((number, unit)) = text
        && let Ok(value) = HeaderValue::try_from(format!("{number}{unit}"))
    {
        headers.insert(GRPC, value);
    }
}

/// Parses at most eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = Some(number).filter(|number| number.len() <= 8).and_then(digits)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header value"));
        extract(&headers)
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
        assert_eq!(
            budget("x-envoy-expected-rq-timeout-ms", "250"),
            Some(Duration::from_millis(250))
        );
    }

    #[test]
    fn what_is_handed_down_is_read_as_nearly_the_same() {
        for nanos in [0, 999, 1_500, 99_999_999_999, 100_000_000_000, 400_000_000_000_000] {
            let left = Duration::from_nanos(nanos);
            let mut headers = HeaderMap::new();
            headers.insert(ENVOY, HeaderValue::from_static("1"));
            inject(Some(left), &mut headers);
            let read = extract(&headers).expect("a budget");
            assert!(read <= left && left - read < Duration::from_secs(1), "{left:?}: {read:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(GRPC, HeaderValue::from_static("1S"));
        inject(None, &mut headers);
        assert_eq!(extract(&headers), None);
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
        assert_eq!(extract(&headers), Some(Duration::from_millis(20)));
    }
}
