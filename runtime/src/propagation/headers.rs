//! The headers that carry a context, in from a client and out to another host,
//! and those that no host forwards.
//!
//! - `x-request-id`: the id of a request in logs, in the function and for its
//!   client.
//! - `grpc-timeout` and `x-envoy-expected-rq-timeout-ms`: how long a client
//!   waits, and how long this host waits for another. They can only shorten the
//!   function's timeout. A malformed header is ignored.
//! - `traceparent` names the caller's span; `tracestate` is vendor-specific data,
//!   which is forwarded unchanged, so it is only checked for being valid.
//! - Hop-by-hop headers (RFC 9110, section 7.6.1) concern one connection and are
//!   not forwarded.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::baggage;
use super::trace::{TRACE, TRACE_STATE, Trace, random};
use crate::body::REQUEST_ID;
use crate::context::Context;

/// The header of the request's id, in requests and responses.
pub(crate) const ID: HeaderName = HeaderName::from_static("x-request-id");
const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");
const ENVOY: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Headers that concern one connection.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Headers that the host itself writes.
const REWRITTEN: [HeaderName; 3] = [CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION];

/// The longest request id that is accepted from a client, in bytes.
const MAX_ID: usize = 128;

/// The longest `tracestate` that is forwarded, in bytes: the minimum that the
/// specification requires.
const MAX_STATE: usize = 512;

/// The most members of a `tracestate`.
const MAX_MEMBERS: usize = 32;

/// The longest key or value of a member, in bytes.
const MAX_PART: usize = 256;

/// Replaces the headers that carry a context to another host: the remaining
/// time, the span, the request's id, and as baggage the values of these names.
pub(crate) fn inject(ctx: &Context, names: &[Arc<str>], headers: &mut HeaderMap) {
    headers.remove(&ENVOY);
    for (name, text) in [
        (GRPC, ctx.remaining().and_then(timeout_text)),
        (PARENT, ctx.value_text(TRACE.name())),
        (STATE, ctx.value(&TRACE_STATE)),
        (ID, ctx.value(&REQUEST_ID)),
        (baggage::HEADER, baggage::text(ctx, names)),
    ] {
        headers.remove(&name);
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(name, value);
        }
    }
}

/// The client's id if it is valid, else a new one. In both cases the function
/// sees it in the header.
pub(crate) fn request_id(headers: &mut HeaderMap, connection: u64, request: u32) -> HeaderValue {
    let plain = |id: &&HeaderValue| {
        (1..=MAX_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if let Some(id) = headers.get(ID).filter(plain) {
        return id.clone();
    }
    let id = new_id(connection, request);
    headers.insert(ID, id.clone());
    id
}

/// An id that no other request of this or another process has, unless one
/// connection sends billions of requests.
fn new_id(connection: u64, request: u32) -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(random);
    // The lower half of the connection's number goes in the middle. The upper
    // half takes billions of connections, and then runs into the range of
    // another process.
    let high = PROCESS.wrapping_add(connection >> 32);
    let low = connection << 32 | u64::from(request);
    let number = u128::from(high) << 64 | u128::from(low);
    // Faster than `format!`, at every request.
    let digits: [u8; 32] = std::array::from_fn(|place| {
        b"0123456789abcdef"[(number >> (124 - 4 * place)) as usize & 0xf]
    });
    HeaderValue::from_bytes(&digits).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

/// The smallest timeout in a request's headers.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let grpc = text(&GRPC).and_then(grpc_timeout);
    let envoy = text(&ENVOY).and_then(digits).map(Duration::from_millis);
    match (grpc, envoy) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The time that this host waits, in the finest unit that needs no more than
/// eight digits.
fn timeout_text(left: Duration) -> Option<String> {
    let units = [(left.as_micros(), 'u'), (left.as_millis(), 'm'), (left.as_secs().into(), 'S')];
    let (number, unit) = units.into_iter().find(|(number, _)| *number < 100_000_000)?;
    Some(format!("{number}{unit}"))
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

/// The caller's span of a request with these headers, and the trace state.
/// `None` unless there is exactly one valid `traceparent`. A `tracestate`
/// without one is ignored.
pub(crate) fn trace(headers: &HeaderMap) -> Option<(Trace, Option<String>)> {
    let mut parents = headers.get_all(PARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    Some((parent.to_str().ok()?.parse().ok()?, state(headers)))
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
        && state.len() <= MAX_STATE
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

/// Whether there is a hop-by-hop header. Almost no response has any, and this is
/// cheaper than removing all.
pub(crate) fn has_hop_by_hop(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| HOP_BY_HOP.contains(name))
}

/// Removes hop-by-hop headers, including those that the `connection` header
/// lists, and the headers that the host itself writes.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&REWRITTEN).chain(&listed) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
