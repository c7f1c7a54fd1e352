//! The limits of a request's head, one in bytes and one in fields, for both
//! versions of HTTP and both listeners.
//!
//! hyper and h2 enforce the bytes, and hyper the fields of HTTP/1.1; they
//! answer with 431 before they hand over a request. The fields of HTTP/2 are
//! counted here, because the byte count of HTTP/2 adds 32 for each of them.

use std::ops::RangeInclusive;

use hyper::server::conn::{http1, http2};

/// The allowed range in bytes. Functions take no longer heads.
pub(crate) const BYTES: RangeInclusive<usize> = 4 << 10..=64 << 10;

/// The allowed range of field counts. Functions take no more fields.
pub(crate) const COUNT: RangeInclusive<usize> = 16..=256;

/// The defaults. For any other count hyper allocates a list of fields for each
/// request.
pub(crate) const DEFAULT: HeaderLimits = HeaderLimits { bytes: 64 << 10, count: 100 };

/// The limits of a request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderLimits {
    pub(crate) bytes: usize,
    pub(crate) count: usize,
}

impl HeaderLimits {
    /// Sets the limit in bytes, clamped to the allowed range.
    pub(super) fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes: bytes.clamp(*BYTES.start(), *BYTES.end()), ..self }
    }

    /// Sets the limit in fields, clamped to the allowed range.
    pub(super) fn with_count(self, count: usize) -> Self {
        Self { count: count.clamp(*COUNT.start(), *COUNT.end()), ..self }
    }

    /// Applies the limits to HTTP/1.1.
    pub(super) fn apply_to_http1(self, settings: &mut http1::Builder) {
        settings.max_header_size(self.bytes);
        if self.count != DEFAULT.count {
            settings.max_headers(self.count);
        }
    }

    /// Applies the limit in bytes to HTTP/2.
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
