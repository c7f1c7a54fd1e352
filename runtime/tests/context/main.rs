//! What the context promises, one test for each behaviour.
//!
//! The modules `go*` answer the tests of Go's `context` package, which is the
//! model, under the names that they have there: all 37 of them but
//!
//! - `WithValueChecksKey`, `InvalidDerivedFail`, which cannot be written in
//!   Rust: a key that cannot be compared, or a parent that is not there, does not
//!   compile;
//! - `Allocs`, which is in `context_allocations`, because it takes an allocator
//!   of its own.
//!
//! Where Go wraps a context into another type, a context is a type here and not
//! an interface: a clone or a layer of values stands for the wrapper. For the
//! same reason no parent is foreign. `CustomContext*` ask of ours what Go asks
//! of a foreign one; only `CustomContextPropagation` has something foreign to
//! follow, as one follows it here: with a guard.
//!
//! Time is tokio's: a test that pauses it need not wait for a deadline.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed anyway")]

mod after_functions;
mod go;
mod go_after_func;
mod go_cause;
mod guards;
mod long_chains;
mod model;
mod time;
mod values;
mod waiting;

use std::time::Duration;

use hourglass::{Context, Done};

const HOUR: Duration = Duration::from_secs(3600);
const LONG: Duration = Duration::from_secs(3600 * 1000);
const SHORT: Duration = Duration::from_millis(1);

fn canceled(context: &Context) -> bool {
    context.err() == Some(Done::Canceled)
}

fn expired(context: &Context) -> bool {
    context.err() == Some(Done::DeadlineExceeded)
}

/// Whether waiting for the context would take time.
async fn blocks(context: &Context) -> bool {
    tokio::select! {
        biased;
        _ = context.done() => false,
        () = std::future::ready(()) => true,
    }
}
