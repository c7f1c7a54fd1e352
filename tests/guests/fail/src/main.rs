//! Fails in the way that the last segment of its path names.

use std::hint::black_box;
use std::process::exit;

use hourglass_sdk::{Context, Error, Request, Result, StatusCode, serve};

fn main() {
    serve(fail)
}

fn fail(_: &Context, req: Request) -> Result<()> {
    let path = req.uri().path();
    let way = path.rsplit('/').next().unwrap_or_default();
    match way {
        "panic" => outer(),
        "memory" => hoard(),
        "silence" => exit(0),
        "error" => Err(Error::new("what the client must not read")),
        "status" => Err(Error::status(StatusCode::IM_A_TEAPOT, "what the client may read")),
        code => exit(code.parse()?),
    }
}

/// Two frames with names of their own, for the backtrace.
#[inline(never)]
fn outer() -> Result<()> {
    inner(black_box(40));
    Ok(())
}

#[inline(never)]
fn inner(number: u32) {
    assert_eq!(black_box(number), 41, "the panic's own words");
}

/// Allocates memory until that fails.
fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}
