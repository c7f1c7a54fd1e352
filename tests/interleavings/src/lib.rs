//! The context made of the very files that `hourglass` is made of, but upon
//! loom's locks and atomics: its tests run under every order in which threads
//! can meet there. It is a package of its own so that neither `hourglass` nor
//! the engine is built a second time.

#[path = "../../../runtime/src/context/mod.rs"]
#[allow(dead_code, reason = "what the rest of `hourglass` uses of it is not here")]
mod context;

pub use self::context::{AfterFunc, Cancel, Cause, Context, Done, Key};
