//! A program in a pseudo-terminal, and what it shows there.

use std::fs::File;
use std::io::{ErrorKind, Read, Result, Write};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// How long a test waits for the program.
const LIMIT: Duration = Duration::from_secs(60);

/// How long one wait for output lasts.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A running program and its terminal. It is killed on drop.
pub struct Terminal {
    child: Child,
    /// The side of the terminal, not of the program.
    controller: File,
    screen: vt100::Parser,
}

impl Terminal {
    /// Starts a command in a terminal of this size. Run it through `setsid --ctty`, so that it gets
    /// the terminal's signals.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(mut command: Command, (columns, rows): (u16, u16)) -> Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = openpt(flags)?;
        grantpt(&controller)?;
        unlockpt(&controller)?;
        let inner = ioctl_tiocgptpeer(&controller, flags)?;
        tcsetwinsize(&inner, size(columns, rows))?;
        command.stdin(inner.try_clone()?).stdout(inner.try_clone()?).stderr(inner);
        let child = command.env("TERM", "xterm-256color").spawn()?;
        let screen = vt100::Parser::new(rows, columns, 0);
        Ok(Self { child, controller: controller.into(), screen })
    }

    /// Types text and control characters.
    ///
    /// # Errors
    /// Those of the system.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.controller.write_all(keys.as_bytes())
    }

    /// Changes the size.
    ///
    /// # Errors
    /// Those of the system.
    pub fn resize(&mut self, columns: u16, rows: u16) -> Result<()> {
        self.screen.screen_mut().set_size(rows, columns);
        Ok(tcsetwinsize(&self.controller, size(columns, rows))?)
    }

    /// Waits until the screen fits, and returns its text.
    ///
    /// # Panics
    /// If the program ends before, or that takes a minute.
    pub fn until(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let shown = self.screen.screen().contents();
            if fits(&shown) {
                return shown;
            }
            let is_open = self.read().expect("the terminal can be read");
            assert!(is_open && start.elapsed() < LIMIT, "not {what}:\n{shown}");
        }
    }

    /// Waits until the screen contains a text.
    ///
    /// # Panics
    /// As [`until`](Self::until).
    pub fn shows(&mut self, text: &str) -> String {
        self.until(text, |shown| shown.contains(text))
    }

    /// What has been shown.
    pub fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    /// Whether the terminal itself echoes keys and handles lines.
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_cooked(&self) -> Result<bool> {
        let modes = tcgetattr(&self.controller)?.local_modes;
        Ok(modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG))
    }

    /// Sends the program a signal.
    ///
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is still there");
    }

    /// Waits until the program has ended, and reads what it shows until then.
    ///
    /// # Errors
    /// Those of the system; `TimedOut` after a minute.
    pub fn ended(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        while self.read()? {
            if start.elapsed() > LIMIT {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        // It has closed the terminal, so that it has ended, or is about to.
        self.child.wait()
    }

    /// Closes the terminal, and waits until the program has ended.
    ///
    /// # Errors
    /// Those of the system; `TimedOut` after a minute.
    pub fn close(mut self) -> Result<ExitStatus> {
        self.controller = File::open("/dev/null")?;
        let start = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) => return Ok(status),
                None if start.elapsed() > LIMIT => return Err(ErrorKind::TimedOut.into()),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Reads what has been written. Returns whether the program still has the terminal.
    fn read(&mut self) -> Result<bool> {
        let mut polled = [PollFd::new(&self.controller, PollFlags::IN)];
        if poll(&mut polled, Some(&WAIT))? == 0 {
            return Ok(true);
        }
        let mut bytes = [0; 16 << 10];
        match self.controller.read(&mut bytes) {
            Ok(count) => self.screen.process(&bytes[..count]),
            // The last one has closed it.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // On an error it has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}
