//! From a module's bytes to native code: from the cache, or by the compiler.

use wasmtime::Module;

use super::Engine;
use crate::error::CompileError;

impl Engine {
    /// Loads a module's code from the cache, or compiles the module and keeps
    /// its code there.
    ///
    /// It does not know which modules are loaded already: each call returns
    /// code of its own.
    pub(crate) fn compile(&self, wasm: &[u8]) -> Result<Module, CompileError> {
        if let Some(module) = self.cache.as_ref().and_then(|cache| cache.load(&self.wasm, wasm)) {
            return Ok(module);
        }
        let module = Module::from_binary(&self.wasm, wasm)
            .map_err(|error| CompileError::Invalid { reason: format!("{error:#}") })?;
        if let Some(cache) = &self.cache {
            cache.store(wasm, &module);
        }
        Ok(module)
    }
}
