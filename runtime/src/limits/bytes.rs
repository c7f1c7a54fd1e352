//! Byte budgets. Each holder keeps a reservation, released on drop, perhaps
//! together with the bytes that it is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::runtime::Handle;

/// Buffers of at least this many bytes are large.
const LARGE: usize = 1 << 20;

/// A byte budget.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    reserved: AtomicU64,
    pub(crate) limit: u64,
}

/// A reservation. Dropping it releases its bytes.
pub(crate) struct Reservation {
    budget: Arc<ByteBudget>,
    pub(crate) bytes: u64,
}

/// A number of bytes in a sentence, such as `64MiB`.
pub(crate) fn shown(bytes: u64) -> String {
    let unit = |(_, unit): &(&str, u64)| bytes > 0 && bytes.is_multiple_of(*unit);
    match [("MiB", 1 << 20), ("KiB", 1 << 10)].into_iter().find(unit) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

impl ByteBudget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { reserved: AtomicU64::new(0), limit })
    }

    /// Reserves bytes; `None` if fewer are left.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let mut reservation = Reservation { budget: self.clone(), bytes: 0 };
        reservation.grow(bytes).ok()?;
        Some(reservation)
    }

    /// The number of reserved bytes.
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed)
    }
}

impl Reservation {
    /// Adds to the reservation.
    ///
    /// # Errors
    /// The limit, if fewer bytes are left.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), u64> {
        let ByteBudget { reserved, limit } = &*self.budget;
        let reserved = reserved.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        // Dropping the reservation releases these as well.
        self.bytes = self.bytes.saturating_add(bytes);
        if reserved <= *limit { Ok(()) } else { Err(*limit) }
    }

    /// Ties the reservation to bytes. It is released when the last clone or
    /// slice of them is dropped.
    #[cfg(feature = "server")]
    pub(crate) fn attach(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Reserved { bytes, _reservation: self })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.reserved.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes and their reservation.
#[cfg(feature = "server")]
struct Reserved {
    bytes: Bytes,
    _reservation: Reservation,
}

#[cfg(feature = "server")]
impl AsRef<[u8]> for Reserved {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A buffer, and the reservation for its bytes if it has one. Both are released
/// at the same time.
///
/// The kernel takes about 0.1 ms to reclaim each MiB, and the freeing thread
/// waits for it. Large buffers are therefore freed on a thread that may block,
/// not on one that runs guests.
#[derive(Default)]
pub(crate) struct Bulk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) reservation: Option<Reservation>,
}

impl Bulk {
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

    #[test]
    fn a_number_of_bytes_has_the_largest_unit_that_fits() {
        let shown = [0, 1_000, 1 << 10, 1_114_112, 128 << 20].map(shown);
        assert_eq!(shown, ["0 bytes", "1000 bytes", "1KiB", "1088KiB", "128MiB"]);
    }

    #[test]
    fn no_more_is_held_than_there_is_room_for() {
        let budget = ByteBudget::new(10);
        let first = budget.reserve(6);
        assert!(first.is_some());
        assert!(budget.reserve(5).is_none());
        assert!(budget.reserve(4).is_some());
        drop(first);
        let mut grown = budget.reserve(1).expect("there is room");
        assert_eq!((grown.grow(9), grown.grow(1)), (Ok(()), Err(10)));
        drop(grown);
        assert!(budget.reserve(10).is_some());
        assert!(budget.reserve(u64::MAX).is_none());
        assert!(budget.reserve(10).is_some());
    }

    #[test]
    fn a_copy_keeps_its_place_as_long_as_any_of_it_is_there() {
        let budget = ByteBudget::new(4);
        let copy = |bytes: &'static [u8]| {
            Some(budget.reserve(bytes.len() as u64)?.attach(Bytes::from_static(bytes)))
        };
        let four = copy(b"four").expect("there is room");
        let part = four.slice(1..2);
        drop(four);
        assert!(copy(b"x").is_none());
        drop(part);
        assert_eq!(copy(b"four").as_deref(), Some(&b"four"[..]));
    }

    #[tokio::test]
    async fn a_large_buffer_keeps_its_place_until_it_is_freed() {
        let budget = ByteBudget::new(4 << 20);
        let reservation = budget.reserve(4 << 20);
        let mut bulk = Bulk { bytes: Vec::with_capacity(4 << 20), reservation };
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
        let reservation = budget.reserve(2 << 20);
        drop(Bulk { bytes: Vec::with_capacity(2 << 20), reservation }.freeze());
        assert!(budget.reserve(2 << 20).is_some());
    }
}
