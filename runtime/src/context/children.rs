//! The contexts attached to one: a list with removal in constant time that
//! shrinks as children leave.
//!
//! A child knows its index in its parent's list; when it leaves, the last child
//! takes its place. Removing a child that is not in the list has no effect.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::node::Node;
use super::sync::AtomicUsize;

/// Lists no longer than this are not worth shrinking. Without a floor, every
/// first child would pay for an allocation and every last one for freeing it.
const KEPT: usize = 8;

/// A node's index in its parent's list, read and written only under the
/// parent's lock: it is atomic only because the node is shared.
#[derive(Debug, Default)]
pub(super) struct ChildIndex(AtomicUsize);

/// The nodes attached to one node.
#[derive(Default)]
pub(super) struct Children(Vec<Arc<Node>>);

impl Children {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Any one of the children.
    pub(super) fn any(&self) -> Option<&Arc<Node>> {
        self.0.last()
    }

    pub(super) fn insert(&mut self, child: Arc<Node>) {
        child.place.0.store(self.0.len(), Relaxed);
        self.0.push(child);
    }

    /// Removes `child`, if it is in the list. The caller drops it outside of
    /// the lock.
    pub(super) fn remove(&mut self, child: &Arc<Node>) -> Option<Arc<Node>> {
        let place = child.place.0.load(Relaxed);
        self.0.get(place).filter(|found| Arc::ptr_eq(found, child))?;
        let removed = self.0.swap_remove(place);
        if let Some(moved) = self.0.get(place) {
            moved.place.0.store(place, Relaxed);
        }
        if self.0.capacity() > KEPT && self.0.len() <= self.0.capacity() / 4 {
            self.0.shrink_to((self.0.len() * 2).max(KEPT));
        }
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Arc<Node> {
        Node::derive(None, None, None)
    }

    #[test]
    fn a_list_that_was_long_gives_its_memory_back() {
        let nodes: Vec<_> = (0..10_000).map(|_| node()).collect();
        let mut children = Children::default();
        for node in &nodes {
            children.insert(node.clone());
        }
        for node in &nodes {
            assert!(children.remove(node).is_some());
        }
        assert_eq!(children.len(), 0);
        assert!(children.0.capacity() <= KEPT);
    }

    #[test]
    fn every_order_of_leaving_finds_the_right_one() {
        for step in [1, 3, 7, 9] {
            let nodes: Vec<_> = (0..10).map(|_| node()).collect();
            let mut children = Children::default();
            for node in &nodes {
                children.insert(node.clone());
            }
            for left in 0..nodes.len() {
                let node = &nodes[left * step % nodes.len()];
                let removed = children.remove(node);
                assert!(removed.is_some_and(|removed| Arc::ptr_eq(&removed, node)));
                assert_eq!(children.len(), nodes.len() - left - 1);
            }
        }
    }

    #[test]
    fn a_stranger_is_left_alone() {
        let (child, stranger) = (node(), node());
        let mut children = Children::default();
        children.insert(child.clone());
        assert!(children.remove(&stranger).is_none());
        assert!(children.remove(&child).is_some());
        assert!(children.remove(&child).is_none());
    }
}
