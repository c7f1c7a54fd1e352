//! The template for the instances of a function, and their initial state.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use wasmtime::{Extern, Instance as WasmInstance, InstancePre, Module, ModuleExport, Result};
use wasmtime::{Store, UpdateDeadline, Val};

use super::instance::InstanceExports;
use super::module::{self, ValidModule};
use super::{DeployContext, Function};
use crate::engine::compile::Loaded;
use crate::engine::{Engine, TABLE_PAGE};
use crate::error::DeployError;
use crate::guest::{Capabilities, State};
use crate::log::Rate;
#[cfg(all(feature = "jobs", feature = "server"))]
use crate::outbound::Outbound;

/// The maximum number of bytes that one call of `wasmtime-wasi` copies out of a
/// guest.
const MAX_COPY: usize = 64 << 10;

/// A linked module, and the initial state of its instances.
pub(super) struct Blueprint {
    pub(super) engine: Arc<Engine>,
    capabilities: Arc<Capabilities>,
    pre: InstancePre<State>,
    /// The module, which other functions may share.
    _loaded: Arc<Loaded>,
    exports: ExportIndices,
    /// The size of an instance without its memory and its stack, in bytes.
    pub(super) instance_size: usize,
    /// The memory's initial content, without the zeros at its end.
    pub(super) memory: Box<[u8]>,
    /// The initial values of the globals that a reset writes back.
    pub(super) globals: Box<[Val]>,
}

/// The indices of a module's exports.
struct ExportIndices {
    memory: ModuleExport,
    entry: ModuleExport,
    /// The former start section.
    start: Option<ModuleExport>,
    /// The table, if it must be cleared by hand.
    table: Option<ModuleExport>,
    /// The mutable globals, if the proof holds.
    globals: Box<[ModuleExport]>,
}

impl Blueprint {
    /// Compiles a module (or loads it from the cache), links it, and copies its
    /// initial state.
    pub(super) fn new(
        context: &DeployContext<'_>,
        function: &Function,
        checked: &ValidModule<'_>,
    ) -> Result<Arc<Self>, DeployError> {
        let DeployContext { engine, linkers, dispatcher, .. } = context;
        let loaded = engine.load(&checked.wasm)?;
        let exports = ExportIndices::find(&loaded.module, checked)?;
        let linker = linkers.of(checked.style);
        let pre = linker.instantiate_pre(&loaded.module).map_err(unlinkable)?;
        let mut blueprint = Self {
            engine: Arc::clone(engine),
            capabilities: Arc::new(Capabilities {
                function: function.name.clone(),
                environment: function.environment.clone(),
                style: checked.style,
                limits: function.limits.clone(),
                table_limit: checked.table.max(TABLE_PAGE),
                calls: function.calls.clone(),
                #[cfg(feature = "server")]
                outbound: outbound(function)?,
                rate: Rate::of_output(),
                mounts: function.mounts.open()?,
                dispatcher: dispatcher.clone(),
            }),
            pre,
            _loaded: loaded,
            exports,
            instance_size: usize::try_from(checked.instance).unwrap_or(usize::MAX),
            memory: Box::default(),
            globals: Box::default(),
        };
        blueprint.copy_initial_state().map_err(uninstantiable)?;
        Ok(Arc::new(blueprint))
    }

    /// The client for requests to other hosts, if the function may make any.
    #[cfg(all(feature = "jobs", feature = "server"))]
    pub(super) fn outbound(&self) -> Option<&Arc<Outbound>> {
        self.capabilities.outbound.as_ref()
    }

    /// A store in which a guest is preempted at every tick.
    pub(super) fn store(&self) -> Store<State> {
        let state = State::new(self.capabilities.clone());
        let mut store = Store::new(&self.engine.wasm, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(MAX_COPY);
        // Nothing may be preempted before an invocation begins: the engine's
        // own code that sets an instance up checks the epoch as well.
        store.set_epoch_deadline(u64::MAX / 2);
        store.epoch_deadline_callback(|store| {
            let state = store.data();
            Ok(if state.overdue() {
                UpdateDeadline::Interrupt
            } else if state.is_young() {
                // The run merely happened to start just before this tick: a
                // short run need not queue behind all others.
                UpdateDeadline::Continue(1)
            } else {
                // Tokio's own yield gives timers and sockets their turn; a bare
                // wake-up may be polled again before them.
                UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
            })
        });
        store
    }

    /// Creates an instance through the engine's async API, which never has to
    /// wait: no guest code runs in it, since a start section has become an
    /// export.
    pub(super) fn instantiate(&self, store: &mut Store<State>) -> Result<InstanceExports> {
        let made = {
            let mut making = pin!(self.pre.instantiate_async(&mut *store));
            making.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()))
        };
        let Poll::Ready(made) = made else {
            return Err(wasmtime::Error::msg("making an instance has to wait"));
        };
        let exports = self.exports.resolve(store, made?)?;
        store.data_mut().linear = Some(exports.memory);
        Ok(exports)
    }

    /// Creates an instance that never runs, and copies its state.
    fn copy_initial_state(&mut self) -> Result<()> {
        let mut store = self.store();
        let exports = self.instantiate(&mut store)?;
        self.globals = exports.globals.iter().map(|global| global.get(&mut store)).collect();
        let memory = exports.memory.data_mut(&mut store);
        let used = memory.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        self.memory = memory.get(..used).unwrap_or_default().into();
        // Reading has mapped every page, which would make each later scan of
        // the slot's touched pages more expensive.
        if let Some(pages) = &self.engine.pages {
            pages.release(memory);
        }
        Ok(())
    }
}

impl ExportIndices {
    fn find(module: &Module, checked: &ValidModule<'_>) -> Result<Self, DeployError> {
        let missing = DeployError::MissingExport;
        let index = |name: &str| module.get_export_index(name);
        let globals = checked.proof.as_ref().map_or(&[][..], |proof| &proof.globals);
        Ok(Self {
            memory: index("memory").ok_or_else(|| missing("its `memory`"))?,
            entry: index("_start").ok_or_else(|| missing("`_start`"))?,
            start: index(module::START),
            table: index(module::TABLE),
            globals: globals.iter().filter_map(|&at| index(&module::global(at))).collect(),
        })
    }

    fn resolve(&self, store: &mut Store<State>, instance: WasmInstance) -> Result<InstanceExports> {
        let mut export = |export: &ModuleExport| instance.get_module_export(&mut *store, export);
        let wrong = || wasmtime::Error::msg("an export is not what it was");
        let memory = export(&self.memory).and_then(Extern::into_memory).ok_or_else(wrong)?;
        let entry = export(&self.entry).and_then(Extern::into_func).ok_or_else(wrong)?;
        let start = self.start.as_ref().and_then(&mut export).and_then(Extern::into_func);
        let table = self.table.as_ref().and_then(&mut export).and_then(Extern::into_table);
        let globals = self.globals.iter().filter_map(&mut export).filter_map(Extern::into_global);
        let globals = globals.collect();
        Ok(InstanceExports {
            memory,
            size: memory.data_size(&*store),
            entry: entry.typed(&*store)?,
            start: start.map(|start| start.typed(&*store)).transpose()?,
            table,
            globals,
        })
    }
}

/// The client for the hosts that a function may reach, if there are any.
///
/// # Errors
/// An entry is not a valid host, or a name is not valid in baggage.
#[cfg(feature = "server")]
fn outbound(function: &Function) -> Result<Option<Arc<crate::outbound::Outbound>>, DeployError> {
    use crate::outbound::{Hosts, Outbound};
    use crate::propagation::baggage;

    let hosts = Hosts::new(&*function.hosts);
    let hosts = hosts.map_err(|error| DeployError::AllowHosts(error.to_string()))?;
    if let Some(name) = function.baggage.iter().find(|name| !baggage::is_name(name)) {
        return Err(DeployError::Baggage(name.to_string()));
    }
    Ok(Outbound::new(hosts, function.baggage.clone(), &function.limits))
}

fn unlinkable(error: wasmtime::Error) -> DeployError {
    match error.downcast_ref::<wasmtime::UnknownImportError>() {
        Some(import) => DeployError::UnknownImport {
            module: module::short(import.module()),
            name: module::short(import.name()),
        },
        None => uninstantiable(error),
    }
}

fn uninstantiable(error: wasmtime::Error) -> DeployError {
    DeployError::Instantiate(format!("{error:#}"))
}
