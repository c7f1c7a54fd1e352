//! The runtime: deployed functions by name, and their invocation.
//!
//! # Layout
//! - [`Runtime`]: what an embedder holds; [`builder`]: its settings.
//! - [`invoke`]: one invocation, from its admission to its end.
//! - [`in_flight`]: an invocation as its caller holds it; [`streaming_body`]: the
//!   rest of a response that has begun; [`usage`]: what it used.
//! - `response_budget`: whole responses that clients have not taken yet.
//! - [`listing`]: the list of invocations in flight.
//! - [`versions`]: deploys, and the versions that are retained; [`history`]: those
//!   of one function.
//! - [`calls`]: calls between functions; [`host_functions`]: the embedder's own
//!   code, which functions call like a function.
//! - [`handle`]: functions that are reached by a handle alone.
//! - `jobs`: what the queue of jobs needs; `queue`: how functions reach it.

pub(crate) mod builder;
mod calls;
mod handle;
mod history;
mod host_functions;
mod in_flight;
mod invoke;
#[cfg(feature = "jobs")]
mod jobs;
pub(crate) mod listing;
pub(crate) mod queue;
#[cfg(feature = "server")]
pub(crate) mod response_budget;
mod streaming_body;
mod usage;
mod versions;

use std::sync::{Arc, RwLock, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

pub use self::builder::RuntimeBuilder;
pub use self::handle::FunctionHandle;
#[cfg(feature = "server")]
pub(crate) use self::history::ALL;
use self::host_functions::Catalogue;
#[cfg(feature = "server")]
pub(crate) use self::in_flight::{Call, Caller, InFlight};
pub(crate) use self::invoke::CallInfo;
use self::listing::{InvocationInfo, Listing};
use self::queue::QueueSlot;
pub use self::usage::FinalUsage;
pub use self::versions::VersionInfo;
use self::versions::Versions;
#[cfg(feature = "cli")]
pub(crate) use self::versions::{Leftovers, Ready};
use crate::admission::Admission;
use crate::context::{Cancel, Cause, Context};
use crate::engine::Engine;
use crate::error::DeployError;
#[cfg(feature = "server")]
use crate::error::InvokeError;
#[cfg(feature = "server")]
use crate::function::FunctionInfo;
use crate::function::{
    DeployContext, Deployed, Evictor, Function, IdleStats, InstanceReuse, Registry,
};
use crate::guest::{Dispatcher, Linkers};
#[cfg(feature = "server")]
use crate::telemetry::recorder::{Recorder, RequestSpan};
#[cfg(feature = "server")]
use crate::telemetry::{FrontCounters, Start, exports::Exports};
use crate::telemetry::{Metrics, Telemetry};

/// Runs functions. Cheap to clone; the clones are one runtime.
///
/// ```no_run
/// use std::time::Duration;
/// use hourglass::{Context, Function, Runtime};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder().max_in_flight(1_000).build()?;
/// runtime.deploy(Function::from_file("hello", "hello.wasm")?)?;
///
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(200));
/// let response = runtime.invoke(&ctx, "hello", http::Request::new("body")).await?;
/// println!("{}", response.status());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Runtime(Arc<Shared>);

/// The state that all clones of a runtime share.
pub(crate) struct Shared {
    engine: Arc<Engine>,
    linkers: Linkers,
    functions: Registry,
    versions: Versions,
    /// The host functions.
    provided: Catalogue,
    admission: Arc<Admission>,
    listing: Listing,
    /// The number of callers that an invocation may have above it.
    max_depth: u32,
    /// The tokio runtime for calls that take longer, if one is configured.
    tasks: RwLock<Option<Handle>>,
    /// The queue of jobs that functions may submit to.
    queue: QueueSlot,
    evictor: Evictor,
    telemetry: Telemetry,
    /// The root of the contexts that [`Runtime::shutdown`] cancels.
    root: Context,
    end: Cancel,
    /// Done once the shutdown is announced.
    draining: Context,
    drain: Cancel,
    capacity: Capacity,
}

/// The most invocations in flight at once, and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capacity {
    /// The limit in force.
    pub in_flight: usize,
    /// The most that this machine's `vm.max_map_count` allows.
    pub allowed: usize,
    /// The machine's `vm.max_map_count`.
    pub max_map_count: usize,
}

impl Runtime {
    /// Starts to build a runtime; [`RuntimeBuilder`] lists the defaults.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::new()
    }

    /// Checks whether a function would deploy, without deploying it, and
    /// returns how it would get its fresh instances. It compiles as
    /// [`deploy`](Self::deploy) does.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub fn check(&self, function: &Function) -> Result<InstanceReuse, DeployError> {
        Ok(self.make_ready(function)?.reuse)
    }

    /// The names of the deployed functions, sorted.
    pub fn functions(&self) -> Vec<Arc<str>> {
        self.0.functions.names()
    }

    /// Whether a function of that name is deployed.
    #[cfg(feature = "cli")]
    pub(crate) fn is_deployed(&self, name: &str) -> bool {
        self.0.functions.current(name).is_some()
    }

    /// How the function of that name gets its fresh instances; `None` if there
    /// is no such function.
    pub fn instance_reuse(&self, name: &str) -> Option<InstanceReuse> {
        Some(self.0.functions.current(name)?.reuse.clone())
    }

    /// The invocations in flight, sorted by id. An invocation younger than
    /// about a tick that has not had to wait is not listed yet.
    pub fn invocations(&self) -> Vec<InvocationInfo> {
        self.0.listing.list()
    }

    /// Cancels the invocation with that id and all invocations below it, at any
    /// depth. Their contexts are canceled with [`Cause::Operator`], and each
    /// has its grace period. Returns their number: 0 if there is no such
    /// invocation.
    pub fn cancel(&self, id: u64) -> usize {
        self.0.listing.cancel(id, &Cause::Operator)
    }

    /// The root context of the runtime. It is done with the cause
    /// [`Cause::Shutdown`] once [`shutdown`](Self::shutdown) has waited long
    /// enough. A front derives its requests' contexts from it.
    pub fn context(&self) -> &Context {
        &self.0.root
    }

    /// The number of invocations in flight.
    pub fn in_flight(&self) -> usize {
        self.0.admission.in_flight()
    }

    /// The idle instances and their memory.
    pub fn idle_stats(&self) -> IdleStats {
        self.0.evictor.idle_stats()
    }

    /// The metrics since the runtime was built: the same that
    /// [`Admin`](crate::http::Admin) serves at `/metrics`. It sums the counters
    /// of all cores, which takes some microseconds for each function, and counts
    /// contexts, which takes some 50 ns for each.
    pub fn metrics(&self) -> Metrics {
        let Shared { telemetry, engine, root, .. } = &*self.0;
        telemetry.snapshot(&engine.compile_counters, root.descendants())
    }

    /// The recordings of recent requests.
    #[cfg(feature = "server")]
    pub(crate) fn recorder(&self) -> &Recorder {
        &self.0.telemetry.recorder
    }

    /// What a deployed function is and may do.
    #[cfg(feature = "server")]
    pub(crate) fn function_info(&self, name: &str) -> Option<FunctionInfo> {
        Some(self.0.functions.current(name)?.info.clone())
    }

    /// The host functions with their timeouts, sorted by name.
    #[cfg(feature = "server")]
    pub(crate) fn host_functions(&self) -> Vec<(Arc<str>, Duration)> {
        self.0.provided.list()
    }

    /// The way to the exporter of traces, if there is one.
    #[cfg(feature = "server")]
    pub(crate) fn exports(&self) -> Option<&Exports> {
        self.0.telemetry.exports.as_deref()
    }

    /// Exports a request that led to no function.
    #[cfg(feature = "server")]
    pub(crate) fn export_refused(
        &self,
        ctx: &Context,
        error: &InvokeError,
        request: Option<Box<RequestSpan>>,
    ) {
        let name = &error.function().into();
        let start = Start::unknown(name, ctx, (None, None), request);
        self.0.telemetry.export_refused(start, error.outcome());
    }

    /// The counters of the front.
    #[cfg(feature = "server")]
    pub(crate) fn front(&self) -> &FrontCounters {
        &self.0.telemetry.front
    }

    /// Announces that the runtime will shut down:
    /// [`is_draining`](Self::is_draining) is true from now on. Invocations are
    /// accepted as before.
    pub fn announce_shutdown(&self) {
        self.0.drain.cancel_with(Cause::Shutdown);
    }

    /// Whether a shutdown was [announced](Self::announce_shutdown), or
    /// [`shutdown`](Self::shutdown) was called. `readyz` is then 503.
    pub fn is_draining(&self) -> bool {
        self.0.draining.err().is_some()
    }

    /// Waits until [`is_draining`](Self::is_draining) is true.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn draining(&self) {
        self.0.draining.done().await;
    }

    /// The most invocations in flight at once, and the reason.
    pub fn capacity(&self) -> Capacity {
        self.0.capacity
    }

    /// Shuts the runtime down. From now on every invocation is
    /// [`Outcome::Draining`](crate::Outcome::Draining). Invocations in flight
    /// have until `drain` is over, or until another call with a shorter drain
    /// ends it. Then everything under [`context`](Self::context) is canceled with
    /// [`Cause::Shutdown`]. Returns the number of canceled invocations, once
    /// nothing is in flight and the [usage ledger](RuntimeBuilder::usage_dir) is
    /// written.
    ///
    /// Invocations with a context that was not derived from
    /// [`context`](Self::context) are waited for, not canceled.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the runtime closed. Call it again to
    /// continue.
    pub async fn shutdown(&self, drain: Duration) -> usize {
        let Shared { admission, root, .. } = &*self.0;
        self.announce_shutdown();
        admission.close();
        let until = Instant::now().checked_add(drain);
        let over = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        let canceled = tokio::select! {
            biased;
            () = admission.idle() => 0,
            () = over => admission.in_flight(),
            // Another call has ended the drain.
            _ = root.done() => admission.in_flight(),
        };
        self.0.end.cancel_with(Cause::Shutdown);
        admission.idle().await;
        self.0.telemetry.close().await;
        canceled
    }

    fn make_ready(&self, function: &Function) -> Result<Deployed, DeployError> {
        let Shared { engine, linkers, evictor, .. } = &*self.0;
        let dispatcher: Weak<dyn Dispatcher> = Arc::downgrade(&self.0) as Weak<Shared>;
        Deployed::prepare(&DeployContext { engine, linkers, evictor, dispatcher }, function)
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("functions", &self.functions())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}
