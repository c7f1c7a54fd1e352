//! Lists everything that a program can observe of its environment, one line each.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, stdin};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};
use std::{env, thread};

use hourglass_sdk::{Context, Request, serve};

fn main() {
    serve(nosy)
}

fn nosy(ctx: &Context, _: Request) -> String {
    let mut input = String::new();
    let read = stdin().read_to_string(&mut input);
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(2));
    let arguments: Vec<_> = env::args().collect();
    let found = HashMap::from([
        ("arguments", format!("{arguments:?}")),
        ("variables", format!("{:?}", env::vars().collect::<BTreeMap<_, _>>())),
        ("setting", format!("{:?}", ctx.config("GREETING"))),
        ("input", format!("{:?} {input:?}", read.unwrap_or_default())),
        ("folder", tried(fs::read_dir("/").map(Iterator::count))),
        ("here", tried(fs::read_dir(".").map(Iterator::count))),
        ("file", tried(fs::read_to_string("/etc/passwd"))),
        ("new file", tried(File::create("/tmp/nosy"))),
        ("network", tried(TcpStream::connect("127.0.0.1:80"))),
        ("program", tried(Command::new("/bin/true").status())),
        ("thread", tried(thread::Builder::new().spawn(|| ()))),
        ("slept", (begun.elapsed() >= Duration::from_millis(2)).to_string()),
        ("year", years().to_string()),
        ("chance", RandomState::new().hash_one(0).to_string()),
    ]);
    let mut lines: Vec<_> = found.iter().map(|(what, is)| format!("{what}: {is}\n")).collect();
    lines.sort_unstable();
    lines.concat()
}

fn tried<T, E>(result: Result<T, E>) -> String {
    if result.is_ok() { "found".to_owned() } else { "none".to_owned() }
}

/// The whole years of the wall clock.
fn years() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    1970 + since.unwrap_or_default().as_secs() / 31_556_952
}
