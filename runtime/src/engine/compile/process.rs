//! Runs a compiler process: gives it a module, waits for its output until the
//! timeout, and reports how it failed.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};

use super::child::{CODE, ChildLimits, REFUSED};
use super::{Compiler, MAX_CODE, MAX_WORDS, words};
use crate::cores;
use crate::error::CompileError;
use crate::sync::lock;

/// The maximum number of compiler processes at once, on a machine with as many
/// cores.
const MAX_PROCESSES: usize = 4;

/// The maximum number of threads of each.
const MAX_THREADS: usize = 8;

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
    let timed_out = || CompileError::TimedOut(limits.timeout);
    let _slot = Slot::acquire();
    let deadline = Instant::now() + limits.timeout.min(Duration::from_secs(86_400));
    let mut process = Process::start(program, limits, wasm).map_err(unavailable)?;
    // One byte more: the last byte says what the others are.
    let output = collect(process.0.stdout.take(), MAX_CODE + 2).map_err(unavailable)?;
    let errors = collect(process.0.stderr.take(), MAX_WORDS).map_err(unavailable)?;
    let left = || deadline.saturating_duration_since(Instant::now());
    let receive = |stream: Receiver<io::Result<Vec<u8>>>| match stream.recv_timeout(left()) {
        Ok(content) => content.map_err(unavailable),
        Err(_) => Err(timed_out()),
    };
    let output = receive(output)?;
    if output.len() > MAX_CODE + 1 {
        return Err(CompileError::TooMuchCode(MAX_CODE));
    }
    let errors = receive(errors)?;
    loop {
        match process.0.try_wait().map_err(unavailable)? {
            Some(status) => return result(status, output, &errors, limits),
            None if left().is_zero() => return Err(timed_out()),
            None => thread::sleep(left().min(POLL)),
        }
    }
}

/// Reads a stream on a thread of its own, and sends its content: at most `most`
/// bytes, once there are as many or at its end. The rest is read and dropped,
/// until the process has ended.
fn collect(
    stream: Option<impl Read + Send + 'static>,
    most: usize,
) -> io::Result<Receiver<io::Result<Vec<u8>>>> {
    let mut stream = stream.ok_or_else(|| io::Error::other("it has no pipe"))?;
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().name("hourglass-read".into()).spawn(move || {
        let mut content = Vec::new();
        let read = stream.by_ref().take(most as u64).read_to_end(&mut content);
        // An error means that the content is not needed any more, or that the
        // rest of the stream can't be read.
        let _ = sender.send(read.map(|_| content));
        let _ = io::copy(&mut stream, &mut io::sink());
    })?;
    Ok(receiver)
}

/// The native code, or the reason for the failure.
fn result(
    status: ExitStatus,
    mut output: Vec<u8>,
    errors: &[u8],
    limits: &Compiler,
) -> Result<Vec<u8>, CompileError> {
    let kind = output.pop();
    if status.success() && kind == Some(CODE) {
        return Ok(output);
    }
    if status.success() && kind == Some(REFUSED) {
        return Err(CompileError::Invalid(words(&output)));
    }
    let said = words(errors);
    // The messages of Rust before it aborts, and of the system about a thread's
    // stack. A panic that has no memory left prints only that.
    let out_of_memory = [
        "memory allocation of",
        "out of memory",
        "Cannot allocate memory",
        "failed to initiate panic",
        "ThreadPoolBuildError",
    ];
    if out_of_memory.iter().any(|words| said.contains(words)) {
        return Err(CompileError::OutOfMemory(limits.memory));
    }
    Err(match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => CompileError::TimedOut(limits.timeout),
        Some(Signal::KILL) => CompileError::Killed,
        _ => CompileError::Crashed { how: status.to_string(), said },
    })
}

/// A compiler process. Dropping it kills it.
struct Process(Child);

impl Process {
    fn start(program: &Path, limits: &Compiler, wasm: &[u8]) -> io::Result<Self> {
        let threads = cores::count().min(MAX_THREADS);
        let seconds = limits.timeout.as_secs().saturating_add(1).saturating_mul(threads as u64);
        let child =
            ChildLimits { parent: std::process::id().into(), memory: limits.memory, seconds };
        let process = Command::new(program)
            .arg0("hourglass")
            .args(child.arguments())
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
        Ok(Self(process))
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

/// One of the host's few slots for compiler processes.
struct Slot;

static USED: Mutex<usize> = Mutex::new(0);
static RELEASED: Condvar = Condvar::new();

impl Slot {
    /// Waits for a slot.
    fn acquire() -> Self {
        let slots = cores::count().min(MAX_PROCESSES);
        let used = RELEASED.wait_while(lock(&USED), |used| *used >= slots);
        *used.unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *lock(&USED) -= 1;
        RELEASED.notify_one();
    }
}
