//! The program under test, run as its users run it.

use std::io::{BufRead, BufReader, Result};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::guests;

/// The program with a command, away from the settings of whoever runs the tests. Only tests
/// themselves know where the `program` is.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOURGLASS_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("HOURGLASS_CACHE", guests::code_cache());
    command
}

/// A program that serves. It is killed when the test is over, or fails.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    /// What it logs, line by line, from a thread of its own so that it never has to wait.
    log: mpsc::Receiver<String>,
    /// Where it serves.
    pub address: SocketAddr,
}

impl Serving {
    /// Starts it and waits until it has said where it serves.
    ///
    /// # Errors
    /// It does not start.
    ///
    /// # Panics
    /// If it says something else first.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let (line, log) = mpsc::channel();
        thread::spawn(move || {
            while lines.next().is_some_and(|read| line.send(read.expect("it logs text")).is_ok()) {}
        });
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut first)?;
        let url = first.trim_end().strip_prefix("serving at ");
        let address = url.and_then(|url| Some(url.split_once("://")?.1));
        let Some(address) = address else {
            panic!("it said {first:?}, and {:#?}", log.iter().collect::<Vec<_>>())
        };
        Ok(Self { address: address.parse().map_err(std::io::Error::other)?, child, log })
    }

    /// Waits until it has logged something, and gives all until then.
    ///
    /// # Panics
    /// If it ends before that.
    pub fn told(&self, text: &str) -> String {
        let mut told = String::new();
        while !told.contains(text) {
            told.push_str(&self.log.recv().unwrap_or_else(|_| panic!("no {text:?} in {told}")));
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

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// What the system says.
    pub fn ended(mut self) -> Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // An error is one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
