//! The invocations in flight, as a tree.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use crate::http::admin::client::answers::{Changes, Invocation};

/// The most invocations. A host sends no more.
const MOST: usize = 10_000;

/// The invocations in flight.
#[derive(Debug, Default)]
pub(crate) struct Live {
    invocations: BTreeMap<u64, Invocation>,
    /// Those that the host does not send.
    pub(crate) left_out: u64,
    /// The host's time at a moment of this machine.
    clock: Option<(Instant, f64)>,
}

/// An invocation in the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveRow<'a> {
    pub(crate) invocation: &'a Invocation,
    /// The number of callers above it.
    pub(crate) depth: usize,
    pub(crate) children: Children,
}

/// The callees of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Children {
    None,
    Shown,
    Hidden,
}

/// A column by which siblings are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LiveOrder {
    Id,
    Function,
    Age,
    Left,
}

impl Live {
    pub(crate) fn apply(&mut self, changes: Changes, at: Instant) {
        self.clock = Some((at, changes.now));
        self.left_out = changes.left_out;
        for id in changes.ended {
            self.invocations.remove(&id);
        }
        for invocation in changes.started.into_iter().chain(changes.changed) {
            if self.invocations.len() < MOST || self.invocations.contains_key(&invocation.id) {
                self.invocations.insert(invocation.id, invocation);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.invocations.len()
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Invocation> {
        self.invocations.get(&id)
    }

    /// The host's time, in milliseconds since the Unix epoch.
    pub(crate) fn now(&self, at: Instant) -> f64 {
        let Some((then, now)) = self.clock else { return 0.0 };
        now + at.saturating_duration_since(then).as_secs_f64() * 1e3
    }

    /// The number of invocations below one.
    pub(crate) fn descendants(&self, id: u64) -> usize {
        let below = self.below();
        let (mut count, mut left) = (0, vec![id]);
        while let Some(parent) = left.pop() {
            let children = below.get(&Some(parent)).map_or(&[][..], Vec::as_slice);
            count += children.len();
            left.extend(children.iter().map(|child| child.id));
        }
        count
    }

    /// The tree from top to bottom, without what is below the collapsed ones.
    /// Those that fit are there, with all above them.
    pub(crate) fn rows(
        &self,
        order: (LiveOrder, bool),
        collapsed: &HashSet<u64>,
        fits: impl Fn(&Invocation) -> bool,
    ) -> Vec<LiveRow<'_>> {
        let mut below = self.below();
        for siblings in below.values_mut() {
            siblings.sort_by(|one, other| order.0.compare(one, other));
            // The last one is taken first.
            if !order.1 {
                siblings.reverse();
            }
        }
        let kept = self.with_ancestors(fits);
        let mut take = |parent| {
            let mut children = below.remove(&parent).unwrap_or_default();
            children.retain(|child| kept.contains(&child.id));
            children
        };
        let mut left: Vec<_> = take(None).into_iter().map(|root| (0, root)).collect();
        let mut rows = Vec::new();
        while let Some((depth, invocation)) = left.pop() {
            let callees = take(Some(invocation.id));
            let children = match callees.is_empty() {
                true => Children::None,
                false if collapsed.contains(&invocation.id) => Children::Hidden,
                false => Children::Shown,
            };
            rows.push(LiveRow { invocation, depth, children });
            if children == Children::Shown {
                left.extend(callees.into_iter().map(|callee| (depth + 1, callee)));
            }
        }
        rows
    }

    /// The invocations by their parents. One whose parent is not in flight is a
    /// root.
    fn below(&self) -> HashMap<Option<u64>, Vec<&Invocation>> {
        let mut below: HashMap<_, Vec<_>> = HashMap::new();
        for one in self.invocations.values() {
            let is_known = |id: &u64| *id < one.id && self.invocations.contains_key(id);
            below.entry(one.parent.filter(is_known)).or_default().push(one);
        }
        below
    }

    fn with_ancestors(&self, fits: impl Fn(&Invocation) -> bool) -> HashSet<u64> {
        let mut kept = HashSet::new();
        for mut one in self.invocations.values().filter(|one| fits(one)) {
            while kept.insert(one.id) {
                let Some(parent) = one.parent.and_then(|id| self.get(id)) else { break };
                one = parent;
            }
        }
        kept
    }
}

impl LiveOrder {
    pub(crate) const ALL: [Self; 4] = [Self::Id, Self::Function, Self::Age, Self::Left];

    fn compare(self, one: &Invocation, other: &Invocation) -> Ordering {
        let deadline = |one: &Invocation| one.deadline.unwrap_or(f64::INFINITY);
        match self {
            Self::Id => Ordering::Equal,
            Self::Function => one.function.cmp(&other.function),
            Self::Age => other.started.total_cmp(&one.started),
            Self::Left => deadline(one).total_cmp(&deadline(other)),
        }
        .then(one.id.cmp(&other.id))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn one(id: u64, parent: Option<u64>) -> Invocation {
        let deadline = Some(1e4 - id as f64);
        Invocation {
            id,
            parent,
            deadline,
            function: format!("f{}", id % 2)[..].into(),
            ..Default::default()
        }
    }

    fn live(started: Vec<Invocation>) -> Live {
        let mut live = Live::default();
        live.apply(Changes { now: 1e3, started, ..Changes::default() }, Instant::now());
        live
    }

    fn tree() -> Live {
        live(vec![
            one(1, None),
            one(2, None),
            one(3, Some(1)),
            one(4, Some(3)),
            one(5, Some(2)),
            one(6, Some(1)),
        ])
    }

    fn places(
        live: &Live,
        order: (LiveOrder, bool),
        collapsed: &[u64],
        fits: &[u64],
    ) -> Vec<(usize, u64)> {
        let collapsed = collapsed.iter().copied().collect();
        let rows = live.rows(order, &collapsed, |one| fits.is_empty() || fits.contains(&one.id));
        rows.iter().map(|row| (row.depth, row.invocation.id)).collect()
    }

    const ID: (LiveOrder, bool) = (LiveOrder::Id, false);

    #[test]
    fn each_stands_below_its_caller() {
        let whole = [(0, 1), (1, 3), (2, 4), (1, 6), (0, 2), (1, 5)];
        assert_eq!(places(&tree(), ID, &[], &[]), whole);
        assert_eq!(places(&tree(), ID, &[1], &[]), [(0, 1), (0, 2), (1, 5)]);
        let left = [(0, 2), (1, 5), (0, 1), (1, 6), (1, 3), (2, 4)];
        assert_eq!(places(&tree(), (LiveOrder::Left, false), &[], &[]), left);
        assert_eq!(places(&tree(), (LiveOrder::Id, true), &[], &[]), left);
        assert_eq!(places(&tree(), (LiveOrder::Function, false), &[1, 2], &[]), [(0, 2), (0, 1)]);
    }

    #[test]
    fn a_filter_keeps_what_is_above() {
        assert_eq!(places(&tree(), ID, &[], &[4]), [(0, 1), (1, 3), (2, 4)]);
        assert_eq!(places(&tree(), ID, &[], &[2]), [(0, 2)]);
        assert_eq!(places(&tree(), ID, &[], &[9]), []);
    }

    #[test]
    fn changes_replace_and_remove() {
        let mut live = tree();
        let done = Invocation { done: Some("canceled".into()), ..one(3, Some(1)) };
        let changes =
            Changes { changed: vec![done], ended: vec![1, 5], left_out: 7, ..Changes::default() };
        live.apply(changes, Instant::now());
        assert_eq!(places(&live, ID, &[], &[]), [(0, 2), (0, 3), (1, 4), (0, 6)]);
        assert!(live.get(3).is_some_and(|one| one.done.is_some()));
        assert_eq!((live.left_out, live.len()), (7, 4));
        assert_eq!(live.descendants(3), 1);
        assert_eq!(tree().descendants(1), 3);
    }

    #[test]
    fn time_goes_on_between_events() {
        let (mut live, at) = (Live::default(), Instant::now());
        live.apply(Changes { now: 5e3, ..Changes::default() }, at);
        assert_eq!(live.now(at + Duration::from_secs(1)), 6e3);
    }

    #[test]
    fn its_size_is_bounded_and_a_cycle_is_no_danger() {
        let long = (1..=MOST as u64 + 5).map(|id| one(id, id.checked_sub(1))).collect();
        let live = live(long);
        assert_eq!(live.len(), MOST);
        assert_eq!(live.rows(ID, &HashSet::new(), |_| true).len(), MOST);
        assert_eq!(live.descendants(1), MOST - 1);
        let cycle = self::live(vec![one(1, Some(2)), one(2, Some(1))]);
        assert_eq!(places(&cycle, ID, &[], &[]), [(0, 1), (1, 2)]);
    }
}
