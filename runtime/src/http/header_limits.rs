//! How large the head of a request may be: one limit in bytes and one in fields,
//! for both versions of HTTP and for both listeners.
//!
//! hyper and h2 enforce the bytes, and hyper the fields of HTTP/1.1; they answer
//! with 431 before a request is handed over. The fields of HTTP/2 are counted
//! here, as the bytes there count 32 more for each of them.

use std::ops::RangeInclusive;

use hyper::server::conn::{http1, http2};

/// The bytes that can be set. No function takes a longer head.
pub(crate) const BYTES: RangeInclusive<usize> = 4 << 10..=64 << 10;

/// The numbers of fields that can be set. No function takes more of them.
pub(crate) const COUNT: RangeInclusive<usize> = 16..=256;

/// What is set unless told otherwise. For any other number hyper allocates a
/// list of fields for each request.
pub(crate) const DEFAULT: HeaderLimits = HeaderLimits { bytes: 64 << 10, count: 100 };

/// The bounds of a request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderLimits {
    pub(crate) bytes: usize,
    pub(crate) count: usize,
}

impl HeaderLimits {
    /// The same with this limit in bytes, or the nearest one allowed.
    pub(super) fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes: bytes.clamp(*BYTES.start(), *BYTES.end()), ..self }
    }

    /// The same with this limit of fields, or the nearest one allowed.
    pub(super) fn with_count(self, count: usize) -> Self {
        Self { count: count.clamp(*COUNT.start(), *COUNT.end()), ..self }
    }

    /// Has HTTP/1.1 keep to them.
    pub(super) fn apply_to_http1(self, settings: &mut http1::Builder) {
        settings.max_header_size(self.bytes);
        if self.count != DEFAULT.count {
            settings.max_headers(self.count);
        }
    }

    /// Has HTTP/2 keep to the bytes.
    pub(super) fn apply_to_http2<E>(self, settings: &mut http2::Builder<E>) {
        settings.max_header_list_size(u32::try_from(self.bytes).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_set_is_the_nearest_that_can() {
        let set = |bytes, count| DEFAULT.with_bytes(bytes).with_count(count);
        assert_eq!(set(0, 0), HeaderLimits { bytes: 4 << 10, count: 16 });
        assert_eq!(set(9_999, 99), HeaderLimits { bytes: 9_999, count: 99 });
        assert_eq!(set(usize::MAX, usize::MAX), HeaderLimits { bytes: 64 << 10, count: 256 });
    }
}
