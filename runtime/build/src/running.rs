//! The programs that run now, so that a signal to this process can end them.

use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

/// The process groups of all of them.
static GROUPS: Mutex<Groups> = Mutex::new(Groups { running: Vec::new(), closed: false });

struct Groups {
    running: Vec<Pid>,
    /// Whether nothing may start any more.
    closed: bool,
}

/// A program that runs, as the leader of a process group. Dropping this forgets
/// the group and has to come before the program is waited for: afterwards
/// another process may have its id.
pub(crate) struct Running(Pid);

impl Running {
    /// Starts a program, which has to get a process group of its own.
    ///
    /// # Errors
    /// What the system says; `Interrupted` after [`kill_running`].
    pub(crate) fn start(command: &mut Command) -> io::Result<(Child, Self)> {
        let mut groups = groups();
        if groups.closed {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.spawn()?;
        let group = Pid::from_child(&child);
        groups.running.push(group);
        Ok((child, Self(group)))
    }

    /// Kills the program and its children.
    pub(crate) fn kill(self) {
        // An error is a group that has ended.
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        groups().running.retain(|group| *group != self.0);
    }
}

/// Kills every program that this module runs at the moment, with its children,
/// and lets no other one start: for a process that is about to end.
pub fn kill_running() {
    let mut groups = groups();
    groups.closed = true;
    for group in &groups.running {
        // An error is a group that has ended.
        let _ = kill_process_group(*group, Signal::KILL);
    }
}

fn groups() -> MutexGuard<'static, Groups> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}
