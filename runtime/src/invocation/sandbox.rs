//! One instance, from its making to its reset.
//!
//! The reset is certain: however the guest ended, and also when its call was
//! dropped half-way, nothing of it is left in the pool's slot. The memory is
//! put back by [`crate::engine::pages`] before the pool gets it; so is a table
//! of more than a page, whose clearing the pool would leave to a scan that can
//! miss pages; a smaller one the pool clears by hand.

use wasmtime::{Extern, Instance, ModuleExport, Ref, Store, UpdateDeadline};

use crate::abi::State;
use crate::engine::Engine;
use crate::function::Deployed;

/// The most bytes that one call of `wasmtime-wasi` copies out of a guest.
const MAX_COPY: usize = 1 << 20;

/// An instance of a function, run at most once.
pub(super) struct Sandbox<'a> {
    engine: &'a Engine,
    function: &'a Deployed,
    store: Store<State>,
    instance: Option<Instance>,
}

impl<'a> Sandbox<'a> {
    pub(super) fn new(engine: &'a Engine, function: &'a Deployed, state: State) -> Self {
        let mut store = Store::new(&engine.wasm, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(MAX_COPY);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            let state = store.data();
            Ok(if state.overdue() {
                UpdateDeadline::Interrupt
            } else if state.is_young() {
                // The tick that it happened to start just before is not its
                // own: a short run need not queue behind all others.
                UpdateDeadline::Continue(1)
            } else {
                // Tokio's own yield lets timers and sockets have their turn; a
                // bare wake-up may be polled again before them.
                UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
            })
        });
        Self { engine, function, store, instance: None }
    }

    pub(super) fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    /// Makes the instance and runs it from its start to its end.
    pub(super) async fn run(&mut self) -> wasmtime::Result<()> {
        let instance = self.function.pre.instantiate_async(&mut self.store).await?;
        self.instance = Some(instance);
        if let Some(start) = self.function.exports.start {
            self.call(instance, start).await?;
        }
        self.call(instance, self.function.exports.entry).await
    }

    async fn call(&mut self, instance: Instance, export: ModuleExport) -> wasmtime::Result<()> {
        let function = match instance.get_module_export(&mut self.store, &export) {
            Some(Extern::Func(function)) => function.typed::<(), ()>(&self.store)?,
            _ => return Err(wasmtime::Error::msg("an export is no function")),
        };
        function.call_async(&mut self.store, ()).await
    }
}

impl Drop for Sandbox<'_> {
    fn drop(&mut self) {
        let (Some(pages), Some(instance)) = (&self.engine.pages, self.instance) else {
            // Without a scan the pool gives all pages back to the system.
            return;
        };
        let exports = &self.function.exports;
        if let Some(Extern::Memory(memory)) =
            instance.get_module_export(&mut self.store, &exports.memory)
        {
            pages.restore(memory.data_mut(&mut self.store), &self.function.first);
        }
        if let Some(table) = &exports.table
            && let Some(Extern::Table(table)) = instance.get_module_export(&mut self.store, table)
        {
            let size = table.size(&self.store);
            if let Err(error) = table.fill(&mut self.store, 0, Ref::Func(None), size) {
                tracing::error!(%error, "a table could not be cleared");
            }
        }
    }
}
