//! What the context promises, one test for each behaviour.
//!
//! The modules `go*` answer the tests of Go's `context` package, which is the
//! model, under the names that they have there. Some of those cannot be written
//! in Rust, or have nothing to test:
//!
//! - `TODO`: there is one root only, [`Context::background`].
//! - `WithValueChecksKey`, `InvalidDerivedFail`: a key that cannot be compared,
//!   or a parent that is not there, does not compile.
//! - `Allocs`: counting allocations takes an allocator of one's own, and with it
//!   unsafe code.
//! - `CustomContextPropagation`, `CustomContextCause`: a context is a type, not
//!   an interface, so there are no foreign parents. Where a foreign parent has
//!   an equal among ours, the test is here under its name.
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
