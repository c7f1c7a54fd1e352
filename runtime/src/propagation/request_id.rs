//! The id of a request in logs, in the function and for its client.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::trace::random;
use crate::body::REQUEST_ID;
use crate::context::Context;

/// The header of the id, in requests and responses.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is accepted from a client, in bytes.
const MAX: usize = 128;

/// The client's id if it is valid, else a new one. In both cases the function
/// sees it in the header.
pub(crate) fn extract(headers: &mut HeaderMap, connection: u64, request: u32) -> HeaderValue {
    let plain = |id: &&HeaderValue| {
        (1..=MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if let Some(id) = headers.get(HEADER).filter(plain) {
        return id.clone();
    }
    let id = new(connection, request);
    headers.insert(HEADER, id.clone());
    id
}

/// Replaces the header by the id of `ctx`.
pub(super) fn inject(ctx: &Context, headers: &mut HeaderMap) {
    headers.remove(HEADER);
    if let Some(id) = ctx.value(&REQUEST_ID).and_then(|id| HeaderValue::try_from(id).ok()) {
        headers.insert(HEADER, id);
    }
}

/// An id that no other request of this or another process has, unless one
/// connection sends billions of requests.
fn new(connection: u64, request: u32) -> HeaderValue {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let mut ids: Vec<_> = (0..100)
            .flat_map(|connection| (0..100).map(move |request| new(connection, request)))
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
            headers.insert(HEADER, HeaderValue::from_str(id).expect("a header"));
            let taken = extract(&mut headers, 1, 2);
            assert_eq!(headers.get(HEADER), Some(&taken));
            taken
        };
        assert_eq!(with("abc-1"), "abc-1");
        for bad in ["", "a b", &"x".repeat(MAX + 1)] {
            assert_eq!(with(bad).len(), 32, "{bad}");
        }
    }
}
