//! A number of permits, of which every core has its share: who finds none left
//! in his own takes one from another's.

#[cfg(not(interleavings))]
use std::sync::atomic::AtomicU64;

#[cfg(interleavings)]
use loom::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use crate::cores::PerCore;

/// All of them, whoever has them.
#[derive(Debug)]
pub(crate) struct Permits {
    most: usize,
    shares: PerCore<Share>,
}

/// Those of a core that nobody has, in the lower half; in the upper half how
/// many have been given back, ever, as far as that half goes.
#[derive(Debug)]
struct Share(AtomicU64);

/// One of them, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Share);

/// One more that nobody has, and one more that was given back.
const GIVEN_BACK: u64 = (1 << 32) + 1;

impl Permits {
    /// At most as many as a share can count, which no machine has room for.
    pub(crate) fn new(most: usize) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX) as usize;
        // The first of them take what can't be divided.
        let share = |core, cores| most / cores + usize::from(core < most % cores);
        Self {
            most,
            shares: PerCore::new(|core, cores| Share(AtomicU64::new(share(core, cores) as u64))),
        }
    }

    /// One that nobody has; `None` only if there was a moment at which all of
    /// them were taken.
    ///
    /// That no share had one when it was looked at is not enough: one may have
    /// been given back to the first while the last one of the second was taken.
    /// They are therefore looked at once more. If nothing was given back since,
    /// all of them were empty at the moment between.
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

    /// Whether at least `count` are free. It reads the cores one by one, this
    /// one first, and stops when it has seen enough.
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

    /// How many are taken, by someone or other: exact as long as none is taken
    /// or given back meanwhile.
    pub(crate) fn taken(&self) -> usize {
        let left = self.shares.iter().map(Share::left).sum();
        self.most.saturating_sub(left)
    }
}

impl Share {
    /// One of its own; else what it says, which is then only how many have been
    /// given back.
    fn take(&self) -> Result<Permit<'_>, u64> {
        let one_less = |word: u64| (word as u32 != 0).then(|| word.wrapping_sub(1));
        self.0.fetch_update(SeqCst, SeqCst, one_less).map(|_| Permit(self))
    }

    fn left(&self) -> usize {
        self.0.load(SeqCst) as u32 as usize
    }
}

impl Permit<'_> {
    /// Keeps it taken without a guard, until [`Permits::put_back`].
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_add(GIVEN_BACK, SeqCst);
    }
}
