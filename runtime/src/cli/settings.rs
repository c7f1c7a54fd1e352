//! The settings of the program. Those of a function are its [`Limits`] and
//! [`InstanceSettings`].
//!
//! A setting of the program is a flag and a variable. All but those of
//! [`CodeCacheSettings`] and [`AccessLogSettings`] are also keys of
//! `hourglass.toml`.

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::compile;
use crate::function::{Function, InstancePolicy};
use crate::http::{self, header_limits};
use crate::limits::Limits;
use crate::runtime::builder;
use crate::schema::{
    Address, Choice, Count, FilePath, Partial, Period, Share, Size, Switch, UrlPath, settings,
};

settings! {
    /// The server and its capacity.
    #[derive(Clone, Debug)]
    pub(crate) struct ServerSettings {
        /// The address to listen on; port 0 picks a free port.
        pub(crate) listen: String = "127.0.0.1:8080".to_owned(), Address;
        /// Time that invocations may continue after a signal to stop.
        pub(crate) drain: Duration = http::DRAIN, Period::ANY;
        /// The most invocations in flight; one more is answered with 503.
        pub(crate) max_in_flight: Option<u32> = None, Count::POSITIVE,
            "1000, or what the machine allows";
        /// The most callers of a function, one above the other.
        pub(crate) max_depth: u32 = builder::MAX_DEPTH, Count::ANY;
        /// The share of the free capacity that the calls of one request may
        /// take; calls beyond it wait.
        pub(crate) call_share: f64 = builder::CALL_SHARE, Share;
        /// The most memory of idle instances; with 0 none is kept.
        pub(crate) idle_memory: u64 = builder::IDLE_MEMORY, Size::ANY;
        /// Whether `/` lists the public functions if no route matches it.
        pub(crate) listing: bool = true, Switch;
        /// The path below which clients find `livez` and `readyz`; no function
        /// gets requests for these two.
        pub(crate) health: Option<String> = None, UrlPath, "none";
        /// The address to listen on for operators: the dashboard, health,
        /// metrics, and what `hourglass top`, `ps` and `cancel` ask for.
        pub(crate) admin: Option<String> = None, Address, "none";
    }
}

settings! {
    /// The usage ledger.
    #[derive(Clone, Debug)]
    pub(crate) struct UsageSettings {
        /// The directory of the usage ledger, which `hourglass usage` sums: a
        /// record of each invocation. Each host needs one of its own.
        pub(crate) usage: Option<PathBuf> = None, FilePath("DIR"), "none";
        /// The size of the usage ledger; the oldest records are removed, and
        /// their sum stays.
        pub(crate) usage_size: u64 = builder::USAGE_SIZE,
            Size::within(builder::LEAST_USAGE_SIZE, u64::MAX);
        /// The age at which records of the usage ledger are removed.
        pub(crate) usage_age: Duration = builder::USAGE_AGE, Period::POSITIVE;
    }
}

settings! {
    /// Connections of clients.
    #[derive(Clone, Debug)]
    pub(crate) struct ClientSettings {
        /// The server's certificate chain, a PEM file. Clients then connect by
        /// https:// only. A changed file is read again.
        pub(crate) tls_cert: Option<PathBuf> = None, FilePath("FILE"), "none";
        /// The private key of that certificate, a PEM file without a password.
        pub(crate) tls_key: Option<PathBuf> = None, FilePath("FILE"), "none";
        /// Time for a request's head, for a handshake, and for an idle
        /// connection.
        pub(crate) head_timeout: Duration = http::STALL_TIMEOUT, Period::POSITIVE;
        /// The longest pause of a client in a body that it sends or receives.
        pub(crate) body_idle: Duration = http::STALL_TIMEOUT, Period::POSITIVE;
        /// The least bytes per second of a body that a client sends or
        /// receives, on average; 0 for no limit.
        pub(crate) body_rate: u64 = 0, Size::ANY;
        /// The most memory of buffered responses that clients have not received
        /// yet; one more response is answered with 503.
        pub(crate) response_memory: u64 = http::RESPONSE_MEMORY, Size::POSITIVE;
        /// The longest head of a request, also for operators; a longer one is
        /// answered with 431.
        pub(crate) header_bytes: u64 = header_limits::DEFAULT.bytes as u64,
            Size::within(*header_limits::BYTES.start() as u64, *header_limits::BYTES.end() as u64);
        /// The most header fields of a request, also for operators; one with
        /// more is answered with 431.
        pub(crate) header_count: u32 = header_limits::DEFAULT.count as u32,
            Count::within(*header_limits::COUNT.start() as u32, *header_limits::COUNT.end() as u32);
    }
}

settings! {
    /// The compiler.
    #[derive(Clone, Debug)]
    pub(crate) struct CompilerSettings {
        /// The most time to compile a module.
        pub(crate) compile_timeout: Duration = compile::TIMEOUT, Period::POSITIVE;
        /// The most memory of the compiler for a module.
        pub(crate) compile_memory: u64 = compile::MEMORY, Size::POSITIVE;
        /// The most functions in a module.
        pub(crate) max_functions: u32 = builder::MAX_FUNCTIONS, Count::POSITIVE;
    }
}

settings! {
    /// The code cache. The file can't set it: native code from the cache is
    /// run, and the file may be part of a project that is not trusted.
    #[derive(Clone, Debug)]
    pub(crate) struct CodeCacheSettings {
        /// The directory of compiled code; with it a second start compiles
        /// nothing.
        pub(crate) cache: Option<PathBuf> = None, FilePath("DIR"),
            "hourglass in $XDG_CACHE_HOME or ~/.cache";
        /// The size of the cache; the least recently used code is removed.
        pub(crate) cache_size: u64 = builder::CACHE_SIZE, Size::ANY;
        /// The directory of the cache's key, outside of the cache.
        pub(crate) state_dir: Option<PathBuf> = None, FilePath("DIR"),
            "hourglass in $XDG_STATE_HOME or ~/.local/state";
    }
}

settings! {
    /// The access log. The file can't set it: the log is written to any path,
    /// and the file may be part of a project that is not trusted.
    #[derive(Clone, Debug)]
    pub(crate) struct AccessLogSettings {
        /// Where requests are logged: `off`, `stderr`, or a file, which is
        /// appended to.
        pub(crate) access_log: PathBuf = "stderr".into(), FilePath("DEST"), "stderr";
        /// How requests are logged.
        pub(crate) access_log_format: Option<AccessLogFormat> = None,
            Choice(&[
                ("text", AccessLogFormat::Text),
                ("json", AccessLogFormat::Json),
                ("compact", AccessLogFormat::Compact),
            ]),
            "that of the log; `up` is compact on a terminal";
        /// The share of the requests that is logged; those that fail always
        /// are.
        pub(crate) access_log_sample: f64 = 1.0, Share;
    }
}

/// How requests are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessLogFormat {
    Text,
    Json,
    Compact,
}

settings! {
    /// The instances of a function.
    #[derive(Clone, Debug)]
    pub(crate) struct InstanceSettings {
        /// Whether instances are reset in place where that is proven safe, or a
        /// new one is made for each invocation.
        pub(crate) instances: InstancePolicy = InstancePolicy::ResetInPlace,
            Choice(&[("reset", InstancePolicy::ResetInPlace), ("new", InstancePolicy::NewEachTime)]);
    }
}

/// The settings of a function: its limits and its instances.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "For every function (over what hourglass.toml says)")]
pub(crate) struct FunctionOptions {
    #[command(flatten)]
    pub(crate) limits: Partial<Limits>,
    #[command(flatten)]
    pub(crate) instances: Partial<InstanceSettings>,
}

impl FunctionOptions {
    /// Sets these on a function, those of `file` where they are not given, and
    /// else the defaults.
    pub(crate) fn apply(&self, file: &Self, function: Function) -> Function {
        let instances = self.instances.over(&file.instances).instances;
        function.limits(self.limits.over(&file.limits)).instances(instances)
    }
}

#[cfg(test)]
mod tests;
