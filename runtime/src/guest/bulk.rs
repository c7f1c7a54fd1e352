//! Buffers that may be large.
//!
//! The kernel takes about 0.1 ms to reclaim each MiB, and the freeing thread
//! waits for it. Large buffers are therefore freed on a thread that may block,
//! not on one that runs guests.

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::limits::bytes::Reservation;

/// Buffers of at least this many bytes are large.
const LARGE: usize = 1 << 20;

/// A buffer, and the reservation for its bytes if it has one. Both are released
/// at the same time.
#[derive(Default)]
pub(crate) struct Bulk {
    pub(crate) bytes: Vec<u8>,
    reservation: Option<Reservation>,
}

impl Bulk {
    /// A buffer with the given capacity in bytes.
    pub(crate) fn with_capacity(bytes: usize, reservation: Option<Reservation>) -> Self {
        Self { bytes: Vec::with_capacity(bytes), reservation }
    }

    /// Reserves capacity for `bytes` in all, so that the buffer is not moved
    /// again.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes.saturating_sub(self.bytes.len()));
    }

    /// Converts the buffer into shared bytes.
    pub(crate) fn freeze(mut self) -> Bytes {
        if self.reservation.is_some() || self.is_large() {
            return Bytes::from_owner(self);
        }
        std::mem::take(&mut self.bytes).into()
    }

    fn is_large(&self) -> bool {
        self.bytes.capacity() >= LARGE
    }
}

impl AsRef<[u8]> for Bulk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        if !self.is_large() {
            return;
        }
        if let Ok(handle) = Handle::try_current() {
            let (bytes, reservation) = (std::mem::take(&mut self.bytes), self.reservation.take());
            handle.spawn_blocking(move || {
                drop(bytes);
                drop(reservation);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::bytes::ByteBudget;

    #[tokio::test]
    async fn a_large_buffer_keeps_its_place_until_it_is_freed() {
        let budget = ByteBudget::new(4 << 20);
        let mut bulk = Bulk::with_capacity(4 << 20, budget.reserve(4 << 20));
        bulk.bytes.extend_from_slice(b"bytes");
        let bytes = bulk.freeze();
        let part = bytes.slice(1..3);
        drop(bytes);
        assert!(budget.reserve(1).is_none());
        assert_eq!(part, b"yt"[..]);
        drop(part);
        let freed = async {
            while budget.reserve(4 << 20).is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        let freed = tokio::time::timeout(std::time::Duration::from_secs(60), freed).await;
        assert!(freed.is_ok(), "it is never freed");
    }

    #[test]
    fn without_an_executor_it_is_freed_at_once() {
        let budget = ByteBudget::new(2 << 20);
        drop(Bulk::with_capacity(2 << 20, budget.reserve(2 << 20)).freeze());
        assert!(budget.reserve(2 << 20).is_some());
    }
}
