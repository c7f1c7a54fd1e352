//! Gets stuck in the way that the last segment of its path names, and prints a line before.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use hourglass_sdk::{Context, Request, Result, serve};

const HOUR: Duration = Duration::from_secs(3_600);

fn main() {
    serve(stuck)
}

fn stuck(ctx: &Context, req: Request) -> Result<String> {
    // It gets stuck after it has read its whole body.
    req.body().collect()?;
    println!("begun");
    let path = req.uri().path();
    match path.rsplit('/').next().unwrap_or_default() {
        // Ways that only an interruption ends.
        "spin" => spin(),
        "sleep-again" => loop {
            let _ = ctx.sleep(HOUR);
        },
        "ignore-done" => {
            ctx.done();
            spin()
        }
        // Ways that end by themselves once the context is done.
        "thread-sleep" => thread::sleep(HOUR),
        "sleep" => ctx.sleep(HOUR)?,
        "check" => loop {
            ctx.check()?;
        },
        "answer" => {
            ctx.done();
        }
        "print" => {
            ctx.done();
            println!("cause: {}", cause(ctx));
            ctx.check()?;
        }
        // Waits only for its body.
        _ => {}
    }
    Ok(cause(ctx))
}

fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

fn cause(ctx: &Context) -> String {
    ctx.cause().map_or_else(|| "none".to_owned(), |cause| cause.to_string())
}
