//! Go's tests of trees, deadlines and values.

use std::error::Error;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use hourglass::{Cancel, Cause, Context, Done, Key};

use super::{HOUR, LONG, SHORT, blocks, canceled, expired};

#[tokio::test]
async fn background() {
    let context = Context::background();
    assert!(blocks(&context).await);
    assert_eq!(context.err(), None);
    assert_eq!(context.cause(), None);
    assert_eq!(context.deadline(), None);
    assert_eq!(context.remaining(), None);
    assert_eq!(context.values().count(), 0);
    assert_eq!(format!("{context:?}"), "Context { end: None, remaining: None, values: [] }");
}

/// Go's second root is a placeholder for a context that is not known yet. Here the default of a
/// field takes that role.
#[tokio::test]
async fn todo() {
    let context = Context::default();
    assert!(blocks(&context).await);
    assert_eq!(context.err(), None);
    assert_eq!(context.deadline(), None);
    assert_eq!(format!("{context:?}"), format!("{:?}", Context::background()));
}

#[tokio::test]
async fn with_cancel() {
    let (parent, cancel) = Context::background().with_cancel();
    let copy = parent.clone();
    let (child, _guard) = parent.with_cancel();
    for context in [&parent, &copy, &child] {
        assert_eq!(context.err(), None);
        assert!(blocks(context).await);
    }
    cancel.cancel();
    for context in [&parent, &copy, &child] {
        assert!(canceled(context));
        assert!(!blocks(context).await);
    }
}

#[tokio::test]
async fn parent_finishes_child() {
    let key = Key::new("key");
    let (parent, cancel) = Context::background().with_cancel();
    let (cancel_child, _guard) = parent.with_cancel();
    let value_child = parent.with_value(&key, "value");
    let (timer_child, _guard) = value_child.with_timeout(LONG);
    let all = [&parent, &cancel_child, &value_child, &timer_child];
    for context in all {
        assert!(blocks(context).await);
    }
    assert_eq!(parent.children(), 2);

    cancel.cancel();
    assert_eq!(parent.children(), 0);
    for context in all {
        assert!(canceled(context));
        assert!(!blocks(context).await);
    }

    let late = parent.with_value(&key, "late");
    assert!(canceled(&late));
    assert!(!blocks(&late).await);
}

#[tokio::test]
async fn child_finishes_first() {
    let (cancelable, _guard) = Context::background().with_cancel();
    for (parent, counts) in [(Context::background(), 0), (cancelable, 1)] {
        let (child, cancel) = parent.with_cancel();
        assert_eq!(parent.children(), counts);
        cancel.cancel();
        assert_eq!(parent.children(), 0);
        assert!(canceled(&child));
        assert_eq!(parent.err(), None);
        assert!(blocks(&parent).await);
    }
}

#[tokio::test]
async fn deadline() {
    let background = Context::background();

    let (context, _guard) = background.with_deadline(Instant::now() + SHORT);
    assert_eq!(context.done().await, Done::DeadlineExceeded);
    assert!(expired(&context));

    let (parent, _guard) = background.with_deadline(Instant::now() + SHORT);
    let (child, _guard) = parent.with_deadline(Instant::now() + LONG);
    assert_eq!(child.done().await, Done::DeadlineExceeded);

    for past in [SHORT, Duration::ZERO] {
        let (context, _guard) = background.with_deadline(Instant::now() - past);
        assert!(expired(&context));
        assert!(!blocks(&context).await);
    }
}

#[tokio::test(start_paused = true)]
async fn timeout() {
    let (context, _guard) = Context::background().with_timeout(HOUR);
    let (parent, _guard) = Context::background().with_timeout(HOUR);
    let (child, _guard) = parent.with_timeout(LONG);
    let started = tokio::time::Instant::now();
    assert_eq!(context.done().await, Done::DeadlineExceeded);
    assert_eq!(child.done().await, Done::DeadlineExceeded);
    assert!(started.elapsed() >= HOUR);
    assert!(started.elapsed() < HOUR + HOUR);
    assert!(expired(&parent));
}

#[test]
fn canceled_timeout() {
    let (parent, _guard) = Context::background().with_timeout(HOUR);
    let (child, cancel) = parent.with_timeout(LONG);
    cancel.cancel();
    assert!(canceled(&child));
    assert_eq!(parent.err(), None);
}

#[test]
fn values() {
    let (one, two, three) =
        (Key::<u32>::new("one"), Key::<i64>::new("one"), Key::<i64>::new("three"));
    let see = |context: &Context| (context.value(&one), context.value(&two), context.value(&three));

    let c0 = Context::background();
    assert_eq!(see(&c0), (None, None, None));
    let c1 = c0.with_value(&one, 1);
    assert_eq!(see(&c1), (Some(1), None, None));
    let c2 = c1.with_value(&two, 2);
    assert_eq!(see(&c2), (Some(1), Some(2), None));
    let c3 = c2.with_value(&three, 3);
    assert_eq!(see(&c3), (Some(1), Some(2), Some(3)));
    // Go shadows with nil. Here the shadowing value is an empty one.
    let c4 = c3.with_value(&one, 0);
    assert_eq!(see(&c4), (Some(0), Some(2), Some(3)));
    assert_eq!(see(&c3), (Some(1), Some(2), Some(3)));
    let (c5, _guard) = c4.with_cancel();
    assert_eq!(see(&c5), (Some(0), Some(2), Some(3)));
}

#[test]
fn simultaneous_cancels() {
    let mut contexts = vec![Context::background().with_cancel()];
    for parent in 0..25 {
        for _ in 0..4 {
            let child = contexts[parent].0.with_cancel();
            contexts.push(child);
        }
    }
    let start = Barrier::new(contexts.len());
    thread::scope(|scope| {
        for (context, cancel) in &contexts {
            scope.spawn(|| {
                start.wait();
                cancel.cancel();
                assert!(canceled(context));
            });
        }
    });
    assert!(contexts.iter().all(|(context, _)| canceled(context)));
    assert!(contexts.iter().all(|(context, _)| context.children() == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interlocked_cancels() {
    let (parent, cancel_parent) = Context::background().with_cancel();
    let (child, cancel_child) = parent.with_cancel();
    let task = tokio::spawn(async move {
        parent.done().await;
        cancel_child.cancel();
    });
    cancel_parent.cancel();
    assert_eq!(child.done().await, Done::Canceled);
    task.await.unwrap();
}

/// Deterministic pseudo-random numbers.
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

/// A context under at least thirty random layers.
struct Layers {
    context: Context,
    /// The guards of those layers that have one.
    guards: Vec<Cancel>,
    /// The values that the other layers have added.
    values: Vec<(Key<usize>, usize)>,
}

impl Layers {
    fn new(seed: u64, timeout: Duration) -> Layers {
        let mut number = numbers(seed);
        let mut layers = Layers { context: Context::background(), guards: vec![], values: vec![] };
        let mut timers = 0;
        for depth in 0.. {
            if depth >= 30 && timers > 0 && !layers.values.is_empty() {
                break;
            }
            match number(3) {
                0 => {
                    let key = Key::from_wire(format!("layer-{depth}"));
                    layers.context = layers.context.with_value(&key, depth);
                    layers.values.push((key, depth));
                }
                1 => layers.push(Context::with_cancel),
                _ => {
                    timers += 1;
                    layers.push(|context| context.with_timeout(timeout));
                }
            }
        }
        layers
    }

    fn push(&mut self, derive: impl FnOnce(&Context) -> (Context, Cancel)) {
        let (context, guard) = derive(&self.context);
        self.context = context;
        self.guards.push(guard);
    }

    fn show_their_values(&self) -> bool {
        let mut values = self.values.iter();
        values.all(|(key, value)| self.context.value(key) == Some(*value))
    }
}

#[test]
fn layers_cancel() {
    for seed in 1..=50 {
        let layers = Layers::new(seed, LONG);
        assert_eq!(layers.context.err(), None, "seed {seed}");
        assert!(layers.show_their_values(), "seed {seed}");
        let chosen = numbers(seed)(layers.guards.len() as u64) as usize;
        layers.guards[chosen].cancel();
        assert!(canceled(&layers.context), "seed {seed}");
        assert!(layers.show_their_values(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn layers_timeout() {
    for seed in 1..=50 {
        let layers = Layers::new(seed, HOUR);
        assert_eq!(layers.context.err(), None, "seed {seed}");
        let done = layers.context.done().await;
        assert_eq!(done, Done::DeadlineExceeded, "seed {seed}");
        assert!(layers.show_their_values(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn cancel_removes() {
    let (parent, _guard) = Context::background().with_cancel();
    assert_eq!(parent.children(), 0);

    let (_child, cancel) = parent.with_cancel();
    assert_eq!(parent.children(), 1);
    cancel.cancel();
    assert_eq!(parent.children(), 0);

    let (_child, cancel) = parent.with_timeout(HOUR);
    assert_eq!(parent.children(), 1);
    cancel.cancel();
    assert_eq!(parent.children(), 0);

    let (child, _guard) = parent.with_timeout(HOUR);
    assert_eq!(parent.children(), 1);
    child.done().await;
    assert_eq!(parent.children(), 0);

    let after = parent.after_func(|| ());
    assert_eq!(parent.children(), 1);
    assert!(after.stop());
    assert_eq!(parent.children(), 0);
}

#[tokio::test]
async fn with_cancel_canceled_parent() {
    let (parent, cancel) = Context::background().with_cancel();
    cancel.cancel_with(Cause::Operator);
    let (child, _guard) = parent.with_cancel();
    assert!(!blocks(&child).await);
    assert!(canceled(&child));
    assert_eq!(child.cause(), Some(Cause::Operator));
    assert_eq!(parent.children(), 0);
}

#[test]
fn with_cancel_simultaneously_canceled_parent() {
    for _ in 0..100 {
        let (parent, cancel) = Context::background().with_cancel();
        let start = Barrier::new(2);
        let (child, _guard) = thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                cancel.cancel_with(Cause::Operator);
            });
            start.wait();
            parent.with_cancel()
        });
        assert!(canceled(&child));
        assert_eq!(child.cause(), Some(Cause::Operator));
        assert_eq!(parent.children(), 0);
    }
}

#[test]
fn deadline_exceeded_supports_timeout() {
    let (context, _guard) = Context::background().with_timeout(Duration::ZERO);
    let error: Box<dyn Error> = Box::new(context.err().unwrap());
    assert!(error.downcast_ref::<Done>().unwrap().is_timeout());
    assert_eq!(error.to_string(), "context deadline exceeded");
    assert!(!Done::Canceled.is_timeout());
    assert_eq!(Done::Canceled.to_string(), "context canceled");
    assert_eq!(Done::Canceled.name(), "canceled");
    assert_eq!(Done::DeadlineExceeded.name(), "deadline-exceeded");
}

#[tokio::test]
async fn without_cancel() {
    let key = Key::new("key");
    let (parent, cancel) = Context::background().with_value(&key, 7).with_timeout(LONG);
    let free = parent.without_cancel();
    cancel.cancel();
    assert_eq!(free.deadline(), None);
    assert_eq!(free.err(), None);
    assert_eq!(free.cause(), None);
    assert!(blocks(&free).await);
    assert_eq!(free.value(&key), Some(7));
}
