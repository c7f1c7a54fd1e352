//! The context made of the very files that `hourglass` is made of, but upon
//! loom's locks and atomics: its tests run under every order in which threads
//! can meet there. It is a package of its own so that neither `hourglass` nor
//! the engine is built a second time.

#[path = "../../../runtime/src/context/mod.rs"]
#[allow(dead_code, reason = "what the rest of `hourglass` uses of it is not here")]
mod context;

use loom::model::Builder;

pub use self::context::{AfterFunc, Cancel, Cause, Context, Done, Key};

/// Runs the test once for every order of its threads' steps at locks and atomics
/// that could make a difference.
pub fn every_order(test: impl Fn() + Send + Sync + 'static) {
    // All of them, whatever the environment says of loom's bounds.
    let mut builder = Builder::new();
    (builder.preemption_bound, builder.max_permutations, builder.max_duration) = (None, None, None);
    builder.check(test);
}
