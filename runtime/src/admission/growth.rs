//! The call trees with waiting calls, which can start once more permits are
//! free.
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
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::permits::Permits;
use super::sync::{AtomicUsize, Mutex, ordered};
use super::tree::CallTree;

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
        self.least.load(Ordering::SeqCst) != NONE
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
        self.least.store(least, Ordering::SeqCst);
        ordered();
    }

    /// The tree that needs the fewest permits, if as many are free.
    pub(super) fn next(&self, permits: &Permits) -> Option<Arc<CallTree>> {
        if !permits.has_free(self.least.load(Ordering::SeqCst)) {
            return None;
        }
        let trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        let ((needed, _), tree) = trees.first_key_value()?;
        permits.has_free(*needed).then(|| tree.clone())
    }
}
