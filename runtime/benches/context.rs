//! The cost of a context, compared with the cancellation token of `tokio_util`,
//! which has no deadline, no cause and no values.
//!
//! Both run on one thread, in turns; the figures are medians of the rounds. The
//! token is measured alone, and with what it needs to match a context: a second
//! handle that cancels on drop, and a separate deadline if the context has one.

#[path = "../tests/context_allocations/counting.rs"]
mod counting;

use std::hint::black_box;
use std::time::{Duration, Instant};

use hourglass::Context;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::counting::Counting;

/// The program's allocator, for both sides of every comparison.
#[global_allocator]
static ALLOCATOR: Counting<mimalloc::MiMalloc> = Counting(mimalloc::MiMalloc);

const ROUNDS: usize = 501;
const CALLS: u32 = 5_000;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn main() {
    println!("one thread, medians of {ROUNDS} alternating rounds of {CALLS}, in ns");
    println!("(aim: no ratio above 1, save where only the context has a deadline)");
    println!("a look at the clock {:>8.2}", clock());
    derive_and_drop();
    ask();
    sizes();
}

fn derive_and_drop() {
    let token = CancellationToken::new();
    let (parent, _guard) = Context::background().with_cancel();
    let (limited, _guard) = Context::background().with_timeout(HOUR);

    head("derive and drop");
    let alone = || token.child_token();
    row("with_cancel", "child_token", || parent.with_cancel(), alone);
    row("with_cancel below a deadline", "child_token", || limited.with_cancel(), alone);
    row("with_timeout", "child_token", || parent.with_timeout(MINUTE), alone);
    let whole = || guarded(&token);
    let timed = || (guarded(&token), Instant::now() + MINUTE);
    row("with_cancel", "child_token + guard", || parent.with_cancel(), whole);
    row("with_timeout", "child_token + guard + deadline", || parent.with_timeout(MINUTE), timed);
    let below = || limited.with_timeout(MINUTE);
    row("with_timeout below a deadline", "child_token + guard + deadline", below, timed);

    head("derive and drop, the guard before the context");
    let with_cancel = || {
        let (_context, _guard) = black_box(parent.with_cancel());
    };
    let with_timeout = || {
        let (_context, _guard) = black_box(parent.with_timeout(MINUTE));
    };
    let whole = || {
        let (_token, _guard) = black_box(guarded(&token));
    };
    let timed = || {
        let ((_token, _guard), _at) = black_box((guarded(&token), Instant::now() + MINUTE));
    };
    row("with_cancel", "child_token + guard", with_cancel, whole);
    row("with_timeout", "child_token + guard + deadline", with_timeout, timed);
}

fn ask() {
    let token = CancellationToken::new();
    let (context, _guard) = Context::background().with_cancel();
    let (limited, _guard) = Context::background().with_timeout(HOUR);
    let at = Instant::now() + HOUR;

    head("ask whether it is done");
    let alone = || token.is_cancelled();
    row("err", "is_cancelled", || context.err(), alone);
    row("err with a deadline", "is_cancelled", || limited.err(), alone);
    let timed = || token.is_cancelled() || black_box(at) <= Instant::now();
    row("err with a deadline", "is_cancelled + deadline", || limited.err(), timed);
}

fn sizes() {
    println!("\nbytes of a parent that has seen children");
    for (children, at_once) in [(10, 10), (1_000_000, 1), (1_000_000, 1_000), (1_000_000, 100_000)]
    {
        let mut parent = None;
        let counts = counting::counts(|| {
            let (context, guard) = Context::background().with_cancel();
            for _ in 0..children / at_once {
                drop((0..at_once).map(|_| context.with_cancel()).collect::<Vec<_>>());
            }
            parent = Some((context, guard));
        });
        println!("{children:>9} of them, {at_once:>6} at once {:>8}", counts.bytes);
    }
}

/// A child and a handle that cancels it on drop, like a context's.
fn guarded(token: &CancellationToken) -> (CancellationToken, DropGuard) {
    let child = token.child_token();
    let guard = child.clone().drop_guard();
    (child, guard)
}

fn head(title: &str) {
    println!("\n{title:<62}{:>9}{:>9}{:>8}", "context", "token", "ratio");
}

fn row<A, B>(
    name: &str,
    partner: &str,
    mut context: impl FnMut() -> A,
    mut token: impl FnMut() -> B,
) {
    let (mut contexts, mut tokens, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (ours, theirs) = (per_call(&mut context), per_call(&mut token));
        contexts.push(ours);
        tokens.push(theirs);
        ratios.push(ours / theirs);
    }
    let [ours, theirs, ratio] = [contexts, tokens, ratios].map(median);
    println!("  {name:<29} / {partner:<30}{ours:>9.2}{theirs:>9.2}{ratio:>8.2}");
}

fn clock() -> f64 {
    median((0..ROUNDS).map(|_| per_call(Instant::now)).collect())
}

/// The median.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The time of a call in nanoseconds, including the drop of its result.
fn per_call<T>(mut call: impl FnMut() -> T) -> f64 {
    let started = Instant::now();
    for _ in 0..CALLS {
        drop(black_box(call()));
    }
    started.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}
