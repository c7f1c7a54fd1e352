//! The runtime: deployed functions by name, and their invocation.
//!
//! # Layout
//! - [`Runtime`]: what an embedder holds; [`builder`]: its settings.
//! - [`invoke`]: one invocation, from its admission to its end.
//! - [`in_flight`]: an invocation as its caller holds it; [`streaming_body`]: the
//!   rest of a response that has begun; [`usage`]: what it used.
//! - `response_budget`: whole responses that clients have not taken yet.
//! - [`listing`]: the list of invocations in flight.
//! - [`calls`]: calls between functions; [`host_functions`]: the embedder's own
//!   code, which functions call like a function.
//! - [`handle`]: functions that are reached by a handle alone.

pub(crate) mod builder;
mod calls;
mod handle;
mod host_functions;
mod in_flight;
mod invoke;
pub(crate) mod listing;
#[cfg(feature = "server")]
pub(crate) mod response_budget;
mod streaming_body;
mod usage;

use std::sync::{Arc, RwLock, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

pub use self::builder::RuntimeBuilder;
pub use self::handle::FunctionHandle;
use self::host_functions::Catalogue;
#[cfg(feature = "server")]
pub(crate) use self::in_flight::{Call, Caller, InFlight};
use self::listing::{InvocationInfo, Listing};
pub use self::usage::FinalUsage;
use crate::admission::Admission;
use crate::context::{Cancel, Cause, Context};
use crate::engine::Engine;
use crate::error::DeployError;
#[cfg(feature = "server")]
use crate::function::FunctionInfo;
use crate::function::{
    DeployContext, Deployed, Evictor, Function, IdleStats, InstanceReuse, Registry,
};
use crate::guest::{Dispatcher, Linkers};
#[cfg(feature = "server")]
use crate::telemetry::FrontCounters;
#[cfg(feature = "server")]
use crate::telemetry::recorder::Recorder;
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
    /// The host functions.
    provided: Catalogue,
    admission: Arc<Admission>,
    listing: Listing,
    /// The number of callers that an invocation may have above it.
    max_depth: u32,
    /// The tokio runtime for calls that take longer, if one is configured.
    tasks: RwLock<Option<Handle>>,
    evictor: Evictor,
    telemetry: Telemetry,
    /// The root of the contexts that [`Runtime::shutdown`] cancels.
    root: Context,
    end: Cancel,
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

    /// Deploys a function under its name, and replaces the function that had
    /// it. Invocations of the replaced function run to their end, and its idle
    /// instances end with it. Returns how the function gets its fresh
    /// instances.
    ///
    /// This compiles, which can take seconds of processor time on all cores:
    /// call it from a thread that may block.
    ///
    /// # Errors
    /// [`DeployError`] says why the module can't be deployed here. The replaced
    /// function then stays.
    pub fn deploy(&self, function: Function) -> Result<InstanceReuse, DeployError> {
        let mut deployed = self.make_ready(&function)?;
        deployed.counters = self.0.telemetry.list(&deployed.counters);
        let reuse = deployed.reuse.clone();
        self.0.functions.insert(deployed);
        Ok(reuse)
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

    /// Removes the function of that name, and returns whether there was one.
    /// Further invocations are [`Outcome::NotFound`](crate::Outcome::NotFound).
    /// Invocations in flight run to their end; its idle instances end at once.
    /// Its code is freed with the last of them, unless another function has the
    /// same module.
    pub fn remove(&self, name: &str) -> bool {
        let Shared { functions, provided, telemetry, .. } = &*self.0;
        let removed = functions.remove(name);
        // A host function of that name has the same counters.
        if removed && provided.find(name).is_none() {
            telemetry.remove(name);
        }
        removed
    }

    /// The names of the deployed functions, sorted.
    pub fn functions(&self) -> Vec<Arc<str>> {
        self.0.functions.names()
    }

    /// How the function of that name gets its fresh instances; `None` if there
    /// is no such function.
    pub fn instance_reuse(&self, name: &str) -> Option<InstanceReuse> {
        Some(self.0.functions.find(name)?.reuse.clone())
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
        Some(self.0.functions.find(name)?.info.clone())
    }

    /// The host functions with their timeouts, sorted by name.
    #[cfg(feature = "server")]
    pub(crate) fn host_functions(&self) -> Vec<(Arc<str>, Duration)> {
        self.0.provided.list()
    }

    /// The counters of the front.
    #[cfg(feature = "server")]
    pub(crate) fn front(&self) -> &FrontCounters {
        &self.0.telemetry.front
    }

    /// Whether [`shutdown`](Self::shutdown) was called, so that no invocation
    /// is accepted.
    pub fn is_draining(&self) -> bool {
        self.0.admission.is_closed()
    }

    /// The most invocations in flight at once, and the reason.
    pub fn capacity(&self) -> Capacity {
        self.0.capacity
    }

    /// Shuts the runtime down. From now on every invocation is
    /// [`Outcome::Draining`](crate::Outcome::Draining). Invocations in flight
    /// have until `drain` is over. Then everything under
    /// [`context`](Self::context) is canceled with [`Cause::Shutdown`]. Returns
    /// the number of canceled invocations, once nothing is in flight and the
    /// [usage ledger](RuntimeBuilder::usage_dir) is written.
    ///
    /// Invocations with a context that was not derived from
    /// [`context`](Self::context) are waited for, not canceled.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the runtime closed. Call it again to
    /// continue.
    pub async fn shutdown(&self, drain: Duration) -> usize {
        let admission = &self.0.admission;
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
