//! A number of permits.
//!
//! All cores count in one place. Permits divided among the cores need a second
//! pass before they can refuse, and are not measurably faster on two cores: an
//! invocation takes several microseconds, and its permit two atomic operations.

use std::sync::atomic::Ordering::SeqCst;

use super::sync::AtomicUsize;

/// All permits, free or taken.
#[derive(Debug)]
pub(crate) struct Permits {
    most: usize,
    free: AtomicUsize,
}

/// One permit, returned when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Permits);

impl Permits {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, free: AtomicUsize::new(most) }
    }

    /// Takes a free permit, if there is one.
    pub(crate) fn take(&self) -> Option<Permit<'_>> {
        let one_less = |free: usize| free.checked_sub(1);
        self.free.fetch_update(SeqCst, SeqCst, one_less).ok().map(|_| Permit(self))
    }

    /// Whether at least `count` permits are free.
    pub(crate) fn has_free(&self, count: usize) -> bool {
        self.free.load(SeqCst) >= count
    }

    /// Returns a permit that was [forgotten](Permit::forget).
    pub(crate) fn put_back(&self) {
        drop(Permit(self));
    }

    /// The number of taken permits.
    pub(crate) fn taken(&self) -> usize {
        self.most - self.free.load(SeqCst)
    }
}

impl Permit<'_> {
    /// Keeps the permit taken without a guard, until [`Permits::put_back`].
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, SeqCst);
    }
}
