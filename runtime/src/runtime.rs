//! The runtime: functions under their names, and the way into them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Linker;

use crate::abi::{self, State};
use crate::admission::{Admission, Permit};
use crate::context::{Cancel, Cause, Context};
use crate::engine::{Engine, Settings, sizing};
use crate::error::{BuildError, DeployError, InvokeError};
use crate::function::{Budget, Deployed, Entry, Fresh, Function, Keeper, Kept, Registry};
use crate::invocation::Invocation;
use crate::limits::mib;
use crate::message::{Body, Request, Response};
use crate::outcome::Outcome;

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

struct Shared {
    engine: Arc<Engine>,
    linker: Linker<State>,
    functions: Registry,
    admission: Admission,
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

/// Settings of a [`Runtime`].
#[derive(Clone, Debug)]
pub struct RuntimeBuilder {
    max_in_flight: Option<usize>,
    tick: Duration,
    cache_dir: Option<PathBuf>,
    idle_memory: u64,
}

impl RuntimeBuilder {
    /// How many invocations may be in flight at once; one more is
    /// [`Outcome::Busy`]. Default 1,000, or what the machine allows if that is
    /// less.
    #[must_use]
    pub fn max_in_flight(mut self, most: usize) -> Self {
        self.max_in_flight = Some(most);
        self
    }

    /// How often a running guest is looked at, and so how late its
    /// interruption may come. Default 1 millisecond, which is also the least.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick.max(Duration::from_millis(1));
        self
    }

    /// A directory in which compiled code is kept, so that a second start
    /// compiles nothing. Default: none. Nothing in it is trusted that this
    /// library did not write there; it may be deleted at any time.
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(dir.into());
        self
    }

    /// How much memory, in bytes, all instances together may hold that are
    /// kept for the invocations to come. Those that were used least recently
    /// go first; none is kept for longer than a minute. Default 256 MiB; with 0
    /// every invocation is given a new instance.
    #[must_use]
    pub fn idle_memory(mut self, bytes: u64) -> Self {
        self.idle_memory = bytes;
        self
    }

    /// Makes the runtime. Its address space is reserved here, its memory is
    /// not. It starts two threads, which are parked while nothing runs and
    /// nothing is kept.
    ///
    /// # Errors
    /// [`BuildError`] says what the machine does not allow.
    pub fn build(self) -> Result<Runtime, BuildError> {
        let sizing = sizing::decide(self.max_in_flight)?;
        let engine = Engine::new(&Settings {
            max_in_flight: sizing.in_flight,
            max_idle: sizing.idle,
            tick: self.tick,
            cache_dir: self.cache_dir,
        })?;
        let bytes = usize::try_from(self.idle_memory).unwrap_or(usize::MAX);
        let keeper = Keeper::start(Budget { instances: sizing.idle, bytes })
            .map_err(|error| BuildError::Engine(format!("no thread for the keeper: {error}")))?;
        let linker =
            abi::linker(&engine.wasm).map_err(|error| BuildError::Engine(format!("{error:#}")))?;
        let (root, end) = Context::background().with_cancel();
        Ok(Runtime(Arc::new(Shared {
            engine,
            linker,
            functions: Registry::new(),
            admission: Admission::new(sizing.in_flight),
            keeper,
            root,
            end,
            capacity: Capacity {
                in_flight: sizing.in_flight,
                allowed: sizing.allowed,
                max_map_count: sizing.max_map_count,
            },
        })))
    }
}

impl Runtime {
    /// Starts to make a runtime; [`RuntimeBuilder`] lists the defaults.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder {
            max_in_flight: None,
            tick: Duration::from_millis(1),
            cache_dir: None,
            idle_memory: mib(256),
        }
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
        let deployed = self.prepare(&function)?;
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
        Ok(self.prepare(function)?.fresh)
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

    /// Runs a function once, in a fresh instance, under a child of `ctx`.
    ///
    /// The child's deadline is the earlier of `ctx`'s and the function's own
    /// timeout from now. When it is done the guest has its grace, and then is
    /// interrupted, whatever it does. The response's extensions hold the
    /// invocation's [`Usage`](crate::Usage).
    ///
    /// It must be called on a tokio runtime with time enabled. The guest runs
    /// inside the future's polls, for at most one tick each.
    ///
    /// # Errors
    /// [`InvokeError`], whose [`outcome`](InvokeError::outcome) says how the
    /// invocation ended.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the invocation and ends the guest at once,
    /// without grace. To give it its grace, cancel `ctx` and wait.
    pub async fn invoke<B: Into<Body>>(
        &self,
        ctx: &Context,
        name: &str,
        request: http::Request<B>,
    ) -> Result<Response, InvokeError> {
        let function = self.find(name)?;
        let (ctx, cancel) = ctx.with_timeout(function.limits.timeout);
        let running = self.start(&function, &ctx, request.map(Into::into))?;
        let result = running.finish().await;
        // Everything that the guest started ends with it.
        cancel.cancel_with(Cause::ParentDone);
        result
    }

    /// The function of that name.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Entry>, InvokeError> {
        let function = self.0.functions.find(name);
        function.ok_or_else(|| InvokeError::refused(name.into(), Outcome::NotFound))
    }

    /// Lets an invocation in, under a context of its own, which whoever
    /// derived it ends afterwards.
    pub(crate) fn start<'a>(
        &'a self,
        function: &'a Deployed,
        ctx: &'a Context,
        request: Request,
    ) -> Result<Running<'a>, InvokeError> {
        let refused = |outcome| InvokeError::refused(function.name.clone(), outcome);
        let permit = self.0.admission.admit().map_err(refused)?;
        if let (Some(done), Some(cause)) = (ctx.err(), ctx.cause()) {
            return Err(refused(Outcome::Done(done, cause)));
        }
        let limit = function.limits.request_body;
        if request.body().len().is_some_and(|len| len > limit) {
            return Err(refused(Outcome::BodyTooLarge { limit }));
        }
        let invocation =
            Invocation::start(&self.0.engine, function, ctx, request).map_err(refused)?;
        Ok(Running { function, invocation, _permit: permit })
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
    /// [`Outcome::Draining`]; those in flight have until `drain` is over, then
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

    fn prepare(&self, function: &Function) -> Result<Deployed, DeployError> {
        let Shared { engine, linker, keeper, .. } = &*self.0;
        Deployed::prepare(engine, linker, keeper, function)
    }
}

/// An invocation that was let in.
pub(crate) struct Running<'a> {
    function: &'a Deployed,
    invocation: Invocation<'a>,
    _permit: Permit<'a>,
}

impl Running<'_> {
    /// Runs it to its end. The response's extensions hold its [`Usage`](crate::Usage).
    ///
    /// # Cancel safety
    /// As that of [`Runtime::invoke`].
    pub(crate) async fn finish(self) -> Result<Response, InvokeError> {
        let (result, usage) = self.invocation.finish().await;
        match result {
            Ok(mut response) => {
                response.extensions_mut().insert(usage);
                Ok(response)
            }
            Err(outcome) => Err(InvokeError::new(self.function.name.clone(), outcome, usage)),
        }
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
