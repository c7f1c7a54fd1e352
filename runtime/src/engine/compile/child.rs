//! The compiler process: it reads a module from standard input and writes
//! native code to standard output.
//!
//! It limits itself before it reads anything. The last byte of its output says
//! what the bytes before it are, so that truncated output is not mistaken for a
//! result.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use rustix::process::{
    Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setpriority_process,
    setrlimit,
};

/// The first argument of a compiler process.
const COMMAND: &str = "compile-module";

/// The last byte if the output is native code.
pub(super) const CODE: u8 = 1;

/// The last byte if the output is the compiler's reason to refuse the module.
pub(super) const REFUSED: u8 = 2;

/// The niceness of the process. It gets about a tenth of a core if the host
/// wants the same core.
const NICENESS: i32 = 10;

/// The limits of a compiler process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChildLimits {
    /// The process that wants the result.
    pub(super) parent: u64,
    /// Memory in bytes.
    pub(super) memory: u64,
    /// Processor time of all threads, in seconds.
    pub(super) seconds: u64,
}

impl ChildLimits {
    /// The limits as command-line arguments.
    pub(super) fn arguments(self) -> [String; 4] {
        let Self { parent, memory, seconds } = self;
        [COMMAND.to_owned(), parent.to_string(), memory.to_string(), seconds.to_string()]
    }

    /// Parses a command line, if it is that of a compiler process.
    pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Option<io::Result<Self>> {
        let mut args = args.into_iter().skip(1);
        if args.next()? != COMMAND {
            return None;
        }
        let numbers: Option<Vec<u64>> = args.map(|arg| arg.to_str()?.parse().ok()).collect();
        Some(match numbers.as_deref() {
            Some(&[parent, memory, seconds]) => Ok(Self { parent, memory, seconds }),
            _ => Err(io::Error::other(format!(
                "`{COMMAND}` is for the host itself, not to be typed"
            ))),
        })
    }

    /// Applies the limits to this process.
    fn apply(self) -> io::Result<()> {
        // Descriptors that the host inherited may be open here as well. SAFETY:
        // this is the first thing that a compiler process does, as
        // `Compiler::child` requires, so nothing owns these descriptors. On a
        // kernel that lacks the call they stay open, unused.
        unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have ended before that.
        if getppid().map(|pid| u64::from(pid.as_raw_pid().unsigned_abs())) != Some(self.parent) {
            return Err(io::Error::other("the host has ended"));
        }
        let limit = |resource, most: u64| {
            setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
        };
        limit(Resource::Core, 0)?;
        limit(Resource::Cpu, self.seconds)?;
        // Address space that is reserved but not writable does not count.
        limit(Resource::Data, self.memory)?;
        setpriority_process(None, NICENESS)?;
        // If memory runs out, the kernel should kill this process and not the
        // host. Without `/proc` it chooses by size.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        Ok(())
    }
}

/// Compiles the module on standard input.
pub(super) fn run(limits: ChildLimits) -> io::Result<()> {
    limits.apply()?;
    let mut wasm = Vec::new();
    io::stdin().lock().read_to_end(&mut wasm)?;
    let engine = wasmtime::Engine::new(&crate::engine::code_config()).map_err(io::Error::other)?;
    // Bypasses the buffer of `Stdout`, which searches for line ends.
    let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let (content, kind) = match engine.precompile_module(&wasm) {
        Ok(code) => (code, CODE),
        Err(error) => (format!("{error:#}").into_bytes(), REFUSED),
    };
    out.write_all(&content)?;
    out.write_all(&[kind])
}
