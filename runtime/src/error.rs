//! The library's errors: what went wrong, where, and what to do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

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
        /// What the system said.
        source: io::Error,
    },
    /// The Wasm engine could not be made.
    #[error("the engine could not be made: {0}")]
    Engine(String),
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
