//! Tests of the tree.

use super::*;

/// A node that another thread is about to sweep: its descendants still
/// live.
fn ending(parent: Option<&Arc<Node>>) -> (Arc<Node>, Arc<Node>) {
    let node = Node::derive(parent, None, None);
    let child = Node::derive(Some(&node), None, None);
    let end = End { done: Done::Canceled, cause: Cause::Operator, at: Instant::now() };
    node.write(&mut node.state(), &end);
    (node, child)
}

#[test]
fn a_helper_passes_on_the_first_end() {
    let top = Node::derive(None, None, None);
    let (_middle, child) = ending(Some(&top));
    top.cancel(Cause::Shutdown);
    assert_eq!(top.end().map(|end| end.cause), Some(Cause::Shutdown));
    assert_eq!(child.end().map(|end| end.cause), Some(Cause::Operator));
}

#[tokio::test]
async fn a_waiter_has_helped() {
    let (node, child) = ending(None);
    assert_eq!(child.done(), None);
    assert_eq!(node.wait().await, Done::Canceled);
    assert_eq!(child.done(), Some(Done::Canceled));
}

#[test]
fn an_abandoned_node_leaves_and_ends_only_for_its_holders() {
    let parent = Node::derive(None, None, None);
    let nodes = [(); 2].map(|()| Node::derive(Some(&parent), None, None));
    let held = nodes[1].clone();
    nodes.iter().for_each(Node::abandon);
    assert_eq!(nodes[0].done(), None);
    assert_eq!(held.done(), Some(Done::Canceled));
    assert_eq!(parent.children(), 0);
}

#[test]
fn a_node_that_is_ending_takes_no_more_children() {
    let (node, _child) = ending(None);
    let late = Node::derive(Some(&node), None, None);
    assert_eq!(late.done(), Some(Done::Canceled));
    assert_eq!(node.children(), 1);
}

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
    assert_eq!(children.0.len(), 0);
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
            assert_eq!(children.0.len(), nodes.len() - left - 1);
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
