//! Random trees of contexts, compared with a simple model.
//!
//! Time only advances in steps of hours: the state of a context must not depend
//! on when, or whether, it was observed.

use std::collections::BTreeSet;
use std::time::Instant;

use hourglass::{AfterFunc, Cancel, Cause, Context, Done, Key};
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::advance;

use super::HOUR;

/// An operation on a tree. Numbers are taken modulo the number of choices.
/// Deadlines are in hours from now.
#[derive(Clone, Debug)]
enum Step {
    Cancelable { parent: usize },
    Deadline { parent: usize, hours: i32, cause: u8 },
    Value { parent: usize, key: usize, value: u8 },
    Free { parent: usize },
    Cancel { guard: usize, cause: u8 },
    DropGuard { guard: usize },
    DropContext { context: usize },
    Look { context: usize },
    After { context: usize },
    Stop { after: usize },
    Wait { hours: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<usize>;
    let hours = prop_oneof![1 => -3..=0_i32, 3 => 1..=5_i32];
    let cause = 0..3_u8;
    prop_oneof![
        8 => any().prop_map(|parent| Step::Cancelable { parent }),
        6 => (any(), hours, cause.clone())
            .prop_map(|(parent, hours, cause)| Step::Deadline { parent, hours, cause }),
        3 => (any(), any(), 0..9_u8)
            .prop_map(|(parent, key, value)| Step::Value { parent, key, value }),
        1 => any().prop_map(|parent| Step::Free { parent }),
        4 => (any(), cause).prop_map(|(guard, cause)| Step::Cancel { guard, cause }),
        3 => any().prop_map(|guard| Step::DropGuard { guard }),
        3 => any().prop_map(|context| Step::DropContext { context }),
        3 => any().prop_map(|context| Step::Look { context }),
        4 => any().prop_map(|context| Step::After { context }),
        2 => any().prop_map(|after| Step::Stop { after }),
        3 => (1..=3_u8).prop_map(|hours| Step::Wait { hours }),
    ]
}

fn cause(number: u8) -> Cause {
    match number {
        0 => Cause::Canceled,
        1 => Cause::Shutdown,
        _ => Cause::Operator,
    }
}

const KEYS: [&str; 3] = ["a", "b", "c"];

/// How, why and when it ended.
type End = (Done, Cause, i32);

/// A deadline in hours since the start, and its cause.
type Deadline = (i32, Cause);

/// A node that can end, in the model.
struct Node {
    parent: Option<usize>,
    deadline: Option<Deadline>,
    end: Option<End>,
}

/// A context, in the model.
#[derive(Clone)]
struct View {
    node: Option<usize>,
    values: Vec<(&'static str, u8)>,
}

struct ModelAfter {
    node: Option<usize>,
    stopped: bool,
    called: bool,
}

#[derive(Default)]
struct Model {
    /// The hours that have passed.
    now: i32,
    nodes: Vec<Node>,
    afters: Vec<ModelAfter>,
}

impl Model {
    fn end(&self, node: Option<usize>) -> Option<End> {
        self.nodes[node?].end.clone()
    }

    fn deadline(&self, node: Option<usize>) -> Option<Deadline> {
        self.nodes[node?].deadline.clone()
    }

    fn derive(&mut self, parent: Option<usize>, own: Option<Deadline>) -> usize {
        let deadline = match (self.deadline(parent), own) {
            (Some(inherited), Some(own)) if own.0 < inherited.0 => Some(own),
            (Some(inherited), _) => Some(inherited),
            (None, own) => own,
        };
        let end = self.end(parent);
        self.nodes.push(Node { parent, deadline, end });
        self.wait(0);
        self.nodes.len() - 1
    }

    fn wait(&mut self, hours: i32) {
        self.now += hours;
        for node in self.nodes.iter_mut().filter(|node| node.end.is_none()) {
            let passed = node.deadline.clone().filter(|(at, _)| *at <= self.now);
            node.end = passed.map(|(at, cause)| (Done::DeadlineExceeded, cause, at));
        }
        self.call();
    }

    fn cancel(&mut self, node: usize, cause: Cause) {
        self.finish(node, &(Done::Canceled, cause, self.now));
    }

    fn finish(&mut self, node: usize, end: &End) {
        if self.nodes[node].end.is_none() {
            self.nodes[node].end = Some(end.clone());
        }
        let children: Vec<_> =
            (0..self.nodes.len()).filter(|child| self.nodes[*child].parent == Some(node)).collect();
        for child in children {
            if self.nodes[child].end.is_none() {
                self.finish(child, end);
            }
        }
        self.call();
    }

    fn call(&mut self) {
        for after in 0..self.afters.len() {
            let ended = self.end(self.afters[after].node).is_some();
            let after = &mut self.afters[after];
            after.called |= ended && !after.stopped;
        }
    }

    /// Contexts and functions attached to a node that has not ended.
    fn children(&self, node: Option<usize>) -> usize {
        let Some(node) = node.filter(|node| self.nodes[*node].end.is_none()) else {
            return 0;
        };
        let contexts =
            self.nodes.iter().filter(|child| child.parent == Some(node) && child.end.is_none());
        let afters = self.afters.iter().filter(|after| after.node == Some(node) && !after.stopped);
        contexts.count() + afters.count()
    }
}

/// The contexts under test with their model.
struct World {
    model: Model,
    views: Vec<(Context, View)>,
    guards: Vec<(Cancel, usize)>,
    afters: Vec<(AfterFunc, usize)>,
    called: mpsc::UnboundedSender<usize>,
    start: Instant,
}

impl World {
    fn new(called: mpsc::UnboundedSender<usize>) -> World {
        let view = View { node: None, values: vec![] };
        World {
            model: Model::default(),
            views: vec![(Context::background(), view)],
            guards: vec![],
            afters: vec![],
            called,
            start: tokio::time::Instant::now().into_std(),
        }
    }

    fn at(&self, hours: i32) -> Instant {
        let distance = HOUR * hours.unsigned_abs();
        if hours < 0 { self.start - distance } else { self.start + distance }
    }

    fn view(&self, number: usize) -> &(Context, View) {
        &self.views[number % self.views.len()]
    }

    fn add(&mut self, (context, guard): (Context, Cancel), node: usize, parent: &View) {
        let view = View { node: Some(node), values: parent.values.clone() };
        self.views.push((context, view));
        self.guards.push((guard, node));
    }

    async fn apply(&mut self, step: Step) {
        match step {
            Step::Wait { hours } => {
                self.model.wait(hours.into());
                advance(HOUR * hours.into()).await;
                // Lets the tasks that wait for a deadline run.
                yield_now().await;
            }
            Step::Cancelable { parent } => {
                let (context, view) = self.view(parent).clone();
                let node = self.model.derive(view.node, None);
                self.add(context.with_cancel(), node, &view);
            }
            Step::Deadline { parent, hours, cause: number } => {
                let (context, view) = self.view(parent).clone();
                let (at, cause) = (self.model.now + hours, cause(number));
                let node = self.model.derive(view.node, Some((at, cause.clone())));
                let derived = context.with_deadline_cause(self.at(at), cause);
                self.add(derived, node, &view);
            }
            Step::Value { parent, key, value } => {
                let (context, mut view) = self.view(parent).clone();
                let name = KEYS[key % KEYS.len()];
                view.values.insert(0, (name, value));
                let context = context.with_value(&Key::new(name), value);
                self.views.push((context, view));
            }
            Step::Free { parent } => {
                let (context, mut view) = self.view(parent).clone();
                view.node = None;
                self.views.push((context.without_cancel(), view));
            }
            Step::Look { context } => self.compare(self.view(context)),
            Step::DropContext { context } => {
                // The background stays, so that there is always a parent.
                let context = context % self.views.len();
                if context > 0 {
                    self.views.swap_remove(context);
                }
            }
            Step::Cancel { .. } | Step::DropGuard { .. } => self.cancel(step),
            Step::After { .. } | Step::Stop { .. } => self.after(step),
        }
    }

    fn cancel(&mut self, step: Step) {
        let count = self.guards.len();
        match step {
            Step::Cancel { guard, cause: number } if count > 0 => {
                let (guard, node) = &self.guards[guard % count];
                guard.cancel_with(cause(number));
                self.model.cancel(*node, cause(number));
            }
            Step::DropGuard { guard } if count > 0 => {
                let (guard, node) = self.guards.swap_remove(guard % count);
                drop(guard);
                self.model.cancel(node, Cause::Canceled);
            }
            _ => {}
        }
    }

    fn after(&mut self, step: Step) {
        match step {
            Step::After { context } => {
                let number = self.model.afters.len();
                let (context, view) = self.view(context);
                let called = self.called.clone();
                let after = context.after_func(move || called.send(number).unwrap());
                self.model.afters.push(ModelAfter {
                    node: view.node,
                    stopped: false,
                    called: false,
                });
                self.model.call();
                self.afters.push((after, number));
            }
            Step::Stop { after } if !self.afters.is_empty() => {
                let (after, number) = &self.afters[after % self.afters.len()];
                let expected = &mut self.model.afters[*number];
                let prevents = !expected.called && !expected.stopped;
                assert_eq!(after.stop(), prevents);
                expected.stopped |= prevents;
            }
            _ => {}
        }
    }

    fn compare(&self, (context, view): &(Context, View)) {
        let end = self.model.end(view.node);
        assert_eq!(context.err(), end.as_ref().map(|(done, ..)| *done));
        assert_eq!(context.cause(), end.as_ref().map(|(_, cause, _)| cause.clone()));
        assert_eq!(context.done_since(), end.map(|(.., at)| self.at(at)));
        let deadline = self.model.deadline(view.node).map(|(at, _)| at);
        assert_eq!(context.deadline(), deadline.map(|at| self.at(at)));
        let left = deadline.map(|at| HOUR * (at - self.model.now).max(0) as u32);
        assert_eq!(context.remaining(), left);
        let mut seen = BTreeSet::new();
        let visible: Vec<_> = view
            .values
            .iter()
            .filter(|(name, _)| seen.insert(*name))
            .map(|(name, value)| (*name, value.to_string()))
            .collect();
        assert_eq!(context.values().collect::<Vec<_>>(), visible);
        for name in KEYS {
            let value = view.values.iter().find(|(found, _)| *found == name);
            let value = value.map(|(_, value)| *value);
            assert_eq!(context.value(&Key::<u8>::new(name)), value);
        }
    }

    /// Checks every context, and ends it.
    fn finish(mut self) -> BTreeSet<usize> {
        self.views.iter().for_each(|pair| self.compare(pair));
        // Not before: a context without a handle may not have observed its
        // deadline before its guard is dropped.
        let (unseen, seen): (Vec<_>, Vec<_>) = std::mem::take(&mut self.guards)
            .into_iter()
            .partition(|(_, node)| self.model.end(Some(*node)).is_some());
        drop(unseen);
        for (context, view) in &self.views {
            assert_eq!(context.children(), self.model.children(view.node));
        }
        for (guard, node) in seen {
            drop(guard);
            self.model.cancel(node, Cause::Canceled);
        }
        self.views.iter().for_each(|pair| self.compare(pair));
        let afters = self.model.afters.iter().enumerate();
        let called = afters.filter(|(_, after)| after.called);
        called.map(|(number, _)| number).collect()
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn run(steps: Vec<Step>) {
    runtime().block_on(async move {
        let (called, mut calls) = mpsc::unbounded_channel();
        let mut world = World::new(called);
        for step in steps {
            world.apply(step).await;
        }
        let expected = world.finish();
        // Ends when no function can be called any more.
        let mut got = vec![];
        while let Some(number) = calls.recv().await {
            got.push(number);
        }
        got.sort_unstable();
        assert_eq!(got, expected.into_iter().collect::<Vec<_>>());
    });
}

/// Regressions that random steps have found, in their shortest form.
#[test]
fn regressions_stay_fixed() {
    use Step::*;
    let expired = |parent, hours| Deadline { parent, hours, cause: 2 };
    run(vec![expired(0, -2), Cancel { guard: 0, cause: 0 }]);
    run(vec![After { context: 0 }, Stop { after: 0 }]);
    // The parent ends first, regardless of the deadlines.
    run(vec![expired(0, -2), Deadline { parent: 1, hours: -3, cause: 0 }]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_tree_behaves_as_its_model(steps in prop::collection::vec(step(), 1..60)) {
        run(steps);
    }
}
