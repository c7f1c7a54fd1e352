//! The context module of `hourglass`, compiled with loom's locks and atomics:
//! its tests run under every interleaving of the threads. It is a separate
//! package so that neither `hourglass` nor the engine is built twice.

#[path = "../../../runtime/src/context/mod.rs"]
#[allow(dead_code, reason = "what the rest of `hourglass` uses of it is not here")]
mod context;

use loom::model::Builder;

pub use self::context::{AfterFunc, Cancel, Cause, Context, Done, Key};

/// Runs the test once for every order of its threads' steps at locks and atomics
/// that could make a difference.
pub fn every_order(test: impl Fn() + Send + Sync + 'static) {
    // All orders, regardless of the bounds in loom's environment variables.
    let mut builder = Builder::new();
    (builder.preemption_bound, builder.max_permutations, builder.max_duration) = (None, None, None);
    builder.check(test);
}
