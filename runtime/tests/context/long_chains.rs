//! Chains long enough to overflow the stack of a recursive implementation.

use hourglass::{Cancel, Cause, Context, Key};
use tokio::time::advance;

use super::{HOUR, expired};

const LENGTH: usize = 100_000;

fn chain() -> (Vec<Context>, Vec<Cancel>) {
    let mut context = Context::background();
    (0..LENGTH)
        .map(|_| {
            let (next, guard) = context.with_cancel();
            context = next.clone();
            (next, guard)
        })
        .unzip()
}

#[test]
fn long_chains_are_canceled_from_the_top() {
    let (contexts, guards) = chain();
    guards[0].cancel_with(Cause::Shutdown);
    assert!(contexts.iter().all(|context| context.cause() == Some(Cause::Shutdown)));
}

#[test]
fn long_chains_are_dropped_in_either_order() {
    let (contexts, guards) = chain();
    drop(contexts);
    drop(guards);
    let (contexts, guards) = chain();
    drop(contexts);
    guards.into_iter().rev().for_each(drop);
}

#[tokio::test(start_paused = true)]
async fn long_chains_expire() {
    let (first, guard) = Context::background().with_timeout(HOUR);
    let mut guards = vec![guard];
    let mut last = first.clone();
    for _ in 0..LENGTH {
        let (next, guard) = last.with_cancel();
        guards.push(guard);
        last = next;
    }
    assert_eq!(last.err(), None);
    advance(HOUR).await;
    assert!(expired(&first));
    assert!(expired(&last));
    assert_eq!(first.children(), 0);
}

#[test]
fn long_chains_of_values_are_dropped() {
    let key = Key::new("depth");
    let mut context = Context::background();
    for depth in 0..LENGTH {
        context = context.with_value(&key, depth);
    }
    assert_eq!(context.value(&key), Some(LENGTH - 1));
    assert_eq!(context.values().count(), 1);
}
