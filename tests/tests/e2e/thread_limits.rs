//! Under a thread limit, the program fails with an error and does not panic.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use hourglass_tests::{guests, process};
use rustix::process::{Pid, Signal, geteuid, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hourglass-under-test");

/// A user without other processes, because the limit counts all threads of a user.
const USER: &str = "61234";

/// Runs the program with this many threads until it ends or serves, and returns its output and exit
/// code.
fn said(threads: usize, folder: &Path) -> Result<(String, Option<i32>)> {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "prlimit"]);
    command.arg(format!("--nproc={threads}"));
    command.arg(folder.join("hourglass")).args(["serve", "--no-cache", "--listen", "127.0.0.1:0"]);
    command.arg(folder.join("hello.wasm")).current_dir(folder).env_clear();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        // The first line is the address it serves at.
        let mut first = [0];
        let _ = tell.send(out.read(&mut first).is_ok_and(|read| read > 0));
    });
    let serves = told.recv_timeout(Duration::from_secs(120));
    if serves != Ok(false) {
        let _ = kill_process(Pid::from_child(&child), Signal::KILL);
    }
    assert!(serves.is_ok(), "with {threads} threads it hangs");
    let mut text = String::new();
    err.read_to_string(&mut text)?;
    Ok((text, child.wait()?.code()))
}

#[test]
fn too_few_threads_are_an_error_with_a_remedy() -> Result<()> {
    if !geteuid().is_root() {
        println!("skipped: only root can be another user");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    process::executable(Path::new(PROGRAM), &folder.path().join("hourglass"))?;
    fs::copy(guests::module("hello"), folder.path().join("hello.wasm"))?;
    let mut refused = 0;
    for threads in 1.. {
        let (text, code) = said(threads, folder.path())?;
        assert!(!text.contains("panicked"), "with {threads} threads: {text}");
        match code {
            // It serves, so the test has killed it.
            None => break,
            Some(code) => {
                assert!(code != 0 && text.contains("threads"), "{threads}: {code}: {text}");
                assert!(text.contains("ulimit -u"), "{threads}: {text}");
                refused += 1;
            }
        }
        assert!(threads < 1_000, "it never starts");
    }
    assert!(refused > 0, "the limit has no effect");
    Ok(())
}
