//! A CGI program without the SDK. The first segment of its path selects what it does, and the
//! second how it ends.

use std::hint::black_box;
use std::io::{self, Read, Write, stdin, stdout};
use std::process::exit;
use std::time::Duration;
use std::{env, thread};

fn main() -> io::Result<()> {
    let path = env::var("PATH_INFO").unwrap_or_default();
    let path: Vec<&str> = path.split('/').skip(1).collect();
    match path.as_slice() {
        ["cat"] => {
            io::copy(&mut stdin(), &mut stdout())?;
        }
        ["env"] => list(),
        ["ignores"] => ignores(),
        ["count"] => count()?,
        ["pieces", times] => pieces(times)?,
        ["waits", way] => {
            print("a line\n")?;
            // Until then only the line that it has begun is printed.
            stdin().read_exact(&mut [0])?;
            end(way);
        }
        ["sleeps"] => {
            print("a line\n")?;
            eprintln!("begun");
            thread::sleep(Duration::from_secs(600));
        }
        ["says", way] => {
            print("Content-Type: a/b\n\nsomething")?;
            end(way);
        }
        ["floods"] => loop {
            print(&"x".repeat(64 << 10))?;
            eprintln!("flooding");
        },
        _ => {}
    }
    Ok(())
}

fn print(text: &str) -> io::Result<()> {
    stdout().write_all(text.as_bytes())?;
    stdout().flush()
}

fn end(way: &str) {
    match way {
        "trap" => panic!("as requested"),
        "spin" => loop {
            black_box(0);
        },
        "wait" => thread::sleep(Duration::from_secs(600)),
        code => exit(code.parse().unwrap_or(0)),
    }
}

/// All variables, a line for each.
fn list() {
    let mut lines: Vec<_> = env::vars().map(|(name, value)| format!("{name}={value}\n")).collect();
    lines.sort_unstable();
    print!("Content-Type: text/plain\n\n{}", lines.concat());
}

/// Reads its input, and responds even if that fails.
fn ignores() {
    let mut input = Vec::new();
    let read = stdin().read_to_end(&mut input).is_ok();
    eprintln!("read {} bytes, {read}", input.len());
    println!("an answer");
}

/// Prints the number of bytes of each read.
fn count() -> io::Result<()> {
    let (mut total, mut room) = (0, [0; 1_024]);
    loop {
        match stdin().read(&mut room)? {
            0 => return print(&format!("{total} bytes")),
            len => total += len,
        }
        eprintln!("read {total}");
    }
}

/// Prints many small pieces.
fn pieces(times: &str) -> io::Result<()> {
    for piece in 0..times.parse().unwrap_or(0) {
        print(&format!("piece {piece}\n"))?;
    }
    Ok(())
}
