//! Counts forever and never checks its context, so that its deadline has to be enforced: the host
//! interrupts it at the end of the grace period.
//!
//! ```text
//! $ curl -i http://127.0.0.1:8080/spin
//! HTTP/1.1 504 Gateway Timeout
//! ```
//!
//! There is no test here, because one that called the handler would not end.

use std::hint::black_box;

use hourglass_sdk::{Context, Request, serve};

fn main() {
    serve(spin)
}

fn spin(_: &Context, _: Request) {
    let mut count = 0_u64;
    loop {
        // Without the black box, the compiler could remove a count that is never read.
        count = black_box(count.wrapping_add(1));
    }
}
