//! The permits, and the call trees that can start calls once more of them are
//! free.
//!
//! All cores count permits in one place. Permits divided among the cores need a
//! second pass before they can refuse, and are not measurably faster on two
//! cores: an invocation takes several microseconds, and its permit two atomic
//! operations.
//!
//! A tree is listed while any of its calls wait, under the number of free
//! permits that it needs for the next one. Each return of a permit compares the
//! smallest of these numbers with the number of free permits: one atomic load
//! if no tree waits.
//!
//! No wake-up is lost. A tree is listed before it checks the free permits for
//! the last time, and a permit is returned before the list is checked, all of
//! it sequentially consistent: one of the two sees the other.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError};

use super::sync::{AtomicUsize, Mutex, ordered};
use super::tree::CallTree;

/// All permits, free or taken.
#[derive(Debug)]
pub(super) struct Permits {
    pub(super) most: usize,
    free: AtomicUsize,
}

impl Permits {
    pub(super) fn new(most: usize) -> Self {
        Self { most, free: AtomicUsize::new(most) }
    }

    /// Takes a free permit, if there is one.
    pub(super) fn take(&self) -> bool {
        let one_less = |free: usize| free.checked_sub(1);
        self.free.fetch_update(SeqCst, SeqCst, one_less).is_ok()
    }

    /// Returns a permit that was taken.
    pub(super) fn put_back(&self) {
        self.free.fetch_add(1, SeqCst);
    }

    /// Whether at least `count` permits are free.
    pub(super) fn has_free(&self, count: usize) -> bool {
        self.free.load(SeqCst) >= count
    }

    /// The number of taken permits.
    pub(super) fn taken(&self) -> usize {
        self.most - self.free.load(SeqCst)
    }
}

/// The smallest number while no tree waits.
const NONE: usize = usize::MAX;

/// Trees by the number of permits that they need, and by their address if
/// several need the same number.
type Trees = BTreeMap<(usize, usize), Arc<CallTree>>;

/// The trees that wait.
#[derive(Debug)]
pub(super) struct Growth {
    trees: Mutex<Trees>,
    /// The smallest number in the list.
    least: AtomicUsize,
}

impl Growth {
    pub(super) fn new() -> Self {
        Self { trees: Mutex::new(Trees::new()), least: AtomicUsize::new(NONE) }
    }

    /// Whether any tree waits.
    pub(super) fn is_awaited(&self) -> bool {
        ordered();
        self.least.load(SeqCst) != NONE
    }

    /// Lists a tree under the number of permits that it needs, or removes it
    /// from the list. `listed` is the number that it was listed under, and is
    /// guarded by the tree's own lock.
    pub(super) fn list(
        &self,
        tree: &Arc<CallTree>,
        listed: &mut Option<usize>,
        needed: Option<usize>,
    ) {
        if *listed == needed {
            return;
        }
        let address = Arc::as_ptr(tree).addr();
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listed) = listed.take() {
            trees.remove(&(listed, address));
        }
        if let Some(needed) = needed {
            trees.insert((needed, address), tree.clone());
        }
        *listed = needed;
        let least = trees.first_key_value().map_or(NONE, |((needed, _), _)| *needed);
        self.least.store(least, SeqCst);
        ordered();
    }

    /// The tree that needs the fewest permits, if as many are free.
    pub(super) fn next(&self, permits: &Permits) -> Option<Arc<CallTree>> {
        if !permits.has_free(self.least.load(SeqCst)) {
            return None;
        }
        let trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        let ((needed, _), tree) = trees.first_key_value()?;
        permits.has_free(*needed).then(|| tree.clone())
    }
}
