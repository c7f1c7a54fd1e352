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
//! The way of an invocation is a straight line, and each module knows only
//! those below it:
//!
//! - `main`, [`cli`]: the program.
//! - [`http`]: the HTTP front.
//! - [`runtime`](Runtime): names, and the way in.
//! - `invocation`: the run, raced against its context.
//! - `function`: a module made ready.
//! - `abi`: what a guest sees of its host; the only reader of guest memory.
//! - `engine`: wasmtime, its pool, its epoch, its cache; `outbound`: a function's
//!   way out to other hosts; `admission`: whether an invocation may start, and
//!   what the calls of one request may take.
//! - `live`: what is in flight, for people to see and to end; `log`: what is
//!   logged of it when it has ended.
//! - `context`, `message`, `trace`, `headers`, `limits`, `bounds`, `environment`, `mounts`,
//!   `outcome`, `error`, `escape`, `room`, `pace`: below all of them, and `cores`, `task`: what each
//!   core has one of, and what takes longer.
//! - [`build`]: builds functions from source; knows none of the others.
//!
//! # Features
//! - `server`: HTTP: the front, and functions' way out.
//! - `cli` (default): the program, and with it `server` and `build`.
//!
//! An embedder who wants only [`Runtime::invoke`] sets
//! `default-features = false` and compiles neither.

mod abi;
mod admission;
mod bounds;
mod bulk;
pub mod context;
mod cores;
mod engine;
mod environment;
mod error;
mod escape;
mod function;
mod invocation;
mod limits;
mod live;
mod log;
mod message;
mod mounts;
mod outcome;
mod room;
mod runtime;
mod task;
mod trace;

#[cfg(feature = "cli")]
pub mod build;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "server")]
mod headers;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
mod outbound;
#[cfg(feature = "server")]
mod pace;

#[doc = include_str!("../ISOLATION.md")]
pub mod isolation {}

pub use context::{AfterFunc, Cancel, Cause, Context, Done, Key};
pub use engine::compile::Compiler;
pub use error::{BuildError, CacheError, CompileError, DeployError, InvokeError};
pub use function::{Fresh, Function, Instances, Kept};
pub use limits::{Limits, mib};
pub use live::InvocationInfo;
pub use message::{Body, BodyError, CLIENT_ADDRESS, PRINCIPAL, REQUEST_ID, Request, Response};
pub use outcome::{Outcome, Trap, Usage};
pub use runtime::{Capacity, FinalUsage, FunctionHandle, Runtime, RuntimeBuilder};
pub use trace::{SpanId, TRACE, TRACE_STATE, Trace, TraceError, TraceId};
