//! Counts for ever and never looks at its context, so that its deadline has to be enforced: the
//! host interrupts it when the grace is over, wherever it is.
//!
//! ```text
//! $ curl -i http://127.0.0.1:8080/spin
//! HTTP/1.1 504 Gateway Timeout
//! ```
//!
//! There is no test here: one that called the handler would not end.

use std::hint::black_box;

use hourglass_sdk::{Context, Request, serve};

fn main() {
    serve(spin)
}

fn spin(_: &Context, _: Request) {
    let mut count = 0_u64;
    loop {
        // Without the black box the compiler could see that nobody is told the count.
        count = black_box(count.wrapping_add(1));
    }
}
