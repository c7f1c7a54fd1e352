//! From a module's bytes to native code, through the cache or the compiler.
//!
//! Functions with the same module share one copy of its code and of its initial
//! memory, even if they are prepared at the same time. The copy is dropped with
//! the last function.
//!
//! # Layout
//! - [`Compiler`]: the place of compilation and its limits.
//! - [`Modules`]: the loaded modules; [`Loaded`]: one of them.
//! - [`process`]: runs a compiler process, on the host's side.
//! - [`child`]: the compiler process itself.
#![allow(unsafe_code, reason = "loading compiled code is unsafe by nature")]

mod child;
mod process;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use wasmtime::Module;

use super::Engine;
use crate::cores;
use crate::error::CompileError;
use crate::escape::OneLine;
use crate::limits::mib;
use crate::sync::lock;

/// The maximum size of a module's native code, in bytes.
pub(super) const MAX_CODE: usize = 512 << 20;

/// How much of the compiler's error output is kept, in bytes.
const MAX_WORDS: usize = 1_024;

/// The default limits on time and memory to compile a module.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const MEMORY: u64 = mib(2_048);

/// The place of compilation and its limits.
///
/// The compiler is the most expensive code that an untrusted module reaches: a
/// module of a few megabytes can take it minutes and gigabytes.
///
/// - [`in_process`](Self::in_process), the default, compiles on the threads of
///   this process. Only the module's size and number of functions are bounded
///   ([`RuntimeBuilder::max_functions`](crate::RuntimeBuilder::max_functions)),
///   **not** its time and memory, and a crash of the compiler is a crash of
///   this process.
/// - [`this_program`](Self::this_program) and [`process`](Self::process) start
///   a process for each module that is not in the cache. It has a lower
///   priority, and is killed at its limits. The `hourglass` program does this.
///
/// # Example
/// An embedder that compiles in processes of its own program:
///
/// ```no_run
/// use hourglass::{Compiler, Runtime};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     if let Some(ended) = Compiler::child(std::env::args_os()) {
///         return Ok(ended?);
///     }
///     let runtime = Runtime::builder().compiler(Compiler::this_program()).build()?;
///     // ...
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    program: Option<PathBuf>,
    timeout: Duration,
    memory: u64,
}

impl Compiler {
    /// Compiles in this process. Time and memory are not bounded.
    pub fn in_process() -> Self {
        Self { program: None, timeout: TIMEOUT, memory: MEMORY }
    }

    /// Compiles in a process of the running program, which must call
    /// [`child`](Self::child) first.
    pub fn this_program() -> Self {
        // Refers to the same program even after its file is replaced.
        Self::process("/proc/self/exe")
    }

    /// Compiles in a process of this program, which must call
    /// [`child`](Self::child) and have this library's version. The `hourglass`
    /// program is one. The program is trusted: the code that it returns is run.
    pub fn process(program: impl Into<PathBuf>) -> Self {
        Self { program: Some(program.into()), ..Self::in_process() }
    }

    /// Sets the time limit for one module, after which its process is killed.
    /// Default 60 seconds. It has no effect on compilation in this process.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the memory limit, in bytes, of the process for one module. Default
    /// 2 GiB. It has no effect on compilation in this process.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Does the work of a compiler process, if the command line `args` says
    /// that this process is one; otherwise returns `None` at once. Call it
    /// first in `main`, before any thread is started, and end the program with
    /// its result.
    pub fn child(args: impl IntoIterator<Item = OsString>) -> Option<io::Result<()>> {
        child::ChildLimits::parse(args).map(|limits| limits.and_then(child::run))
    }
}

impl Default for Compiler {
    fn default() -> Self {
        Self::in_process()
    }
}

impl Engine {
    /// Compiles a module or loads it from the cache, unless it is already
    /// loaded.
    pub(crate) fn load(&self, wasm: &[u8]) -> Result<Arc<Loaded>, CompileError> {
        let digest = *blake3::hash(wasm).as_bytes();
        let slot = lock(&self.modules.0).entry(digest).or_default().clone();
        let mut known = lock(&slot);
        if let Some(loaded) = known.upgrade() {
            return Ok(loaded);
        }
        let loaded = match self.compile(wasm) {
            Ok(module) => Arc::new(Loaded { module, digest, modules: self.modules.clone() }),
            Err(error) => {
                drop(known);
                drop(slot);
                self.modules.forget(&digest);
                return Err(error);
            }
        };
        *known = Arc::downgrade(&loaded);
        Ok(loaded)
    }

    /// Loads the code of a module from the cache, or compiles the module and
    /// stores its code there.
    ///
    /// It does not know which modules are already loaded: each call returns a
    /// separate copy of the code.
    fn compile(&self, wasm: &[u8]) -> Result<Module, CompileError> {
        if let Some(module) = self.cache.as_ref().and_then(|cache| cache.load(&self.wasm, wasm)) {
            self.compile_counters.loaded();
            return Ok(module);
        }
        let begun = Instant::now();
        let module = self.compile_new(wasm)?;
        self.compile_counters.compiled(begun.elapsed());
        Ok(module)
    }

    /// Compiles a module, and stores its code in the cache.
    fn compile_new(&self, wasm: &[u8]) -> Result<Module, CompileError> {
        // The compiler panics if the system refuses it a thread, in this
        // process and in another. Three more are for the compiler process
        // itself, and for reading its output.
        cores::try_threads(cores::count() + 3)
            .map_err(|error| CompileError::Threads(error.to_string()))?;
        let invalid =
            |error: wasmtime::Error| CompileError::Invalid(words(format!("{error:#}").as_bytes()));
        let Some(program) = &self.compiler.program else {
            let module = Module::from_binary(&self.wasm, wasm).map_err(invalid)?;
            if let Some(cache) = &self.cache {
                cache.store(wasm, &module.serialize().map_err(invalid)?);
            }
            return Ok(module);
        };
        let code = process::compile(program, &self.compiler, wasm)?;
        // SAFETY: the bytes came over a pipe from a process that this one
        // started for them. The embedder vouches that its program answers with
        // the compiler's output. They are in this process's own memory. The
        // engine refuses code of other versions and settings.
        let module = unsafe { Module::deserialize(&self.wasm, &code) }.map_err(invalid)?;
        if let Some(cache) = &self.cache {
            cache.store(wasm, &code);
        }
        Ok(module)
    }
}

/// The start of the compiler's message, as one line: the module may have
/// influenced it.
fn words(said: &[u8]) -> String {
    let said = said.get(..MAX_WORDS).unwrap_or(said);
    OneLine(String::from_utf8_lossy(said.trim_ascii())).to_string()
}

/// A hash of a module's bytes. All of an engine's modules have its settings.
type Digest = [u8; blake3::OUT_LEN];

/// Locked while the module is being loaded, so that other threads that need the
/// same module wait for it.
type Slot = Mutex<Weak<Loaded>>;

/// The loaded modules by their digests.
#[derive(Default)]
pub(crate) struct Modules(Mutex<HashMap<Digest, Arc<Slot>>>);

/// A module in use.
pub(crate) struct Loaded {
    pub(crate) module: Module,
    digest: Digest,
    modules: Arc<Modules>,
}

impl Modules {
    /// Removes the slot of a module that is no longer loaded, unless another
    /// thread is about to load it.
    fn forget(&self, digest: &Digest) {
        if let Entry::Occupied(slot) = lock(&self.0).entry(*digest)
            && Arc::strong_count(slot.get()) == 1
            && slot.get().try_lock().is_ok_and(|loaded| loaded.strong_count() == 0)
        {
            slot.remove();
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.modules.forget(&self.digest);
    }
}
