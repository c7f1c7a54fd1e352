//! One instance, from its making to its end, and from run to run where it may
//! be reset.
//!
//! Whichever way it ends, and also when its call is dropped half-way, nothing
//! of it is left in the pool's slot. The memory is put back by
//! [`crate::engine::pages`] before the pool gets it; so is a table of more than
//! a page, whose clearing the pool would leave to a scan that can miss pages; a
//! smaller one the pool clears by hand.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use wasmtime::{Global, Memory, Ref, Store, Table, TypedFunc};

use super::blueprint::Blueprint;
use super::evictor::Charge;
use crate::engine::faults::Witness;
use crate::engine::pages::{PageMap, Touched};
use crate::engine::stacks::Trim;
use crate::guest::{Exit, Run, State};

/// From how many bytes on a memory is large, and from how many entries on a
/// table: to clear one and to give it back to the system may take longer than a
/// tick.
const LARGE: usize = 8 << 20;
const LARGE_TABLE: u64 = 8 << 10;

/// An instance with the state of the one invocation that it is for.
pub(crate) struct Instance {
    blueprint: Arc<Blueprint>,
    store: Store<State>,
    handles: Handles,
    /// The pages of its memory that have to be put back, where it is reset.
    touched: Option<Touched>,
    /// Of the run, as long as that is one thread's.
    witness: Option<Witness>,
    /// Trims its stack, once it had to.
    trim: Option<Trim>,
    /// Its share of what the host keeps in idle instances, once it has one.
    charge: Option<Charge>,
}

/// An instance that nobody could tell from a new one.
pub(super) struct Clean(Box<Instance>);

/// An instance's exports.
pub(super) struct Handles {
    pub(super) memory: Memory,
    /// The memory's first size in bytes.
    pub(super) size: usize,
    pub(super) entry: TypedFunc<(), ()>,
    pub(super) start: Option<TypedFunc<(), ()>>,
    pub(super) table: Option<Table>,
    pub(super) globals: Box<[Global]>,
}

impl Instance {
    pub(super) fn new(blueprint: Arc<Blueprint>, store: Store<State>, handles: Handles) -> Self {
        Self { blueprint, store, handles, touched: None, witness: None, trim: None, charge: None }
    }

    /// Prepares a new instance for being reset.
    pub(super) fn watch(&mut self) {
        if let Some(pages) = &self.blueprint.engine.pages {
            let memory = self.handles.memory.data_mut(&mut self.store);
            self.touched = Some(pages.watch(memory));
        }
    }

    /// What the host holds for the invocation.
    pub(crate) fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    /// Runs the guest from its start to its end.
    ///
    /// # Cancel safety
    /// Dropping the future ends the guest; the instance is then of no more
    /// use.
    pub(crate) async fn run(&mut self) -> wasmtime::Result<()> {
        self.witness = Witness::call();
        if let Some(start) = &self.handles.start {
            start.call_async(&mut self.store, ()).await?;
        }
        let ended = self.handles.entry.call_async(&mut self.store, ()).await;
        if self.state().is_cgi() && is_success(&ended) {
            // By itself, so that it makes no other guest's run larger.
            Box::pin(self.state().finish()).await;
        }
        ended
    }

    /// Says that the run had to wait, after which another thread may have gone
    /// on with it.
    pub(crate) fn has_waited(&mut self) {
        self.witness = None;
    }

    /// Puts it back into its first state after a plain return, for a module
    /// of which it is proven that this is all of its state. An instance whose
    /// memory grew, or that touched too much of it, is dropped.
    ///
    /// # Errors
    /// That instance.
    pub(super) fn reset(mut self: Box<Self>) -> Result<Clean, Box<Self>> {
        self.store.data_mut().clear();
        let no_fault = self.ran_without_fault();
        if !no_fault {
            self.trim_stack();
        }
        match self.put_back(no_fault) {
            Some(()) => Ok(Clean(self)),
            None => Err(self),
        }
    }

    /// Whether the run certainly touched no page that was not resident before.
    fn ran_without_fault(&self) -> bool {
        let pages = self.blueprint.engine.pages.as_ref();
        pages.is_some_and(PageMap::counts_faults) && Witness::holds(self.witness)
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

    fn put_back(&mut self, no_fault: bool) -> Option<()> {
        if self.handles.memory.data_size(&self.store) != self.handles.size {
            return None;
        }
        let pages = self.blueprint.engine.pages.as_ref()?;
        let touched = self.touched.as_mut()?;
        let memory = self.handles.memory.data_mut(&mut self.store);
        if !pages.reset(memory, &self.blueprint.memory, touched, no_fault) {
            return None;
        }
        for (global, first) in self.handles.globals.iter().zip(&self.blueprint.globals) {
            global.set(&mut self.store, *first).ok()?;
        }
        Some(())
    }

    /// Drops it: at once, or on a thread that may wait where its memory or its
    /// table is large. What the invocation started has ended before this returns.
    pub(crate) fn discard(mut self: Box<Self>) -> Option<JoinHandle<()>> {
        let state = self.store.data_mut();
        state.end_output();
        state.clear();
        if !self.ran_without_fault() {
            self.trim_stack();
        }
        let entries = self.handles.table.map_or(0, |table| table.size(&self.store));
        let large = self.handles.memory.data_size(&self.store) > LARGE || entries > LARGE_TABLE;
        let tasks = Handle::try_current().ok().filter(|_| large)?;
        Some(tasks.spawn_blocking(move || drop(self)))
    }

    /// Its memory, and its mutable globals as text.
    #[cfg(test)]
    pub(super) fn contents(&mut self) -> (Vec<u8>, Vec<String>) {
        let memory = self.handles.memory.data(&self.store).to_vec();
        let globals = self.handles.globals.iter();
        let globals = globals.map(|global| format!("{:?}", global.get(&mut self.store)));
        (memory, globals.collect())
    }
}

/// Whether a guest ended as it should.
fn is_success(ended: &wasmtime::Result<()>) -> bool {
    match ended {
        Ok(()) => true,
        Err(error) => matches!(error.downcast_ref(), Some(Exit(0))),
    }
}

impl Clean {
    /// A new instance, which may be `reset` later on or not.
    pub(super) fn new(blueprint: &Arc<Blueprint>, reset: bool) -> wasmtime::Result<Self> {
        let mut instance = Box::new(blueprint.instance()?);
        if reset {
            instance.watch();
        }
        Ok(Self(instance))
    }

    /// Hands it to an invocation.
    pub(super) fn begin(self, run: Run) -> Box<Instance> {
        let mut instance = self.0;
        instance.store.data_mut().begin(run);
        instance.store.set_epoch_deadline(1);
        instance
    }

    /// How much it holds, in bytes: of its memory what is resident, and its
    /// functions, globals and table.
    pub(super) fn resident(&self) -> usize {
        let memory = self.0.touched.as_ref().map_or(0, Touched::bytes);
        memory.saturating_add(self.0.blueprint.instance_size)
    }

    /// Its share of what the host keeps in idle instances.
    pub(super) fn charge(&mut self) -> &mut Option<Charge> {
        &mut self.0.charge
    }

    /// How much of the host's budget it holds, in bytes.
    pub(super) fn charged(&self) -> usize {
        self.0.charge.as_ref().map_or(0, Charge::bytes)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let Some(pages) = self.blueprint.engine.pages.as_ref().filter(|pages| pages.scans()) else {
            // Without a scan the pool gives all pages back to the system.
            return;
        };
        let memory = self.handles.memory.data_mut(&mut self.store);
        pages.restore(memory, &self.blueprint.memory);
        if let Some(table) = &self.handles.table {
            let size = table.size(&self.store);
            if let Err(error) = table.fill(&mut self.store, 0, Ref::Func(None), size) {
                tracing::error!(%error, "a table could not be cleared");
            }
        }
    }
}
