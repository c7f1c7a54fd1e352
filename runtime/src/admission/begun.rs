//! Counts the calls that were made and have not ended, including those that no
//! task has polled yet.
//!
//! A guest can make calls faster than they reach admission. If each of them
//! makes more, as in a function that calls itself, their number would double
//! without end. Each takes several KiB. A call is therefore refused once as
//! many have been made as may run and wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::tree::CallTree;
use super::{Admission, WAITING_TREES};
use crate::outcome::Outcome;

/// A call that was made. It ends when this is dropped.
pub(crate) struct Begun {
    admission: Arc<Admission>,
    tree: Arc<CallTree>,
}

impl Admission {
    /// Counts a call of a tree.
    ///
    /// # Errors
    /// There are too many calls in its tree, or in total.
    pub(crate) fn begin_call(self: &Arc<Self>, tree: &Arc<CallTree>) -> Result<Begun, Outcome> {
        let of_tree = tree.begun.fetch_add(1, Ordering::Relaxed);
        let of_all = self.begun.fetch_add(1, Ordering::Relaxed);
        // From here on, dropping it undoes the count.
        let begun = Begun { admission: self.clone(), tree: tree.clone() };
        let waiting = self.most_waiting;
        let fits = of_tree < self.most.saturating_add(waiting)
            && of_all < self.most.saturating_add(waiting.saturating_mul(WAITING_TREES));
        if fits { Ok(begun) } else { Err(Outcome::Busy) }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.tree.begun.fetch_sub(1, Ordering::Relaxed);
        self.admission.begun.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(interleavings)))]
mod tests {
    use super::*;

    #[test]
    fn a_tree_makes_as_many_calls_as_can_run_and_wait() {
        let (admission, tree) = (Admission::new(2, 0.5), Arc::default());
        let begin = |tree| admission.begin_call(tree).ok();
        let mut begun: Vec<_> = std::iter::from_fn(|| begin(&tree)).collect();
        assert_eq!(begun.len(), 2 + admission.most_waiting);
        let other = Arc::default();
        assert!(begin(&other).is_some());
        begun.pop();
        assert!(begin(&tree).is_some());
        begun.clear();
        let trees: Vec<Arc<CallTree>> = (0..8).map(|_| Arc::default()).collect();
        let all: usize = trees
            .iter()
            .map(|tree| {
                let before = begun.len();
                begun.extend(std::iter::from_fn(|| begin(tree)));
                begun.len() - before
            })
            .sum();
        assert_eq!(all, 2 + WAITING_TREES * admission.most_waiting);
    }
}
