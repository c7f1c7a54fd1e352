//! The library's errors. Each says what went wrong, where, and what to do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::escape::OneLine;
use crate::limits::bytes;
use crate::mounts::MountError;
use crate::outcome::{Outcome, Usage};

/// [`Runtime::invoke`](crate::Runtime::invoke) returned no response.
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

    /// An error for an invocation that never ran its guest.
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

    /// The usage of the invocation until then. All zero if no guest ran.
    pub fn usage(&self) -> Usage {
        self.0.usage
    }
}

/// [`RuntimeBuilder::build`](crate::RuntimeBuilder::build) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The requested number of invocations in flight exceeds the machine's
    /// limits.
    #[error(
        "{asked} invocations in flight need more memory mappings than this machine allows: \
         vm.max_map_count = {max_map_count} is enough for {allowed}; ask for fewer, or raise it \
         with `sysctl -w vm.max_map_count={needed}`"
    )]
    TooManyInFlight {
        /// The requested number.
        asked: usize,
        /// The number that the machine allows.
        allowed: usize,
        /// The machine's `vm.max_map_count`.
        max_map_count: usize,
        /// The `vm.max_map_count` that would be enough.
        needed: usize,
    },
    /// The directory for compiled code can't be used.
    #[error("the cache directory {} can't be used", OneLine(dir.display()))]
    Cache {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with the directory, or with its key.
        source: CacheError,
    },
    /// The usage ledger can't be opened.
    #[error("the usage ledger can't be opened")]
    Usage(#[source] LedgerError),
    /// The system gives the process too few threads.
    #[error(
        "the system refuses threads; raise the limit (`ulimit -u`, `pids.max` of the control \
         group, `TasksMax` of the service)"
    )]
    Threads(#[source] io::Error),
    /// The Wasm engine could not be created.
    #[error("the engine could not be made: {0}")]
    Engine(String),
}

/// A [usage ledger](crate::RuntimeBuilder::usage_dir) can't be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The system refuses access.
    #[error("{}: {source}", OneLine(path.display()))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another host writes to it.
    #[error(
        "{} is in use by another host{}; give each host a directory of its own",
        OneLine(dir.display()),
        pid.map(|pid| format!(", process {pid}")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// That host's process, if it is known.
        pid: Option<u32>,
    },
    /// The directory has no files of a ledger.
    #[error(
        "{} is no usage ledger: it has no file `usage-*.log`; name the directory that the host has as \
         `usage`",
        OneLine(dir.display())
    )]
    NotALedger {
        /// The directory.
        dir: PathBuf,
    },
}

/// The code cache, or a file of it, can't be used. Its directory, its key and
/// its files must belong to the effective user, and other users must not be
/// able to change them, because their content is executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The system refuses access.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is of the wrong type, or the cache did not write its content.
    #[error("{} {problem}", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// What it is, and what to do.
        problem: &'static str,
    },
    /// The file or directory belongs to another user.
    #[error(
        "{} belongs to user {owner}, and this process runs as user {user}; remove it, or name \
         another directory",
        path.display()
    )]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// The id of its owner.
        owner: u32,
        /// The effective user of this process.
        user: u32,
    },
    /// Other users have permissions that they must not have.
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
        /// The required change of the mode, as an argument of `chmod`.
        remove: &'static str,
    },
    /// There is no directory for the key.
    #[error(
        "there is no directory for the key of the code cache: neither XDG_STATE_HOME nor HOME is \
         an absolute path; set one, or name a `state_dir`"
    )]
    NoStateDirectory,
    /// The key would be in the cache directory.
    #[error(
        "{} is both the cache and the state directory; name two, so that the key is not kept with \
         the files that it vouches for",
        .0.display()
    )]
    SameDirectory(PathBuf),
}

/// A function can't be deployed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The file can't be read.
    #[error("{} can't be read", OneLine(path.display()))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The name is not valid for a function.
    #[error(
        "`{}` can't be a function's name: use 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`, \
         not a `.` in front",
        OneLine(.0)
    )]
    Name(String),
    /// An entry of the allowed hosts is invalid. The text says which, what is wrong
    /// with it, and the correct notation.
    #[error("{}", OneLine(.0))]
    AllowHosts(String),
    /// A value's name can't be used in baggage.
    #[error(
        "the value `{}` can't go along as baggage: a name has letters, digits and some of !#$%&'*+-.^_`|~",
        OneLine(.0)
    )]
    Baggage(String),
    /// A setting or a secret is invalid. The error does not contain its value.
    #[error("`{}` can't be a setting: {reason}", OneLine(name))]
    Setting {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A folder can't be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The module has more functions than the host compiles.
    #[error(
        "the module has {count} functions, the limit is {limit}; build it with optimization or \
         split it, or raise `max_functions`"
    )]
    TooManyFunctions {
        /// The number of functions.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// The module, or a section other than that of functions, is longer than the
    /// host accepts.
    #[error("the module has {count} {what}, the limit is {limit}; split it")]
    TooManyEntries {
        /// What is counted.
        what: &'static str,
        /// The number.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// The module's data is scattered, or at computed addresses, so that
    /// instances can't share it.
    #[error(
        "the module has {bytes} bytes of data that would be copied for every instance, the limit \
         is {limit}: give its data segments constant addresses that are close to each other, or \
         read the data from a folder"
    )]
    ScatteredData {
        /// The bytes of data.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is not a WebAssembly module. The text says what is wrong with it.
    #[error(
        "this is not a core WebAssembly module ({}); build it with \
         `cargo build --release --target wasm32-wasip1`",
        OneLine(.0)
    )]
    NotWasm(String),
    /// The module lacks an export that the host calls.
    #[error(
        "the module does not export {0}; build a program (a crate with `fn main`), not a library"
    )]
    MissingExport(&'static str),
    /// The module exports a name that is reserved for the host.
    #[error(
        "the module exports `{}`, but names that begin with `hourglass:` are the host's own; rename it",
        OneLine(.0)
    )]
    PrivateExport(String),
    /// The module uses another version of the context ABI.
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
    /// The module imports something that the host does not offer.
    #[error(
        "the module imports `{}::{}`, which this host does not offer; build the module without it \
         (docs/guest-interface.md lists what it can import)",
        OneLine(module),
        OneLine(name)
    )]
    UnknownImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// The module's memory is initially larger than its limit.
    #[error(
        "the module's memory starts with {needed}, and its limit is {}; raise `memory` to at least \
         {needed}",
        bytes::shown(*limit),
        needed = bytes::shown(*needed)
    )]
    Memory {
        /// The initial size in bytes.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// The canary of a function would be the version that serves already.
    #[error("the module is the version of `{function}` that serves; a canary needs another module")]
    SameVersion {
        /// The function.
        function: String,
    },
    /// The module can't be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The engine refused to instantiate the module. The text is the engine's
    /// error.
    #[error("the module can't be made ready: {}", OneLine(.0))]
    Instantiate(String),
}

/// No version of a function can be served as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// No function has the name.
    #[error("no function `{}` is deployed", OneLine(function))]
    NotDeployed {
        /// The name.
        function: String,
    },
    /// The version is not retained.
    #[error(
        "the version {} of `{function}` is not retained; deploy its module again",
        OneLine(version)
    )]
    NotRetained {
        /// The function.
        function: String,
        /// The version.
        version: String,
    },
    /// No version that served before is retained.
    #[error(
        "no version of `{function}` that served before is retained; name a retained version, or          deploy a module"
    )]
    NoEarlier {
        /// The function.
        function: String,
    },
    /// The function has no canary.
    #[error("`{function}` has no canary; deploy a module with a weight first")]
    NoCanary {
        /// The function.
        function: String,
    },
}

/// A module could not be compiled to native code.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The compiler refused the module. The text is the compiler's error.
    #[error("the module can't be compiled: {}", OneLine(.0))]
    Invalid(String),
    /// Compiling took too long. See
    /// [`Compiler::timeout`](crate::Compiler::timeout).
    #[error(
        "the compiler was stopped after {0:?}; simplify the module, or raise `compile_timeout`"
    )]
    TimedOut(Duration),
    /// Compiling took too much memory. See
    /// [`Compiler::memory`](crate::Compiler::memory). The limit is in bytes.
    #[error(
        "the compiler needs more than {} MiB of memory; simplify the module, or raise \
         `compile_memory`",
        .0 >> 20
    )]
    OutOfMemory(u64),
    /// The native code is longer than the host loads. The limit is in
    /// bytes.
    #[error("the module's native code is longer than {} MiB; split the module", .0 >> 20)]
    TooMuchCode(usize),
    /// The compiler process was killed from outside.
    #[error(
        "the compiler process was killed, perhaps because the machine has no memory left; try \
         again, or lower `compile_memory`"
    )]
    Killed,
    /// The compiler process failed on its own.
    #[error("the compiler process failed ({how}): {said}; please report this, with the module")]
    Crashed {
        /// How it ended.
        how: String,
        /// The start of what it wrote to standard error, as one line.
        said: String,
    },
    /// The system gives the compiler too few threads.
    #[error(
        "the system refuses the compiler its threads ({0}); raise the limit (`ulimit -u`, \
         `pids.max` of the control group, `TasksMax` of the service)"
    )]
    Threads(String),
    /// The compiler process can't be started, or communication with it fails.
    #[error(
        "the compiler process can't be run as {}: {reason}; name a program of this version, or \
         compile in the host's process",
        program.display()
    )]
    Unavailable {
        /// The program.
        program: PathBuf,
        /// The system's error.
        reason: String,
    },
}
