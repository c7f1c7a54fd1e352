//! The loaded modules. Functions with the same module share one copy of its
//! code and of its initial memory, even if they are prepared at the same time.
//! The copy is dropped with the last function.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, Weak};

use wasmtime::Module;

use super::Engine;
use crate::error::CompileError;
use crate::sync::lock;

/// A hash of a module's bytes. All of an engine's modules have its settings.
type Digest = [u8; blake3::OUT_LEN];

/// Locked while the module is being loaded, so that other threads that need the
/// same module wait for it.
type Slot = Mutex<Weak<Loaded>>;

/// The loaded modules by their digests.
#[derive(Default)]
pub(crate) struct Modules(Mutex<HashMap<Digest, Arc<Slot>>>);

/// A module in use.
pub(crate) struct Loaded {
    pub(crate) module: Module,
    digest: Digest,
    modules: Arc<Modules>,
}

impl Engine {
    /// Compiles a module or loads it from the cache, unless it is already
    /// loaded.
    pub(crate) fn load(&self, wasm: &[u8]) -> Result<Arc<Loaded>, CompileError> {
        let digest = *blake3::hash(wasm).as_bytes();
        let slot = lock(&self.modules.0).entry(digest).or_default().clone();
        let mut known = lock(&slot);
        if let Some(loaded) = known.upgrade() {
            return Ok(loaded);
        }
        let loaded = match self.compile(wasm) {
            Ok(module) => Arc::new(Loaded { module, digest, modules: self.modules.clone() }),
            Err(error) => {
                drop(known);
                drop(slot);
                self.modules.forget(&digest);
                return Err(error);
            }
        };
        *known = Arc::downgrade(&loaded);
        Ok(loaded)
    }
}

impl Modules {
    /// Removes the slot of a module that is no longer loaded, unless another
    /// thread is about to load it.
    fn forget(&self, digest: &Digest) {
        if let Entry::Occupied(slot) = lock(&self.0).entry(*digest)
            && Arc::strong_count(slot.get()) == 1
            && slot.get().try_lock().is_ok_and(|loaded| loaded.strong_count() == 0)
        {
            slot.remove();
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.modules.forget(&self.digest);
    }
}
