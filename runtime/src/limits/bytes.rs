//! Byte budgets. Each holder keeps a reservation, released on drop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// A byte budget.
#[derive(Debug)]
pub(crate) struct Room {
    held: AtomicU64,
    pub(crate) limit: u64,
}

/// A reservation. Dropping it releases its bytes.
pub(crate) struct Place {
    room: Arc<Room>,
    bytes: u64,
}

impl Room {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { held: AtomicU64::new(0), limit })
    }

    /// Reserves bytes; `None` if fewer are left.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Option<Place> {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        // From here on, dropping it releases the bytes.
        let place = Place { room: self.clone(), bytes };
        (held <= self.limit).then_some(place)
    }
}

impl Place {
    /// Adds to the reservation.
    ///
    /// # Errors
    /// The limit, if fewer bytes are left.
    #[cfg(feature = "server")]
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), u64> {
        let Room { held, limit } = &*self.room;
        let held = held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        // Dropping the reservation releases these as well.
        self.bytes = self.bytes.saturating_add(bytes);
        if held <= *limit { Ok(()) } else { Err(*limit) }
    }

    /// Ties the reservation to bytes. It is released when the last clone or
    /// slice of them is dropped.
    pub(crate) fn keep(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Counted { bytes, _place: self })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes and their reservation.
struct Counted {
    bytes: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_held_than_there_is_room_for() {
        let room = Room::new(10);
        let first = room.take(6);
        assert!(first.is_some());
        assert!(room.take(5).is_none());
        assert!(room.take(4).is_some());
        drop(first);
        #[cfg(feature = "server")]
        {
            let mut place = room.take(1).expect("there is room");
            assert_eq!((place.grow(9), place.grow(1)), (Ok(()), Err(10)));
        }
        assert!(room.take(10).is_some());
        assert!(room.take(u64::MAX).is_none());
        assert!(room.take(10).is_some());
    }

    #[test]
    fn a_copy_keeps_its_place_as_long_as_any_of_it_is_there() {
        let room = Room::new(4);
        let copy = |bytes: &'static [u8]| {
            Some(room.take(bytes.len() as u64)?.keep(Bytes::from_static(bytes)))
        };
        let four = copy(b"four").expect("there is room");
        let part = four.slice(1..2);
        drop(four);
        assert!(copy(b"x").is_none());
        drop(part);
        assert_eq!(copy(b"four").as_deref(), Some(&b"four"[..]));
    }
}
