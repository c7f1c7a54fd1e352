//! Runs a compiler process: gives it a module, waits for its output until the
//! timeout, and reports how it failed.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, OFlags, fcntl_getfl, fcntl_setfl, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};

use super::child::{CODE, Orders, REFUSED};
use super::{Compiler, MAX_CODE, MAX_WORDS, words};
use crate::error::CompileError;
use crate::sync::lock;

/// The maximum number of compiler processes at once, on a machine with as many
/// cores.
const MOST_PROCESSES: usize = 4;

/// The maximum number of threads of each.
const MOST_THREADS: usize = 8;

/// The interval at which a process that has closed its output is checked for
/// its end.
const POLL: Duration = Duration::from_millis(1);

/// Compiles a module in a process of this program.
pub(super) fn compile(
    program: &Path,
    limits: &Compiler,
    wasm: &[u8],
) -> Result<Vec<u8>, CompileError> {
    let unavailable = |error: io::Error| CompileError::Unavailable {
        program: program.to_owned(),
        reason: error.to_string(),
    };
    let _turn = Turn::take();
    let deadline = Instant::now() + limits.timeout.min(Duration::from_secs(86_400));
    let mut process = Process::start(program, limits, wasm).map_err(unavailable)?;
    let mut answer = Answer::of(&mut process.0).map_err(unavailable)?;
    match answer.read(&mut process.0, deadline) {
        Ok(status) => answer.judge(status, limits),
        Err(Stopped::TimeIsUp) => Err(CompileError::TimedOut { limit: limits.timeout }),
        Err(Stopped::TooLong) => Err(CompileError::TooMuchCode { limit: MAX_CODE }),
        Err(Stopped::Failed(error)) => Err(unavailable(error)),
    }
}

/// A compiler process. Dropping it kills it.
struct Process(Child);

impl Process {
    fn start(program: &Path, limits: &Compiler, wasm: &[u8]) -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let seconds = limits.timeout.as_secs().saturating_add(1).saturating_mul(threads as u64);
        let orders = Orders { parent: std::process::id(), memory: limits.memory, seconds };
        let child = Command::new(program)
            .arg0("hourglass")
            .args(orders.arguments())
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.to_string())
            // Otherwise the allocator reserves a gibibyte that counts as used.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(input(wasm)?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A signal from the terminal is meant for the host, which ends this
            // process.
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that the process has ended. It is waited for below at
        // the latest, so its id does not belong to another process.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The module as a file in memory: unlike a pipe, it need not be written while
/// the output is read.
fn input(wasm: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("hourglass-module", MemfdFlags::CLOEXEC)?);
    file.write_all(wasm)?;
    file.rewind()?;
    Ok(file)
}

/// The output of a compiler process.
struct Answer {
    output: Stream,
    errors: Stream,
}

/// One of its streams, read without blocking.
struct Stream {
    file: Option<File>,
    content: Vec<u8>,
    /// Output beyond the limit is dropped, or ends the process.
    most: usize,
    cut: bool,
}

/// Why the host stopped waiting for the output.
enum Stopped {
    TimeIsUp,
    TooLong,
    Failed(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Answer {
    fn of(child: &mut Child) -> io::Result<Self> {
        let output = child.stdout.take().map(OwnedFd::from);
        let errors = child.stderr.take().map(OwnedFd::from);
        // One byte more: the last byte says what the others are.
        Ok(Self {
            output: Stream::new(output, MAX_CODE + 1)?,
            errors: Stream::new(errors, MAX_WORDS)?,
        })
    }

    /// Reads both streams to their end, and waits for the process to end.
    fn read(&mut self, child: &mut Child, deadline: Instant) -> Result<ExitStatus, Stopped> {
        while self.output.file.is_some() || self.errors.file.is_some() {
            wait_for([&self.output, &self.errors], left(deadline)?)?;
            self.output.receive()?;
            self.errors.receive()?;
            if self.output.cut {
                return Err(Stopped::TooLong);
            }
        }
        loop {
            match child.try_wait()? {
                Some(status) => return Ok(status),
                None => thread::sleep(left(deadline)?.min(POLL)),
            }
        }
    }

    /// The native code, or the reason for the failure.
    fn judge(&mut self, status: ExitStatus, limits: &Compiler) -> Result<Vec<u8>, CompileError> {
        let mut answer = std::mem::take(&mut self.output.content);
        let kind = answer.pop();
        if status.success() && kind == Some(CODE) {
            return Ok(answer);
        }
        if status.success() && kind == Some(REFUSED) {
            return Err(CompileError::Invalid { reason: words(&answer) });
        }
        let said = words(&self.errors.content);
        // The messages of Rust before it aborts, and of the system about a
        // thread's stack. A panic that has no memory left prints only that.
        let out_of_memory = [
            "memory allocation of",
            "out of memory",
            "Cannot allocate memory",
            "failed to initiate panic",
            "ThreadPoolBuildError",
        ];
        if out_of_memory.iter().any(|words| said.contains(words)) {
            return Err(CompileError::OutOfMemory { limit: limits.memory });
        }
        match status.signal().and_then(Signal::from_named_raw) {
            Some(Signal::XCPU) => Err(CompileError::TimedOut { limit: limits.timeout }),
            Some(Signal::KILL) => Err(CompileError::Killed),
            _ => Err(CompileError::Crashed { how: status.to_string(), said }),
        }
    }
}

fn left(deadline: Instant) -> Result<Duration, Stopped> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Stopped::TimeIsUp) } else { Ok(left) }
}

impl Stream {
    fn new(pipe: Option<OwnedFd>, most: usize) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            fcntl_setfl(pipe.as_fd(), fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        Ok(Self { file: pipe.map(File::from), content: Vec::new(), most, cut: false })
    }

    /// Reads one piece of the available output.
    fn receive(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut piece = [0; 1 << 16];
        match file.read(&mut piece) {
            Ok(0) => self.file = None,
            Ok(len) => {
                let room = self.most.saturating_sub(self.content.len());
                self.cut |= len > room;
                self.content.extend_from_slice(piece.get(..len.min(room)).unwrap_or_default());
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Waits until there is something to read, at most for `most`.
fn wait_for(streams: [&Stream; 2], most: Duration) -> io::Result<()> {
    let mut polled = streams.map(|stream| libc::pollfd {
        // The kernel ignores a negative descriptor.
        fd: stream.file.as_ref().map_or(-1, AsRawFd::as_raw_fd),
        events: libc::POLLIN,
        revents: 0,
    });
    // Rounded up, so that it does not spin at the end.
    let millis = most.as_millis().saturating_add(1).try_into().unwrap_or(i32::MAX);
    // SAFETY: the pointer and the number are those of an array that outlives
    // the call. The descriptors are open as long as the streams are borrowed.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, millis) };
    match ready {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}

/// One of the host's few slots for compiler processes.
struct Turn;

static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

impl Turn {
    /// Waits for a slot.
    fn take() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let taken = lock(&TAKEN);
        let full = |taken: &mut usize| *taken >= cores.min(MOST_PROCESSES);
        let mut taken = GIVEN_BACK.wait_while(taken, full).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = lock(&TAKEN);
        *taken = taken.saturating_sub(1);
        GIVEN_BACK.notify_one();
    }
}
