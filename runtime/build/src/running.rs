//! The running programs, so that a signal to this process can end them.

use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

/// The process groups of all running programs.
static GROUPS: Mutex<Groups> = Mutex::new(Groups { running: Vec::new(), closed: false });

struct Groups {
    running: Vec<Pid>,
    /// Whether no program may start any more.
    closed: bool,
}

/// A running program, the leader of a process group. Dropping this forgets the
/// group, and must happen before the program is waited for: afterwards another
/// process may have its id.
pub(crate) struct Running(Pid);

impl Running {
    /// Starts a program, which must be configured with its own process group.
    ///
    /// # Errors
    /// The system's error; `Interrupted` after [`kill_running`].
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
        // Killing fails if the group has ended.
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        groups().running.retain(|group| *group != self.0);
    }
}

/// Kills every program that this module runs, with its children, and lets no
/// other start: for a process that is about to exit.
pub fn kill_running() {
    let mut groups = groups();
    groups.closed = true;
    for group in &groups.running {
        // Killing fails if the group has ended.
        let _ = kill_process_group(*group, Signal::KILL);
    }
}

fn groups() -> MutexGuard<'static, Groups> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}
