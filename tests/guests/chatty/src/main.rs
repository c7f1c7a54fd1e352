//! Logs in the way that the last segment of its path names.

use std::io::{Write, stderr, stdout};

use hourglass_sdk::{Body, Context, Error, IntoResponse, Request, Response, Result, serve};

fn main() {
    hourglass_sdk::log::init();
    hourglass_sdk::tracing::init();
    serve(chatty)
}

fn chatty(_: &Context, req: Request) -> Result<Response> {
    let path = req.uri().path();
    match path.rsplit('/').next().unwrap_or_default() {
        "plain" => plain(),
        "hostile" => hostile()?,
        "flood" => flood(),
        "flood-escaped" => flood_escaped(),
        "flood-logger" => flood_logger(),
        "levels" => levels(),
        "traced" => traced(path),
        "long" => log::info!("{}", "x".repeat(100_000)),
        "drop" => {
            print!("no end of a line");
            std::process::exit(7)
        }
        "panic" => panic!("as requested"),
        "error" => {
            let inner = std::io::Error::other("the disk is full");
            return Err(Error::new(inner));
        }
        "unavailable" => return Ok(Response::builder().status(503).body(Body::default())?),
        _ => {}
    }
    log::max_level().to_string().into_response()
}

#[expect(clippy::print_stderr, reason = "it is what this is for")]
fn plain() {
    println!("the first\nthe second  ");
    eprintln!("an error");
    println!();
    print!("in ");
    print!("parts");
}

/// Tries to forge lines, and to break a terminal and JSON.
fn hostile() -> Result<()> {
    let forged =
        "all is well\r2026-01-01T00:00:00Z ERROR hourglass: forged\u{1b}[2K\u{2028}x\u{202e}";
    stdout().write_all(forged.as_bytes())?;
    stdout().write_all(b"\nquotes \" \\ } , \0 and \xff\xfe no text\r\n")?;
    stderr().write_all(b"\"},{\"forged\":true}\n")?;
    log::info!(target: "a\nb", "a message\nof two lines\u{61c}");
    Ok(())
}

/// A hundred thousand bytes in a thousand lines.
fn flood() {
    for number in 0..1_000 {
        println!("{number:>99}");
    }
}

/// Prints the same number of bytes. The log escapes each of them.
fn flood_escaped() {
    let line = "\u{1b}".repeat(99);
    for _ in 0..1_000 {
        println!("{line}");
    }
}

/// The same through the logger: in the message, in the name of a part and in a field.
fn flood_logger() {
    let text = "\u{1b}".repeat(33);
    for _ in 0..1_000 {
        #[cfg(target_arch = "wasm32")]
        log::info!(target: &text, bell = &*text; "{text}");
        #[cfg(not(target_arch = "wasm32"))]
        log::info!(target: &text, "{text}");
    }
}

/// Events of the crate `tracing`, inside and outside of spans.
fn traced(path: &str) {
    let sale = tracing::info_span!("sale", path, user = "ada", total = tracing::field::Empty);
    sale.in_scope(|| {
        let item = tracing::info_span!("item", user = "bob").entered();
        tracing::warn!(target: "shop", count = 3, price = 1.5, gone = true, "in\ntwo");
        drop(item);
        sale.record("total", 7_u64);
        let error = std::io::Error::other("\u{1b}[2Jfull");
        tracing::error!(error = &error as &dyn std::error::Error, forged = "\"}\n{", "failed");
    });
    drop(sale);
    tracing::debug!("for debugging");
    tracing::info!("outside");
}

fn levels() {
    log::error!("an error");
    log::warn!(target: "elsewhere", "a warning");
    #[cfg(target_arch = "wasm32")]
    log::info!(
        user = "ada", note = "two words\n", n = -1.5, count = 3, new = true, "\u{202e}" = "?";
        "with fields"
    );
    log::debug!("for debugging");
    log::trace!("a trace");
}
