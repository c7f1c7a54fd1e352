//! The queue against a model, under random operations.

use std::collections::HashSet;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::body::Response;
use crate::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::builder().max_in_flight(1).build().expect("a runtime"));

#[derive(Clone, Debug)]
enum Step {
    Submit,
    /// The worker at that index ends its task.
    End(usize, bool),
    Take(usize),
    Parallelism(usize),
    Withdraw,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Submit),
        8 => (any::<usize>(), any::<bool>()).prop_map(|(worker, ok)| Step::End(worker, ok)),
        4 => (1_usize..4).prop_map(Step::Take),
        1 => (1_usize..5).prop_map(Step::Parallelism),
        1 => Just(Step::Withdraw),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 0..80)
}

/// The tasks that workers run, beside the queue.
struct Model {
    queue: Queue,
    running: Vec<TaskId>,
    accepted: HashSet<u64>,
    ended: HashSet<u64>,
    most: usize,
}

impl Model {
    fn turn(&mut self, result: Option<TaskResult>) {
        let turn = self.queue.turn(result);
        self.running.extend(turn.next.map(|submitted| submitted.id));
        assert_eq!(turn.is_over, self.queue.is_over());
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Submit => self.submit(),
            Step::End(worker, ok) if !self.running.is_empty() => {
                let id = self.running.swap_remove(worker % self.running.len());
                self.turn(Some(result(id, ok)));
            }
            Step::End(..) => {}
            Step::Take(most) => self.take(most),
            Step::Parallelism(tasks) => {
                self.most = self.most.max(tasks);
                self.queue.parallelism = tasks;
                (0..self.queue.add_workers()).for_each(|_| self.turn(None));
            }
            Step::Withdraw => {
                for submitted in self.queue.withdraw() {
                    assert!(self.accepted.remove(&submitted.id.number()));
                }
                self.queue.close();
            }
            Step::Close => drop(self.queue.close()),
        }
    }

    fn submit(&mut self) {
        let (room, open) = (self.queue.waiting.len() < self.queue.parallelism, !self.queue.closed);
        let unread = self.accepted.len() - self.ended.len() < self.queue.unread;
        match self.queue.submit(task()) {
            Submission::Accepted { id, starts } => {
                assert!(open && room && unread && self.accepted.insert(id.number()));
                if starts {
                    self.turn(None);
                }
            }
            Submission::Full(_) => assert!(open && !(room && unread)),
            Submission::Closed(_) => assert!(!open),
        }
    }

    fn take(&mut self, most: usize) {
        for result in self.queue.take(most, None) {
            assert!(self.ended.insert(result.id.number()), "one result for each task");
        }
    }
}

fn task() -> Task {
    Task::new(&RUNTIME, "f", http::Request::new(""))
}

fn result(id: TaskId, ok: bool) -> TaskResult {
    let mut response = Response::default();
    *response.status_mut() = if ok { 200 } else { 500 }.try_into().expect("a status");
    let (label, waited, took) = Default::default();
    let (attempts, earlier_attempts) = (1, 0);
    TaskResult { id, label, result: Ok(response), attempts, earlier_attempts, waited, took }
}

#[test]
fn each_new_worker_makes_room_for_a_submitter() {
    let mut queue = Queue::new(4);
    let is_accepted =
        |queue: &mut Queue| matches!(queue.submit(task()), Submission::Accepted { .. });
    (0..4).for_each(|_| assert!(is_accepted(&mut queue)));
    // A submitter that is faster than the new workers finds each place as it becomes free.
    for _ in 0..3 {
        assert!(!is_accepted(&mut queue));
        assert!(queue.turn(None).next.is_some());
        assert!(is_accepted(&mut queue));
    }
    assert!(!is_accepted(&mut queue));
    assert!(queue.turn(None).has_room, "the submitter waits although there is room");
    assert!(is_accepted(&mut queue));
}

proptest! {
    #[test]
    fn every_accepted_task_ends_once(
        steps in steps(),
        parallelism in 1_usize..4,
        unread in 1_usize..12,
        policy in prop_oneof![Just(Policy::Collect), Just(Policy::FailFast), Just(Policy::First(3))],
    ) {
        let mut queue = Queue::new(parallelism);
        (queue.unread, queue.policy) = (unread, policy);
        let mut model = Model {
            queue, running: Vec::new(), accepted: HashSet::new(), ended: HashSet::new(),
            most: parallelism,
        };
        for step in steps {
            model.apply(step);
            prop_assert!(model.running.len() <= model.most);
            prop_assert_eq!(model.queue.workers, model.running.len());
            // A task waits only if all workers run.
            prop_assert!(model.queue.waiting.is_empty() || !model.running.is_empty());
        }
        drop(model.queue.close());
        while !model.running.is_empty() {
            model.apply(Step::End(0, true));
        }
        prop_assert!(model.queue.is_over());
        model.take(usize::MAX);
        prop_assert_eq!(model.ended, model.accepted);
    }
}
