//! One instance, from its making to its end, and from run to run where it may
//! be reset.
//!
//! Whichever way it ends, and also when its call is dropped half-way, nothing
//! of it is left in the pool's slot. The memory is put back by
//! [`crate::engine::pages`] before the pool gets it; so is a table of more than
//! a page, whose clearing the pool would leave to a scan that can miss pages; a
//! smaller one the pool clears by hand.

use std::sync::Arc;

use wasmtime::{Global, Memory, Ref, Store, Table, TypedFunc};

use super::blueprint::Blueprint;
use super::keeper::Charge;
use crate::abi::State;

/// An instance with the state of the one invocation that it is for.
pub(crate) struct Instance {
    blueprint: Arc<Blueprint>,
    store: Store<State>,
    handles: Handles,
    /// Its share of what the host keeps in idle instances, once it has one.
    pub(super) charge: Option<Charge>,
}

/// An instance that nobody could tell from a new one.
pub(super) struct Clean {
    pub(super) instance: Instance,
    /// How much memory it keeps resident, in bytes.
    pub(super) resident: usize,
}

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
        Self { blueprint, store, handles, charge: None }
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
        if let Some(start) = &self.handles.start {
            start.call_async(&mut self.store, ()).await?;
        }
        self.handles.entry.call_async(&mut self.store, ()).await
    }

    /// Puts it back into its first state after a plain return, for a module
    /// of which it is proven that this is all of its state. An instance whose
    /// memory grew, or that touched too much of it, is dropped.
    pub(super) fn reset(mut self) -> Option<Clean> {
        // What is left of the invocation itself: its request, its context.
        *self.store.data_mut() = State::idle();
        if self.handles.memory.data_size(&self.store) != self.handles.size {
            return None;
        }
        let pages = self.blueprint.engine.pages.as_ref()?;
        let memory = self.handles.memory.data_mut(&mut self.store);
        let resident = pages.reset(memory, &self.blueprint.memory)?;
        for (global, first) in self.handles.globals.iter().zip(&self.blueprint.globals) {
            global.set(&mut self.store, *first).ok()?;
        }
        Some(Clean { instance: self, resident })
    }
}

impl Clean {
    /// How much of the host's budget it holds, in bytes.
    pub(super) fn charged(&self) -> usize {
        self.instance.charge.as_ref().map_or(0, Charge::bytes)
    }

    /// Hands it to an invocation.
    pub(super) fn begin(self, state: State) -> Instance {
        let mut instance = self.instance;
        let Handles { memory, size, .. } = instance.handles;
        *instance.store.data_mut() = state;
        instance.store.data_mut().attach(memory, size);
        instance.store.set_epoch_deadline(1);
        instance
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
