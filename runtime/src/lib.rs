//! Hourglass runs untrusted functions as WebAssembly instances, each on a
//! deadline:
//!
//! > Every invocation ends on time, and everything it started ends with it.
//!
//! A [`Runtime`] holds [`Function`]s. [`Runtime::invoke`] runs one in a fresh
//! instance under a [`Context`] with the semantics of Go's: a deadline, a
//! cancellation with a [`Cause`] and request-scoped values flow from the caller
//! down to everything done on its behalf.
//!
//! # Layout
//! Each module imports only modules below it:
//!
//! - `main`, [`cli`]: the program.
//! - [`http`]: the HTTP front and the admin listener.
//! - `batch`: jobs and results as lines of JSON.
//! - [`jobs`]: asynchronous invocations, stored durably.
//! - `tasks`: many invocations under one context.
//! - [`runtime`](Runtime): deployed functions, invocations in flight.
//! - `invocation`: the race of a guest against its context.
//! - `function`: a module made ready, and its pool of idle instances.
//! - `guest`: the host imports.
//! - `engine`: wasmtime; `outbound`: the HTTP client for functions; `log`: log
//!   records.
//! - `admission`: capacity and call trees; `propagation`: contexts in headers;
//!   `error`: the errors of the public API; `telemetry`: metrics.
//! - `body`: requests and responses; `mounts`: files of a function; `outcome`:
//!   how an invocation ended.
//! - [`context`]: deadlines, cancellation, values; `limits`; `environment`: the
//!   variables of a function; `escape`: untrusted text; `cores`: per-core data;
//!   `spawn`: tasks and threads; `sync`: locks.
//! - `schema`: how settings are declared.
//!
//! # The path of a request
//! What a request over HTTP crosses, in order:
//!
//! 1. `http::server` accepts the connection, and `http::workers` picks the thread
//!    that serves it.
//! 2. `http::connection` detects the protocol and hands each request to
//!    `http::request`: refusal, request id, route, context.
//! 3. `runtime::in_flight` starts the invocation. What it returns is both the
//!    future of the response and the guard that cancels the invocation when the
//!    client leaves.
//! 4. `runtime::invoke` admits it (`admission`) and gives it an instance
//!    (`function`).
//! 5. `invocation` races the guest against its context. Its host calls are in
//!    `guest`.
//! 6. `function` resets the instance for the next invocation, or discards it.
//! 7. `runtime::in_flight` holds the response in the front's budget and logs the
//!    result; `http::request` maps it to a response, or to a problem document.
//!
//! # Features
//! - `server`: HTTP: the front, and the client for functions.
//! - `cli` (default): the program, and with it `server`.
//!
//! An embedder that needs only [`Runtime::invoke`] sets
//! `default-features = false` and compiles neither.

mod admission;
mod body;
pub mod context;
mod cores;
mod engine;
mod environment;
mod error;
mod escape;
mod function;
mod guest;
mod invocation;
mod limits;
mod log;
mod mounts;
mod outcome;
mod propagation;
mod runtime;
mod schema;
mod spawn;
mod sync;
mod tasks;
mod telemetry;

#[cfg(feature = "server")]
mod batch;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "jobs")]
pub mod jobs;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "server")]
mod outbound;

#[doc = include_str!("../../docs/isolation.md")]
pub mod isolation {}

pub use body::{Body, BodyError, CLIENT_ADDRESS, PRINCIPAL, REQUEST_ID, Request, Response};
pub use context::{AfterFunc, Cancel, Cause, Context, Done, Key};
pub use engine::compile::Compiler;
pub use error::{
    BuildError, CacheError, CompileError, DeployError, InvokeError, LedgerError, VersionError,
};
pub use function::{Function, IdleStats, InstancePolicy, InstanceReuse};
pub use limits::{Limits, mib};
pub use mounts::MountError;
pub use outcome::{Outcome, Trap, Usage};
pub use propagation::trace::{SpanId, TRACE, TRACE_STATE, Trace, TraceError, TraceId};
pub use runtime::listing::InvocationInfo;
pub use runtime::{Capacity, FinalUsage, FunctionHandle, Runtime, RuntimeBuilder, VersionInfo};
pub use tasks::{
    ATTEMPT, GroupClosed, GroupEnd, Policy, Results, Retry, Task, TaskGroup, TaskId, TaskResult,
    UnknownFailure,
};
pub use telemetry::{
    Exemplar, ExportMetrics, FunctionMetrics, Histogram, InstanceCounts, Metrics, OutcomeMetrics,
    UsageMetrics,
};

/// The pages about embedding: their code is tested with this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/embedding.md")]
    mod embedding {}
    #[doc = include_str!("../../docs/code-cache.md")]
    mod code_cache {}
    #[doc = include_str!("../../docs/batch.md")]
    mod batch {}
    #[doc = include_str!("../../docs/jobs.md")]
    mod jobs {}
}
