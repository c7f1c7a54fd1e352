//! The runtime: functions under their names, and the way into them.
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
use crate::function::{Deployed, Fresh, Function, Keeper, Kept, Registry, Workshop};
use crate::guest::{Callees, Linkers};

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

/// What all clones of a runtime are.
pub(crate) struct Shared {
    engine: Arc<Engine>,
    linkers: Linkers,
    functions: Registry,
    /// What functions may call that is none.
    provided: Catalogue,
    admission: Arc<Admission>,
    listing: Listing,
    /// How many callers an invocation may have, one above the other.
    max_depth: u32,
    /// Where calls are run that take longer, where that is settled.
    tasks: RwLock<Option<Handle>>,
    keeper: Keeper,
    /// The parent of what [`Runtime::shutdown`] ends.
    root: Context,
    end: Cancel,
    capacity: Capacity,
}

/// How many invocations may be in flight at once, and why.
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
    /// Starts to make a runtime; [`RuntimeBuilder`] lists the defaults.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::new()
    }

    /// Makes a function ready under its name, in place of one that had it.
    /// Invocations of the former one run to their end, and its idle instances
    /// end with it. Returns where the function's fresh instances come from.
    ///
    /// This compiles, which can take seconds of processor time on all cores:
    /// call it from a thread that may block.
    ///
    /// # Errors
    /// [`DeployError`] says why the module can't be a function here. The
    /// former function then stays.
    pub fn deploy(&self, function: Function) -> Result<Fresh, DeployError> {
        let deployed = self.make_ready(&function)?;
        let fresh = deployed.fresh.clone();
        self.0.functions.insert(deployed);
        Ok(fresh)
    }

    /// Says whether a function would deploy, without deploying it, and where
    /// its fresh instances would come from. It compiles as
    /// [`deploy`](Self::deploy) does.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub fn check(&self, function: &Function) -> Result<Fresh, DeployError> {
        Ok(self.make_ready(function)?.fresh)
    }

    /// Removes the function of that name; whether there was one. It is not found
    /// from now on: further invocations are
    /// [`Outcome::NotFound`](crate::Outcome::NotFound). Those in flight run to
    /// their end; its idle instances end at once. Its code is freed with the last
    /// of them, unless another function has the same module.
    pub fn remove(&self, name: &str) -> bool {
        self.0.functions.remove(name)
    }

    /// The names of the deployed functions, in order.
    pub fn functions(&self) -> Vec<Arc<str>> {
        self.0.functions.names()
    }

    /// Where the fresh instances of the function of that name come from; `None`
    /// where there is none.
    pub fn fresh(&self, name: &str) -> Option<Fresh> {
        Some(self.0.functions.find(name)?.fresh.clone())
    }

    /// The invocations in flight, by their ids. One that is younger than about
    /// a tick and has not had to wait is not among them yet.
    pub fn invocations(&self) -> Vec<InvocationInfo> {
        self.0.listing.list()
    }

    /// Ends an invocation of that id, with all that it called and all that
    /// those called: their contexts are canceled with [`Cause::Operator`], and
    /// each has its grace. Returns how many they are: 0 where there is none.
    pub fn cancel(&self, id: u64) -> usize {
        self.0.listing.cancel(id, &Cause::Operator)
    }

    /// The context that ends with the runtime: done with the cause
    /// [`Cause::Shutdown`] once [`shutdown`](Self::shutdown) has waited long
    /// enough. A front derives its requests' contexts from it.
    pub fn context(&self) -> &Context {
        &self.0.root
    }

    /// How many invocations are in flight.
    pub fn in_flight(&self) -> usize {
        self.0.admission.in_flight()
    }

    /// What is held in instances that are used again.
    pub fn kept(&self) -> Kept {
        self.0.keeper.kept()
    }

    /// How many invocations may be in flight at once, and why.
    pub fn capacity(&self) -> Capacity {
        self.0.capacity
    }

    /// Ends the runtime: from now on every invocation is
    /// [`Outcome::Draining`](crate::Outcome::Draining); those in flight have until `drain` is over, then
    /// everything under [`context`](Self::context) is canceled with
    /// [`Cause::Shutdown`]. Returns how many were canceled, once nothing is in
    /// flight.
    ///
    /// Invocations whose context was not derived from
    /// [`context`](Self::context) are waited for, not canceled.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the runtime closed; call it again to go on.
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
        canceled
    }

    fn make_ready(&self, function: &Function) -> Result<Deployed, DeployError> {
        let Shared { engine, linkers, keeper, .. } = &*self.0;
        let callees: Weak<dyn Callees> = Arc::downgrade(&self.0) as Weak<Shared>;
        Deployed::prepare(&Workshop { engine, linkers, keeper, callees }, function)
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
