//! The guarantees of contexts, one test for each behavior.
//!
//! The modules `go*` contain the tests of Go's `context` package, which is the
//! model, under their names there: all 37 of them but
//!
//! - `WithValueChecksKey`, `InvalidDerivedFail`, which cannot be written in
//!   Rust: a key that cannot be compared, or a missing parent, does not compile;
//! - `Allocs`, which is in `context_allocations`, because it needs its own
//!   global allocator, and therefore its own binary.
//!
//! follow, as one follows it here: with a guard.
//! Go's tests wrap contexts into other types. Here a context is a type and not
//! an interface, so a clone or a layer of values replaces the wrapper, and no
//! parent is foreign. `CustomContext*` check for our contexts what Go checks for
//! foreign ones. Only `CustomContextPropagation` follows something foreign, with
//! a guard.
//! follow, as one follows it here: with a guard.
//!
//! Time is tokio's, so a test that pauses it does not wait for a deadline.

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

/// Whether waiting for the context would block.
async fn blocks(context: &Context) -> bool {
    tokio::select! {
        biased;
        _ = context.done() => false,
        () = std::future::ready(()) => true,
    }
}
