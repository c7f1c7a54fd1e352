//! The library's errors: what went wrong, where, and what to do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::escape::OneLine;
use crate::mounts::Unmountable;
use crate::outcome::{Outcome, Usage};

/// Why [`Runtime::invoke`](crate::Runtime::invoke) gave no response.
#[derive(Debug, thiserror::Error)]
#[error("function `{}`: {}", OneLine(&.0.function), .0.outcome)]
pub struct InvokeError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    function: Arc<str>,
    outcome: Outcome,
    usage: Usage,
}

impl InvokeError {
    pub(crate) fn new(function: Arc<str>, outcome: Outcome, usage: Usage) -> Self {
        Self(Box::new(Failure { function, outcome: outcome.bounded(), usage }))
    }

    /// One for an invocation whose guest never ran.
    pub(crate) fn refused(function: Arc<str>, outcome: Outcome) -> Self {
        Self::new(function, outcome, Usage::default())
    }

    /// The function's name, as the caller gave it.
    pub fn function(&self) -> &str {
        &self.0.function
    }

    /// How the invocation ended; never [`Outcome::Response`].
    pub fn outcome(&self) -> &Outcome {
        &self.0.outcome
    }

    /// What the invocation used until then. All zero where no guest ran.
    pub fn usage(&self) -> Usage {
        self.0.usage
    }
}

/// Why [`RuntimeBuilder::build`](crate::RuntimeBuilder::build) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// More invocations in flight were asked for than the machine's limits
    /// allow.
    #[error(
        "{asked} invocations in flight need more memory mappings than this machine allows: \
         vm.max_map_count = {max_map_count} is enough for {allowed}; ask for fewer, or raise it \
         with `sysctl -w vm.max_map_count={needed}`"
    )]
    TooManyInFlight {
        /// What was asked for.
        asked: usize,
        /// What the machine allows.
        allowed: usize,
        /// The machine's setting.
        max_map_count: usize,
        /// The setting that would be enough.
        needed: usize,
    },
    /// The directory for compiled code can't be used.
    #[error("the cache directory {} can't be used", OneLine(dir.display()))]
    Cache {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it, or with its key.
        source: CacheError,
    },
    /// The system gives the process too few threads.
    #[error(
        "the system refuses threads; raise the limit (`ulimit -u`, `pids.max` of the control \
         group, `TasksMax` of the service)"
    )]
    Threads {
        /// What the system said.
        source: io::Error,
    },
    /// The Wasm engine could not be made.
    #[error("the engine could not be made: {0}")]
    Engine(String),
}

/// Why the code cache, or a file of it, is not used. Its directory, its key and
/// its files must belong to the effective user, and no other user may be able
/// to change them: what is in them is run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The system refuses it.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A symbolic link, which is not followed.
    #[error("{} is a symbolic link; remove it, or name its target", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// It is to be a directory, and is something else.
    #[error("{} is not a directory; remove it, or name another", path.display())]
    NotDirectory {
        /// What is there.
        path: PathBuf,
    },
    /// It is to be a regular file, and is something else.
    #[error("{} is not a regular file; remove it", path.display())]
    NotFile {
        /// What is there.
        path: PathBuf,
    },
    /// It belongs to another user.
    #[error(
        "{} belongs to user {owner}, and this process runs as user {user}; remove it, or name \
         another directory",
        path.display()
    )]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// The id of the user that it belongs to.
        owner: u32,
        /// The effective user of this process.
        user: u32,
    },
    /// Other users have rights that they must not have.
    #[error(
        "{} is open to other users (mode {mode:04o}); if its content is what you expect, \
         run `chmod {remove} {}`",
        path.display(), path.display()
    )]
    Mode {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The change of the mode that is needed, as `chmod` reads it.
        remove: &'static str,
    },
    /// The content is not what the cache wrote.
    #[error("{} is not what this cache wrote", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// There is no place for the key.
    #[error(
        "there is no directory for the key of the code cache: neither XDG_STATE_HOME nor HOME is \
         an absolute path; set one, or name a `state_dir`"
    )]
    NoStateDirectory,
    /// The key would be in the cache.
    #[error(
        "{} is both the cache and the state directory; name two, so that the key is not kept with \
         the files that it vouches for",
        path.display()
    )]
    SameDirectory {
        /// The directory.
        path: PathBuf,
    },
}

/// Why a function can't be deployed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The file can't be read.
    #[error("{} can't be read", OneLine(path.display()))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name can't be a function's.
    #[error(
        "`{}` can't be a function's name: use 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`, \
         not a `.` in front",
        OneLine(name)
    )]
    Name {
        /// The name.
        name: String,
    },
    /// An entry of what it may reach names no host.
    #[error("{}", OneLine(reason))]
    AllowHosts {
        /// Which one, what is wrong with it, and how it is written.
        reason: String,
    },
    /// A value's name can't go along as baggage.
    #[error(
        "the value `{}` can't go along as baggage: a name has letters, digits and some of !#$%&'*+-.^_`|~",
        OneLine(name)
    )]
    Baggage {
        /// The name.
        name: String,
    },
    /// A setting or a secret can't be handed to the function. The value is not
    /// told.
    #[error("`{}` can't be a setting: {reason}", OneLine(name))]
    Setting {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nothing can be mounted at a path of the guest's.
    #[error("nothing can be mounted at `{}`: {reason}", OneLine(path))]
    MountPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A folder can't be mounted.
    #[error("{} can't be mounted at `{}`", OneLine(folder.display()), OneLine(path))]
    MountFolder {
        /// Where the guest would find it.
        path: String,
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The module is larger than the host compiles.
    #[error("the module has {size} bytes; the most is {limit}")]
    TooLarge {
        /// The module's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// It has more functions than the host compiles.
    #[error(
        "the module has {count} functions, the limit is {limit}; build it with optimization or \
         split it, or raise `max_functions`"
    )]
    TooManyFunctions {
        /// How many it has.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// A section other than that of functions is longer than the host accepts.
    #[error("the module has {count} {what}, the limit is {limit}; split it")]
    TooManyEntries {
        /// What the section holds.
        what: &'static str,
        /// How many.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// Its data is scattered, or at computed addresses, so that instances can't
    /// share it.
    #[error(
        "the module has {bytes} bytes of data that would be copied for every instance, the limit \
         is {limit}: give its data segments constant addresses that are close to each other, or \
         read the data from a folder"
    )]
    ScatteredData {
        /// How much data it has.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// It is no WebAssembly module.
    #[error(
        "this is not a core WebAssembly module ({}); build it with \
         `cargo build --release --target wasm32-wasip1`",
        OneLine(reason)
    )]
    NotWasm {
        /// What is wrong with it.
        reason: String,
    },
    /// It does not export what the host calls.
    #[error(
        "the module does not export {what}; build a program (a crate with `fn main`), not a library"
    )]
    MissingExport {
        /// What is missing.
        what: &'static str,
    },
    /// It exports a name that is the host's own.
    #[error(
        "the module exports `{}`, but names that begin with `hourglass:` are the host's own; rename it",
        OneLine(name)
    )]
    PrivateExport {
        /// The export's name.
        name: String,
    },
    /// It speaks another version of the context ABI.
    #[error(
        "the module imports `{}`, this host speaks `{spoken}`; \
         rebuild it with the hourglass-sdk of this host's version",
        OneLine(found)
    )]
    AbiVersion {
        /// The import module that the guest names.
        found: String,
        /// The import module that this host offers.
        spoken: &'static str,
    },
    /// It imports something that the host does not offer.
    #[error(
        "the module imports `{}::{}`, which this host does not offer",
        OneLine(module),
        OneLine(name)
    )]
    UnknownImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// Its memory starts out larger than its limit.
    #[error("the module's memory starts with {needed} bytes, its limit is {limit}; raise `memory`")]
    Memory {
        /// What it starts with.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// It can't be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The engine refused to instantiate it.
    #[error("the module can't be made ready: {}", OneLine(reason))]
    Instantiate {
        /// The engine's words.
        reason: String,
    },
}

/// Why a module gave no native code.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The compiler refused it.
    #[error("the module can't be compiled: {}", OneLine(reason))]
    Invalid {
        /// The compiler's words.
        reason: String,
    },
    /// It took too long. See [`Compiler::timeout`](crate::Compiler::timeout).
    #[error(
        "the compiler was stopped after {limit:?}; simplify the module, or raise `compile_timeout`"
    )]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// It took too much memory. See [`Compiler::memory`](crate::Compiler::memory).
    #[error(
        "the compiler needs more than {} MiB of memory; simplify the module, or raise \
         `compile_memory`",
        limit >> 20
    )]
    OutOfMemory {
        /// The limit in bytes.
        limit: u64,
    },
    /// Its native code is longer than the host loads.
    #[error("the module's native code is longer than {} MiB; split the module", limit >> 20)]
    TooMuchCode {
        /// The limit in bytes.
        limit: usize,
    },
    /// The compiler process was killed from outside.
    #[error(
        "the compiler process was killed, perhaps because the machine has no memory left; try \
         again, or lower `compile_memory`"
    )]
    Killed,
    /// The compiler process failed by itself.
    #[error("the compiler process failed ({how}): {said}; please report this, with the module")]
    Crashed {
        /// How it ended.
        how: String,
        /// The start of what it wrote to standard error, as one line.
        said: String,
    },
    /// The system gives the compiler too few threads.
    #[error(
        "the system refuses the compiler its threads ({reason}); raise the limit (`ulimit -u`, \
         `pids.max` of the control group, `TasksMax` of the service)"
    )]
    Threads {
        /// What the system said.
        reason: String,
    },
    /// The compiler process can't be started, or not be talked to.
    #[error(
        "the compiler process can't be run as {}: {reason}; name a program of this version, or \
         compile in the host's process",
        program.display()
    )]
    Unavailable {
        /// The program.
        program: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl From<Unmountable> for DeployError {
    fn from(error: Unmountable) -> Self {
        match error {
            Unmountable::Path { path, reason } => Self::MountPath { path, reason },
            Unmountable::Folder { path, folder, source } => {
                Self::MountFolder { path, folder, source }
            }
        }
    }
}
