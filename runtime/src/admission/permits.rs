//! A number of permits, divided among the cores. A thread that finds its core's
//! share empty takes a permit from another core's share.

#[cfg(not(interleavings))]
use std::sync::atomic::AtomicU64;

#[cfg(interleavings)]
use loom::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use crate::cores::PerCore;

/// All permits, free or taken.
#[derive(Debug)]
pub(crate) struct Permits {
    most: usize,
    shares: PerCore<Share>,
}

/// The free permits of a core in the lower half. The upper half counts all
/// permits that were ever returned, and wraps around.
#[derive(Debug)]
struct Share(AtomicU64);

/// One permit, returned when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Share);

/// One more free permit, and one more that was returned.
const GIVEN_BACK: u64 = (1 << 32) + 1;

impl Permits {
    /// Makes `most` permits, but no more than a share can count. No machine has
    /// the memory for that many.
    pub(crate) fn new(most: usize) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX) as usize;
        // The first cores take the remainder.
        let share = |core, cores| most / cores + usize::from(core < most % cores);
        Self {
            most,
            shares: PerCore::new(|core, cores| Share(AtomicU64::new(share(core, cores) as u64))),
        }
    }

    /// Takes a free permit; `None` only if there was a moment at which all
    /// permits were taken.
    ///
    /// Finding each share empty in turn is not sufficient: a permit may have
    /// been returned to the first share while the last one of the second was
    /// taken. The shares are therefore checked a second time. If no permit was
    /// returned since, all of them were empty at the moment between the two
    /// passes.
    pub(crate) fn take(&self) -> Option<Permit<'_>> {
        let mut before = None;
        loop {
            let mut given_back = 0_u64;
            for share in self.shares.iter() {
                match share.take() {
                    Ok(permit) => return Some(permit),
                    Err(empty) => given_back = given_back.wrapping_add(empty),
                }
            }
            if before.replace(given_back) == Some(given_back) {
                return None;
            }
        }
    }

    /// Whether at least `count` permits are free. It reads the cores one by
    /// one, starting with the current one, and stops as soon as it has found
    /// enough.
    pub(crate) fn has_free(&self, count: usize) -> bool {
        let mut missing = count;
        self.shares.iter().any(|share| {
            missing = missing.saturating_sub(share.left());
            missing == 0
        })
    }

    /// Returns a permit that was [forgotten](Permit::forget), to this core.
    pub(crate) fn put_back(&self) {
        drop(self.shares.iter().next().map(Permit));
    }

    /// The number of taken permits. It is exact if none is taken or returned
    /// during the call.
    pub(crate) fn taken(&self) -> usize {
        let left = self.shares.iter().map(Share::left).sum();
        self.most.saturating_sub(left)
    }
}

impl Share {
    /// Takes a permit of this share. Otherwise returns the share's value, which
    /// is then only the count of returned permits.
    fn take(&self) -> Result<Permit<'_>, u64> {
        let one_less = |word: u64| (word as u32 != 0).then(|| word.wrapping_sub(1));
        self.0.fetch_update(SeqCst, SeqCst, one_less).map(|_| Permit(self))
    }

    fn left(&self) -> usize {
        self.0.load(SeqCst) as u32 as usize
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
        self.0.0.fetch_add(GIVEN_BACK, SeqCst);
    }
}
