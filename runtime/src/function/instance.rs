//! One instance, from its creation to its end, and across runs if it can be
//! reset.
//!
//! Whichever way it ends, and also if its call is dropped midway, nothing of it
//! remains in the pool's slot. [`crate::engine::pages`] restores the memory
//! before the pool gets it. A table of more than a page is cleared here as
//! well, because the pool would leave that to a scan that can miss pages; a
//! smaller one the pool clears by hand.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use wasmtime::{Global, Memory, Ref, Result, Store, Table, TypedFunc};

use super::blueprint::Blueprint;
use super::pool::IdleReservation;
use crate::engine::faults::FaultWatch;
use crate::engine::pages::DirtyPages;
use crate::engine::stacks::Trim;
use crate::guest::{Exit, Inputs, State};

/// The size in bytes from which a memory is large, and the number of entries
/// from which a table is: to clear one and to return it to the system may take
/// longer than a tick.
const LARGE: usize = 8 << 20;
const LARGE_TABLE: u64 = 8 << 10;

/// An instance with the state of its one current invocation.
pub(crate) struct Instance {
    blueprint: Arc<Blueprint>,
    pub(super) store: Store<State>,
    pub(super) exports: InstanceExports,
    /// The pages of its memory that a reset must restore, if it can be reset.
    dirty: Option<DirtyPages>,
    /// Trims its stack; created on first use.
    trim: Option<Trim>,
    /// Its reservation in the host's budget for idle instances, once it has
    /// one.
    pub(super) reservation: Option<IdleReservation>,
}

/// An instance that is indistinguishable from a new one.
pub(super) struct ReadyInstance(pub(super) Box<Instance>);

/// An instance's exports.
pub(super) struct InstanceExports {
    pub(super) memory: Memory,
    /// The memory's initial size in bytes.
    pub(super) size: usize,
    pub(super) entry: TypedFunc<(), ()>,
    pub(super) start: Option<TypedFunc<(), ()>>,
    pub(super) table: Option<Table>,
    pub(super) globals: Box<[Global]>,
}

impl Instance {
    /// The host's state for the invocation.
    pub(crate) fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    /// Runs the guest from its start to its end.
    ///
    /// # Cancel safety
    /// Dropping the future ends the guest; the instance is then unusable.
    pub(crate) async fn run(&mut self) -> Result<()> {
        if let Some(start) = &self.exports.start {
            start.call_async(&mut self.store, ()).await?;
        }
        let ended = self.exports.entry.call_async(&mut self.store, ()).await;
        if self.state().is_cgi() && Exit::is_success(&ended) {
            // Boxed, so that it does not enlarge the run of any other guest.
            Box::pin(self.state().finish()).await;
        }
        ended
    }

    /// Resets the instance to its initial state after a plain return, for a
    /// module with a proof that this is all of its state. An instance with a
    /// memory that grew, or that was touched too much, cannot be reset.
    ///
    /// # Errors
    /// The instance, if it cannot be reset.
    pub(super) fn reset(
        mut self: Box<Self>,
        faults: &mut FaultWatch,
    ) -> Result<ReadyInstance, Box<Self>> {
        self.store.data_mut().clear();
        let no_fault = self.ran_without(faults);
        if !no_fault {
            self.trim_stack();
        }
        if self.restore(no_fault).is_some() { Ok(ReadyInstance(self)) } else { Err(self) }
    }

    /// Whether the run certainly touched no page that was not resident before.
    fn ran_without(&self, faults: &mut FaultWatch) -> bool {
        let pages = self.blueprint.engine.pages.as_ref();
        pages.is_some_and(|pages| pages.counts_faults) && faults.saw_none()
    }

    /// Returns the deep part of the stack to the system, if the run touched it.
    fn trim_stack(&mut self) {
        if self.trim.is_none() {
            self.trim = Trim::new(&mut self.store);
        }
        if let Some(trim) = &self.trim {
            trim.run(&mut self.store);
        }
    }

    fn restore(&mut self, no_fault: bool) -> Option<()> {
        if self.exports.memory.data_size(&self.store) != self.exports.size {
            return None;
        }
        let pages = self.blueprint.engine.pages.as_ref()?;
        let dirty = self.dirty.as_mut()?;
        let memory = self.exports.memory.data_mut(&mut self.store);
        if !pages.reset(memory, &self.blueprint.memory, dirty, no_fault) {
            return None;
        }
        for (global, first) in self.exports.globals.iter().zip(&self.blueprint.globals) {
            global.set(&mut self.store, *first).ok()?;
        }
        Some(())
    }

    /// Drops the instance: at once, or on a thread that may block if its memory
    /// or its table is large. Everything that the invocation started has ended
    /// before this returns.
    pub(crate) fn discard(mut self: Box<Self>, faults: &mut FaultWatch) -> Option<JoinHandle<()>> {
        if !self.ran_without(faults) {
            self.trim_stack();
        }
        let entries = self.exports.table.map_or(0, |table| table.size(&self.store));
        let large = self.exports.memory.data_size(&self.store) > LARGE || entries > LARGE_TABLE;
        let tasks = Handle::try_current().ok().filter(|_| large)?;
        let state = self.store.data_mut();
        state.end_output();
        state.clear();
        Some(tasks.spawn_blocking(move || drop(self)))
    }
}

impl ReadyInstance {
    /// Creates an instance; `reset` says whether it may be reset later.
    pub(super) fn new(blueprint: &Arc<Blueprint>, reset: bool) -> Result<Self> {
        let mut store = blueprint.store();
        let exports = blueprint.instantiate(&mut store)?;
        let pages = blueprint.engine.pages.as_ref().filter(|_| reset);
        let dirty = pages.map(|pages| pages.watch(exports.memory.data_mut(&mut store)));
        let (blueprint, trim, reservation) = (blueprint.clone(), None, None);
        Ok(Self(Box::new(Instance { blueprint, store, exports, dirty, trim, reservation })))
    }

    /// Hands it to an invocation.
    pub(super) fn begin(self, inputs: Inputs) -> Box<Instance> {
        let mut instance = self.0;
        instance.store.data_mut().begin(inputs);
        instance.store.set_epoch_deadline(1);
        instance
    }

    /// Its size in bytes: the resident part of its memory, and its functions,
    /// globals and table.
    pub(super) fn resident(&self) -> usize {
        let memory = self.0.dirty.as_ref().map_or(0, DirtyPages::bytes);
        memory.saturating_add(self.0.blueprint.instance_size)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let Some(pages) = self.blueprint.engine.pages.as_ref().filter(|pages| pages.scans) else {
            // Without a scan the pool returns all pages to the system.
            return;
        };
        let memory = self.exports.memory.data_mut(&mut self.store);
        pages.restore(memory, &self.blueprint.memory);
        if let Some(table) = &self.exports.table {
            let size = table.size(&self.store);
            if let Err(error) = table.fill(&mut self.store, 0, Ref::Func(None), size) {
                tracing::error!(%error, "a table could not be cleared");
            }
        }
    }
}
