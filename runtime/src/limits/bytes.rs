//! Byte budgets. Each holder keeps a reservation, released on drop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

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
struct Reserved {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Reserved {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
