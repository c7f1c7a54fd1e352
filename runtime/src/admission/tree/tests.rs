//! The properties of call trees under any order of events.

use proptest::prelude::*;

use super::super::Permit;
use super::*;

const TREES: usize = 3;
const DEPTH: usize = 4;

/// The next event. A number selects one of the existing calls.
#[derive(Clone, Debug)]
enum Step {
    /// A root arrives, or all of them have ended.
    Root,
    RootEnds,
    /// A call is made in a tree, by the root or by one of its calls.
    Call {
        tree: usize,
        caller: usize,
    },
    Ends(usize),
    /// A waiting call is given up.
    Leaves(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Root),
        1 => Just(Step::RootEnds),
        6 => (0..TREES, any::<usize>()).prop_map(|(tree, caller)| Step::Call { tree, caller }),
        4 => any::<usize>().prop_map(Step::Ends),
        1 => any::<usize>().prop_map(Step::Leaves),
    ]
}

/// A host with all running and waiting calls.
struct Host {
    admission: Arc<Admission>,
    most: usize,
    trees: Vec<Arc<CallTree>>,
    /// The calls in flight, with their tree and depth.
    running: Vec<(usize, usize, CallPermit)>,
    waiting: Vec<(usize, Waiting)>,
}

impl Host {
    fn new(most: usize, share: f64) -> Self {
        let trees = (0..TREES).map(|_| Arc::default()).collect();
        let admission = Admission::new(most, share);
        Self { admission, most, trees, running: Vec::new(), waiting: Vec::new() }
    }

    fn held(&self, tree: usize) -> usize {
        self.running.iter().filter(|(of, ..)| *of == tree).count()
    }

    fn is_alone(&self, tree: usize, level: usize) -> bool {
        self.running.iter().all(|(of, at, _)| *of != tree || *at < level)
    }

    fn free(&self) -> usize {
        self.most - self.admission.in_flight()
    }

    /// Makes a call, and checks that it is admitted, waits or fails as it
    /// should.
    fn call(&mut self, tree: usize, caller: usize) {
        let mut levels: Vec<_> =
            self.running.iter().filter(|(of, ..)| *of == tree).map(|(_, at, _)| at + 1).collect();
        levels.push(0);
        let level = levels[caller % levels.len()];
        if level >= DEPTH {
            return;
        }
        let (alone, free) = (self.is_alone(tree, level), self.free());
        let within = free >= self.admission.needed(self.held(tree));
        let first = self.waiting.iter().all(|(of, other)| *of != tree || other.place.level < level);
        let (admission, of) = (self.admission.clone(), self.trees[tree].clone());
        match self.admission.enter(TreePlace { admission, tree: of, level }) {
            Ok(Ok(permit)) => {
                assert!(free > 0 && (alone || within && first));
                self.running.push((tree, level, permit));
            }
            Ok(Err(waiting)) => {
                assert!(!(alone || within && first));
                self.waiting.push((tree, waiting));
            }
            Err(Outcome::Busy) => assert!(alone && free == 0),
            Err(others) => panic!("{others}"),
        }
    }

    /// Moves the calls that were admitted, and checks the order: the deepest
    /// first, and FIFO within a depth.
    fn collect(&mut self) {
        let mut let_in = Vec::new();
        for (tree, mut waiting) in std::mem::take(&mut self.waiting) {
            match waiting.permit.try_recv() {
                Ok(permit) => let_in.push((tree, waiting.place.level, waiting.ticket, permit)),
                Err(_) => self.waiting.push((tree, waiting)),
            }
        }
        for (tree, level, ticket, permit) in let_in {
            for (_, other) in self.waiting.iter().filter(|(of, _)| *of == tree) {
                let place = (other.place.level, std::cmp::Reverse(other.ticket));
                assert!(place < (level, std::cmp::Reverse(ticket)), "it was overtaken");
            }
            self.running.push((tree, level, permit));
        }
    }

    fn check(&self, roots: usize) {
        assert_eq!(self.admission.in_flight(), roots + self.running.len());
        assert!(self.admission.in_flight() <= self.most);
        assert_eq!(self.admission.waiting.load(Ordering::SeqCst), self.waiting.len());
        assert_eq!(self.admission.growth.is_awaited(), !self.waiting.is_empty());
        for (tree, waiting) in &self.waiting {
            assert!(!self.is_alone(*tree, waiting.place.level), "it waits for nothing");
            let needed = self.admission.needed(self.held(*tree));
            assert!(self.free() < needed, "it waits for what is free");
        }
    }
}

fn run(most: usize, share: f64, steps: Vec<Step>) {
    let mut host = Host::new(most, share);
    // The roots' permits borrow it.
    let admission = host.admission.clone();
    let mut roots: Vec<Permit<'_>> = Vec::new();
    for step in steps {
        match step {
            Step::Root => match admission.admit() {
                Ok(root) => roots.push(root),
                Err(_) => assert_eq!(host.free(), 0),
            },
            Step::RootEnds => drop(roots.pop()),
            Step::Call { tree, caller } => host.call(tree, caller),
            Step::Ends(at) if !host.running.is_empty() => {
                let at = at % host.running.len();
                drop(host.running.swap_remove(at));
            }
            Step::Leaves(at) if !host.waiting.is_empty() => {
                let at = at % host.waiting.len();
                drop(host.waiting.remove(at));
            }
            Step::Ends(_) | Step::Leaves(_) => {}
        }
        host.collect();
        host.check(roots.len());
    }
    // No further call is made: each waiting call gets its turn.
    drop(roots);
    host.collect();
    while let Some(ended) = host.running.pop() {
        drop(ended);
        host.collect();
        host.check(0);
    }
    assert!(host.waiting.is_empty());
}

proptest! {
    #[test]
    fn the_share_is_kept_and_nothing_waits_in_vain(
        most in 1_usize..12,
        share in prop_oneof![Just(0.5), Just(1.0), Just(0.0), Just(f64::NAN), 0.05..0.95],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        run(most, share, steps);
    }
}

#[test]
fn by_default_a_tree_gets_half_and_the_next_one_half_of_the_rest() {
    let mut host = Host::new(1_000, 0.5);
    let _root = host.admission.clone();
    for (tree, expected) in [(0, 500), (1, 250), (2, 125)] {
        for _ in 0..1_000 {
            let (admission, of) = (host.admission.clone(), host.trees[tree].clone());
            match host.admission.enter(TreePlace { admission, tree: of, level: 0 }) {
                Ok(Ok(permit)) => host.running.push((tree, 0, permit)),
                Ok(Err(waiting)) => host.waiting.push((tree, waiting)),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(host.held(tree), expected);
    }
}

#[test]
fn waiting_calls_are_bounded() {
    let mut host = Host::new(2, 0.5);
    let mut enter = |tree: usize| {
        let (admission, of) = (host.admission.clone(), host.trees[tree].clone());
        match host.admission.enter(TreePlace { admission, tree: of, level: 0 }) {
            Ok(Ok(permit)) => host.running.push((tree, 0, permit)),
            Ok(Err(waiting)) => host.waiting.push((tree, waiting)),
            Err(_) => return false,
        }
        true
    };
    let (first, second) = ((0..5_000).filter(|_| enter(0)).count(), enter(1));
    assert_eq!((first, second), (1 + 1_024, true));
    // The other trees have their places as before.
    assert_eq!((0..5_000).filter(|_| enter(1)).count(), 1_024);
}

#[tokio::test]
async fn a_call_that_waits_ends_with_its_context() {
    let (admission, tree) = (Admission::new(2, 0.5), Arc::default());
    let (ctx, cancel) = Context::background().with_cancel();
    let _held = admission.admit_call(&tree, 1, &ctx).await.expect("room");
    let waits = admission.admit_call(&tree, 1, &ctx);
    let canceled = async { cancel.cancel_with(Cause::Operator) };
    let (waited, ()) = tokio::join!(waits, canceled);
    assert!(matches!(waited, Err(Outcome::Done(_, Cause::Operator))));
    assert!(!admission.growth.is_awaited());
    assert_eq!(admission.in_flight(), 1);
}
