//! The imports of the context ABI, by subject.
//!
//! # Layout
//! - [`exchange`]: the request and the response.
//! - [`context`]: the context, and contexts derived from it.
//! - [`call`]: calls of other functions; `fetch`: requests to other hosts.
//! - [`log`]: log records; [`sha2`]: digests.

mod call;
mod context;
mod exchange;
#[cfg(feature = "server")]
mod fetch;
#[cfg(not(feature = "server"))]
#[path = "no_fetch.rs"]
mod fetch;
mod log;
mod sha2;

use hourglass_abi::MODULE;
use wasmtime::{Linker, Result};

use super::state::State;

/// Whether an import belongs to the exchange, by which a guest reads its
/// request and writes its response.
pub(crate) fn is_exchange(module: &str, name: &str) -> bool {
    module == MODULE && exchange::FUNCTIONS.contains(&name)
}

/// Adds all of them to a linker.
pub(super) fn add_to(linker: &mut Linker<State>) -> Result<()> {
    exchange::add_to(linker)?;
    context::add_to(linker)?;
    call::add_to(linker)?;
    fetch::add_to(linker)?;
    log::add_to(linker)?;
    sha2::add_to(linker)
}
