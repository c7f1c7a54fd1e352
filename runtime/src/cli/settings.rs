//! The settings of the program. Those of a function are its [`Limits`] and
//! [`InstanceSettings`].
//!
//! A setting of the program is a flag and a variable. All but those of
//! [`CodeCacheSettings`], [`AccessLogSettings`] and [`OtlpSettings`] are also keys
//! of `hourglass.toml`.

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::compile;
use crate::function::{Function, InstancePolicy};
use crate::http::{self, header_limits};
use crate::jobs::{JobPolicy, StoreLimits};
use crate::limits::Limits;
use crate::otlp::{self, Protocol};
use crate::runtime::builder;
use crate::schema::{
    Address, Choice, Count, FilePath, Partial, Period, Share, Size, Switch, UrlPath, WebUrl,
    settings,
};

settings! {
    /// The server and its capacity.
    #[derive(Clone, Debug)]
    pub(crate) struct ServerSettings {
        /// The address to listen on; port 0 picks a free port.
        pub(crate) listen: String = "127.0.0.1:8080".to_owned(), Address;
        /// Time that the server serves as before after a signal to stop, while
        /// `readyz` is 503.
        pub(crate) drain_delay: Duration = Duration::ZERO, Period::ANY;
        /// Time that connections and invocations may continue after that.
        pub(crate) drain: Duration = http::DRAIN, Period::ANY;
        /// The most invocations in flight; one more is answered with 503.
        pub(crate) max_in_flight: Option<u32> = None, Count::POSITIVE,
            "1000, or what the machine allows";
        /// The most callers of a function, one above the other.
        pub(crate) max_depth: u32 = builder::MAX_DEPTH, Count::ANY;
        /// The share of the free capacity that the calls of one request may
        /// take; calls beyond it wait.
        pub(crate) call_share: f64 = builder::CALL_SHARE, Share::POSITIVE;
        /// The most memory of idle instances; with 0 none is kept.
        pub(crate) idle_memory: u64 = builder::IDLE_MEMORY, Size::ANY;
        /// The most versions of a function that are retained for a rollback,
        /// besides those that serve.
        pub(crate) retained_versions: u32 = builder::RETAINED_VERSIONS as u32, Count::ANY;
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
    /// The queue of jobs.
    #[derive(Clone, Debug)]
    pub(crate) struct JobsSettings {
        /// The directory of jobs. Clients submit them with `POST
        /// /-/async/FUNCTION`, if `async` is set for the function. Each host needs
        /// one of its own.
        pub(crate) jobs: Option<PathBuf> = None, FilePath("DIR"), "none";
        /// The most stored jobs; one more is answered with 507.
        pub(crate) jobs_count: u32 = StoreLimits::JOBS as u32, Count::POSITIVE;
        /// The size of stored jobs; one more is answered with 507. The results of
        /// jobs may take as much again.
        pub(crate) jobs_size: u64 = StoreLimits::BYTES, Size::POSITIVE;
        /// The most jobs that run at once.
        pub(crate) jobs_in_flight: Option<u32> = None, Count::POSITIVE,
            "half of `max_in_flight`";
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
        pub(crate) access_log_sample: f64 = 1.0, Share::ANY;
    }
}

settings! {
    /// The export of traces and logs. The file can't set it: what requests
    /// contain would be sent to any host, and the file may be part of a project
    /// that is not trusted.
    #[derive(Clone, Debug)]
    pub(crate) struct OtlpSettings {
        /// The URL of the collector that gets traces and the log by OTLP.
        pub(crate) otlp: Option<String> = None, WebUrl, "none";
        /// The protocol of the collector.
        pub(crate) otlp_protocol: Protocol = Protocol::Grpc,
            Choice(&[("grpc", Protocol::Grpc), ("http", Protocol::Http)]);
        /// The share of the traces that is exported, if a request does not
        /// bring a decision; requests that fail or are slow always are.
        pub(crate) otlp_sample: f64 = 1.0, Share::ANY;
        /// The duration from which on a request is slow.
        pub(crate) otlp_slow: Duration = otlp::SLOW, Period::POSITIVE;
        /// Whether the log is exported too.
        pub(crate) otlp_logs: bool = true, Switch;
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

settings! {
    /// The jobs of a function.
    #[derive(Clone, Debug)]
    pub(crate) struct JobSettings {
        /// The most attempts of a job after its first one.
        pub(crate) job_retries: u32 = JobPolicy::RETRIES, Count::ANY;
        /// The longest delay before the first of them; it doubles with each.
        pub(crate) job_backoff: Duration = JobPolicy::BACKOFF, Period::POSITIVE;
        /// The longest delay before any of them.
        pub(crate) job_backoff_max: Duration = JobPolicy::LONGEST_BACKOFF, Period::POSITIVE;
        /// The timeout of an attempt, in addition to that of the function.
        pub(crate) job_attempt_timeout: Option<Duration> = None, Period::POSITIVE, "`timeout`";
        /// Time from the submission of a job until the end of its last attempt.
        pub(crate) job_deadline: Duration = JobPolicy::DEADLINE, Period::POSITIVE;
        /// Time that a job is kept with its result after it has succeeded or was
        /// canceled.
        pub(crate) job_keep: Duration = JobPolicy::KEEP, Period::POSITIVE;
        /// Time that a job is kept after it has failed.
        pub(crate) job_keep_failed: Duration = JobPolicy::KEEP_FAILED, Period::POSITIVE;
        /// The longest body of a response that is kept; a job with a longer one
        /// fails.
        pub(crate) job_response: u64 = JobPolicy::RESPONSE, Size::POSITIVE;
    }
}

/// The settings of a function: its limits, its instances and its jobs.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "For every function (over what hourglass.toml says)")]
pub(crate) struct FunctionOptions {
    #[command(flatten)]
    pub(crate) limits: Partial<Limits>,
    #[command(flatten)]
    pub(crate) instances: Partial<InstanceSettings>,
    #[command(flatten)]
    pub(crate) jobs: Partial<JobSettings>,
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
