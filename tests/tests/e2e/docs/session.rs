//! A directory, a server and a shell for the commands of a page.
//!
//! The directory looks like a clone of this repository to the commands: `examples` and `target` are
//! there. What they write stays in it. `hourglass` is the program under test. The pages name the
//! default ports; [`Session::localized`] is the one place that replaces them.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hourglass_tests::guests::{module, repository};
use hourglass_tests::program::{self, Serving};
use rustix::process::Signal;
use tempfile::TempDir;

use super::output;

/// How long a command is repeated until its output is as shown.
const REPEATED: Duration = Duration::from_secs(60);

pub(crate) struct Session {
    directory: TempDir,
    /// The ports that stand for 8080 and 9090.
    ports: [u16; 2],
    server: Option<Serving>,
}

impl Session {
    pub(crate) fn new() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        // Builds the functions, so that the commands find them.
        let release = module("hello").parent().context("the module is in a folder")?;
        let target = release.ancestors().nth(2).context("the folder is in the target folder")?;
        let here = |name: &str| directory.path().join(name);
        symlink(repository().join("examples"), here("examples"))?;
        symlink(target, here("target"))?;
        fs::create_dir(here("bin"))?;
        symlink(env!("CARGO_BIN_EXE_hourglass-under-test"), here("bin/hourglass"))?;
        // Crates of the pages are built in one place, so that later runs reuse what they depend on.
        fs::create_dir(here(".cargo"))?;
        let build = format!("[build]\ntarget-dir = {:?}\n", target.join("pages"));
        fs::write(here(".cargo/config.toml"), build)?;
        // Without the progress that curl shows where its output is not a terminal.
        fs::write(here(".curlrc"), "no-progress-meter\nmax-time = 60\n")?;
        Ok(Self { directory, ports: [free_port(), free_port()], server: None })
    }

    /// A text of a page, with the ports of this session, and with the clone where it is.
    fn localized(&self, text: &str) -> String {
        let [front, admin] = self.ports.map(|port| port.to_string());
        let clone = format!("{}/", repository().display());
        text.replace("8080", &front).replace("9090", &admin).replace("../hourglass/", &clone)
    }

    /// Writes a file. A crate gets the lock file of this repository, and so its versions.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let file = self.directory.path().join(name);
        let folder = file.parent().context("the file is in a folder")?;
        fs::create_dir_all(folder)?;
        if name.ends_with("Cargo.toml") {
            fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock"))?;
        }
        Ok(fs::write(&file, self.localized(text))?)
    }

    /// Runs a script, which must succeed. A server goes on in the background. A crate that it
    /// creates gets the lock file too.
    pub(crate) fn run(&mut self, script: &str) -> Result<()> {
        if ["hourglass up ", "hourglass serve "].iter().any(|server| script.starts_with(server)) {
            self.stop_server()?;
            let mut command = self.shell(&format!("exec {script}"));
            self.server = Some(Serving::start(&mut command)?);
            return Ok(());
        }
        let (succeeded, output) = self.output(script)?;
        ensure!(succeeded, "the command failed:\n{script}\n{output}");
        if let Some(name) = script.trim().strip_prefix("hourglass new ") {
            let folder = self.directory.path().join(name);
            fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock"))?;
        }
        Ok(())
    }

    /// Runs a command and compares its output, standard error included. It is run again for a
    /// while, because other tests load the machine, and what the command before has started in the
    /// background may take a moment.
    pub(crate) fn compare(&self, command: &str, shown: &str) -> Result<()> {
        let shown = self.localized(shown);
        let start = Instant::now();
        loop {
            let (_, output) = self.output(command)?;
            if output::matches(&output, &shown) {
                return Ok(());
            }
            let message = format!("{command}prints:\n{output}\ninstead of:\n{shown}");
            ensure!(start.elapsed() < REPEATED, message);
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends the server, if there is one.
    pub(crate) fn stop_server(&mut self) -> Result<()> {
        let Some(server) = self.server.take() else { return Ok(()) };
        server.signal(Signal::TERM);
        let status = server.ended()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }

    /// Runs a script to its end. Returns whether it succeeded, and what it printed.
    fn output(&self, script: &str) -> Result<(bool, String)> {
        // A file, because a background process would hold a pipe open.
        let path = self.directory.path().join("bin/output");
        let output = File::create(&path)?;
        let mut shell = self.shell(script);
        let status = shell.stdout(output.try_clone()?).stderr(output).status()?;
        Ok((status.success(), String::from_utf8_lossy(&fs::read(&path)?).into_owned()))
    }

    fn shell(&self, script: &str) -> Command {
        let arguments = ["-euo", "pipefail", "-c", &self.localized(script)];
        let mut command = program::command("bash", &arguments);
        let here = self.directory.path();
        let path = std::env::var("PATH").unwrap_or_default();
        command.current_dir(here).env("CURL_HOME", here);
        command.env("PATH", format!("{}:{path}", here.join("bin").display()));
        command.env("HOURGLASS_LISTEN", format!("127.0.0.1:{}", self.ports[0]));
        command.env("CARGO_NET_OFFLINE", "true");
        command
    }
}

/// A free port below the range from which the system picks ports for other tests.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
