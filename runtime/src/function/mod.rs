//! A function: a named module with its limits, and what is made of it once so
//! that an invocation need not.

pub(crate) mod module;

use std::path::Path;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use wasmtime::{Extern, InstancePre, Linker, Module, ModuleExport, Store};

use crate::abi::State;
use crate::engine::{Engine, TABLE_PAGE};
use crate::error::DeployError;
use crate::limits::Limits;

/// A function to deploy: a `wasm32-wasip1` program under a name, with limits.
///
/// ```no_run
/// use std::time::Duration;
/// use hourglass::{Function, mib};
///
/// let hello = Function::from_file("hello", "hello.wasm")?
///     .timeout(Duration::from_secs(2))
///     .memory(mib(64));
/// # Ok::<(), hourglass::DeployError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Function {
    name: Arc<str>,
    wasm: Arc<[u8]>,
    limits: Limits,
}

impl Function {
    /// Takes a module's bytes. They are looked at when it is deployed.
    ///
    /// # Errors
    /// [`DeployError::Name`] where the name can't be a path's segment.
    pub fn from_bytes(
        name: impl AsRef<str>,
        wasm: impl Into<Arc<[u8]>>,
    ) -> Result<Self, DeployError> {
        let name = name.as_ref();
        if !is_name(name) {
            return Err(DeployError::Name { name: name.to_owned() });
        }
        Ok(Self { name: name.into(), wasm: wasm.into(), limits: Limits::default() })
    }

    /// Reads a module's bytes from a file.
    ///
    /// # Errors
    /// [`DeployError::Read`], and those of [`from_bytes`](Self::from_bytes).
    pub fn from_file(name: impl AsRef<str>, path: impl AsRef<Path>) -> Result<Self, DeployError> {
        let path = path.as_ref();
        let wasm = std::fs::read(path)
            .map_err(|source| DeployError::Read { path: path.to_owned(), source })?;
        Self::from_bytes(name, wasm)
    }

    /// Sets [`Limits::timeout`]. Default 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets [`Limits::grace`]. Default 100 milliseconds.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// Sets [`Limits::memory`] in bytes. Default 128 MiB.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.limits.memory = bytes;
        self
    }

    /// Sets [`Limits::request_body`] in bytes. Default 10 MiB.
    #[must_use]
    pub fn request_body(mut self, bytes: u64) -> Self {
        self.limits.request_body = bytes;
        self
    }

    /// Sets all limits at once.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Names go into paths, logs and metric labels.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

/// A function made ready: everything an invocation would otherwise work out
/// again.
pub(crate) struct Deployed {
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) pre: InstancePre<State>,
    pub(crate) exports: Exports,
    /// The memory's first content, without the zeros at its end.
    pub(crate) first: Box<[u8]>,
    /// The most entries its table may have.
    pub(crate) table_limit: u64,
}

/// Where a module's exports are.
#[derive(Clone, Copy)]
pub(crate) struct Exports {
    pub(crate) memory: ModuleExport,
    pub(crate) entry: ModuleExport,
    /// The former start section.
    pub(crate) start: Option<ModuleExport>,
    /// The table, where it must be cleared by hand.
    pub(crate) table: Option<ModuleExport>,
}

impl Deployed {
    /// Checks, compiles (or loads from the cache) and links a function.
    pub(crate) fn prepare(
        engine: &Engine,
        linker: &Linker<State>,
        function: &Function,
    ) -> Result<Self, DeployError> {
        let checked = module::check(&function.wasm)?;
        let limits = function.limits.clone();
        if checked.memory > limits.memory {
            return Err(DeployError::Memory { needed: checked.memory, limit: limits.memory });
        }
        let module = compile(engine, &checked.wasm)?;
        let exports = Exports::find(&module)?;
        let pre = linker.instantiate_pre(&module).map_err(unlinkable)?;
        let table_limit = checked.table.max(TABLE_PAGE);
        let first = first_memory(engine, &pre, exports.memory)?;
        Ok(Self { name: function.name.clone(), limits, pre, exports, first, table_limit })
    }
}

impl Exports {
    fn find(module: &Module) -> Result<Self, DeployError> {
        let missing = |what| DeployError::MissingExport { what };
        Ok(Self {
            memory: module.get_export_index("memory").ok_or_else(|| missing("its `memory`"))?,
            entry: module.get_export_index("_start").ok_or_else(|| missing("`_start`"))?,
            start: module.get_export_index(module::START),
            table: module.get_export_index(module::TABLE),
        })
    }
}

fn compile(engine: &Engine, wasm: &[u8]) -> Result<Module, DeployError> {
    if let Some(module) = engine.cache.as_ref().and_then(|cache| cache.load(&engine.wasm, wasm)) {
        return Ok(module);
    }
    let module = Module::from_binary(&engine.wasm, wasm).map_err(uncompilable)?;
    if let Some(cache) = &engine.cache {
        cache.store(wasm, &module);
    }
    Ok(module)
}

/// Makes an instance that never runs, and copies its memory.
fn first_memory(
    engine: &Engine,
    pre: &InstancePre<State>,
    memory: ModuleExport,
) -> Result<Box<[u8]>, DeployError> {
    let mut store = Store::new(&engine.wasm, State::idle(memory));
    store.set_epoch_deadline(u64::MAX / 2);
    // There is no guest code to run in it and no epoch to wait for, so that
    // the future is ready at once.
    let made = {
        let mut making = std::pin::pin!(pre.instantiate_async(&mut store));
        making.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()))
    };
    let Poll::Ready(made) = made else {
        return Err(DeployError::Compile { reason: "making an instance has to wait".into() });
    };
    let instance = made.map_err(uncompilable)?;
    let Some(Extern::Memory(memory)) = instance.get_module_export(&mut store, &memory) else {
        return Err(DeployError::MissingExport { what: "its `memory`" });
    };
    let memory = memory.data_mut(&mut store);
    let used = memory.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let first = memory.get(..used).unwrap_or_default().into();
    // Reading has mapped every page, which would make each later look at the
    // slot's touched pages dearer.
    if let Some(pages) = &engine.pages {
        pages.release(memory);
    }
    Ok(first)
}

fn unlinkable(error: wasmtime::Error) -> DeployError {
    match error.downcast_ref::<wasmtime::UnknownImportError>() {
        Some(import) => DeployError::UnknownImport {
            module: import.module().to_owned(),
            name: import.name().to_owned(),
        },
        None => uncompilable(error),
    }
}

fn uncompilable(error: wasmtime::Error) -> DeployError {
    DeployError::Compile { reason: format!("{error:#}") }
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_plain() {
        for good in ["hello", "a", "v1.2-x_y"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".hidden", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
