//! The program under test, run as a process.

use std::io::{BufRead, BufReader, ErrorKind, Read, Result};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::guests;

/// How long a test waits for the program.
const LIMIT: Duration = Duration::from_secs(60);

/// A command of the program, without settings from the environment, on a free port. `program` is
/// its path, which cargo passes only to tests.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOURGLASS_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("HOURGLASS_CACHE", guests::code_cache());
    // The default port may be in use.
    command.env("HOURGLASS_LISTEN", "127.0.0.1:0");
    command.env("HOURGLASS_STATE_DIR", guests::state_dir());
    command
}

/// A running program. It is killed on drop.
#[derive(Debug)]
pub struct Started {
    child: Child,
    /// Its log, line by line. A thread reads it, so that the program never blocks.
    log: mpsc::Receiver<String>,
}

impl Started {
    /// Starts it.
    ///
    /// # Errors
    /// Those of the process.
    pub fn new(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let log = lines(child.stderr.take().expect("it is piped"));
        Ok(Self { child, log })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has logged a text, and returns the log up to that line.
    ///
    /// # Panics
    /// If it ends before, or logs nothing for a minute.
    pub fn told(&self, text: &str) -> String {
        let mut told = String::new();
        while !told.contains(text) {
            told.push_str(&next(&self.log).unwrap_or_else(|| panic!("no {text:?} in {told}")));
            told.push('\n');
        }
        told
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is still there");
    }

    /// Waits until it has exited.
    ///
    /// # Errors
    /// Those of the process; `TimedOut` after a minute.
    pub fn ended(mut self) -> Result<ExitStatus> {
        let (tell, ended) = mpsc::channel();
        let pid = Pid::from_child(&self.child);
        thread::spawn(move || {
            // The status stays for `wait` below. On an error the child was killed on drop.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = waitid(WaitId::Pid(pid), options);
            let _ = tell.send(());
        });
        match ended.recv_timeout(LIMIT) {
            Ok(()) => self.child.wait(),
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // On an error it has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running server.
#[derive(Debug)]
pub struct Serving {
    started: Started,
    out: mpsc::Receiver<String>,
    /// Its address.
    pub address: SocketAddr,
}

impl Serving {
    /// Starts it, and waits until it prints its address.
    ///
    /// # Errors
    /// If it cannot be started.
    ///
    /// # Panics
    /// If it prints something else first.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut started = Started::new(command)?;
        let out = lines(started.child.stdout.take().expect("it is piped"));
        let first = out.recv().unwrap_or_default();
        let url = first.strip_prefix("serving at ");
        let address = url.and_then(|url| Some(url.split_once("://")?.1));
        let Some(address) = address else {
            panic!("it said {first:?}, and {:#?}", started.log.iter().collect::<Vec<_>>())
        };
        Ok(Self { address: address.parse().map_err(std::io::Error::other)?, started, out })
    }

    /// The next line of its output after its address.
    ///
    /// # Panics
    /// If there is no further line.
    pub fn line(&self) -> String {
        next(&self.out).expect("it says more")
    }

    /// The address of its admin listener, which it prints.
    ///
    /// # Panics
    /// If it prints none.
    pub fn admin(&self) -> SocketAddr {
        loop {
            let line = self.line();
            if let Some(rest) = line.strip_prefix("dashboard: http://") {
                let (address, _) = rest.split_once(' ').expect("a command follows");
                return address.parse().expect("an address");
            }
        }
    }

    /// As [`Started::id`].
    pub fn id(&self) -> u32 {
        self.started.id()
    }

    /// As [`Started::told`].
    ///
    /// # Panics
    /// As that.
    pub fn told(&self, text: &str) -> String {
        self.started.told(text)
    }

    /// As [`Started::signal`].
    ///
    /// # Panics
    /// As that.
    pub fn signal(&self, signal: Signal) {
        self.started.signal(signal);
    }

    /// As [`Started::ended`].
    ///
    /// # Errors
    /// As that.
    pub fn ended(self) -> Result<ExitStatus> {
        self.started.ended()
    }
}

/// Reads lines in a thread, so that the program never blocks on its output.
fn lines(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (line, lines) = mpsc::channel();
    let mut reader = BufReader::new(from).lines();
    thread::spawn(move || {
        while reader.next().is_some_and(|read| line.send(read.expect("it is text")).is_ok()) {}
    });
    lines
}

fn next(lines: &mpsc::Receiver<String>) -> Option<String> {
    lines.recv_timeout(LIMIT).ok()
}
