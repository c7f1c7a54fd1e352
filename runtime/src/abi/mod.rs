//! What a guest sees of its host: the context ABI and WASI.
//!
//! This is the only reader and writer of guest memory. Every pointer and
//! length is the guest's word: a range outside its memory traps, a size is
//! bounded before anything of it is allocated, and nothing here panics.
//!
//! # Layout
//! - [`state`]: what a store holds for its guest; [`run`]: one invocation.
//! - [`memory`]: ranges of guest memory; [`turn`]: how long a call may have the
//!   thread.
//! - [`wire`]: how requests, responses and values are laid out in it.
//! - [`exchange`]: the request and the response; [`outgoing`]: one in pieces.
//! - [`context`]: the context.
//! - [`derive`]: contexts derived from it; [`contexts`]: those that there are.
//! - [`calls`]: calls of other functions; [`pending`]: those that there are.
//! - [`reach`]: what a function may call, and who does it for it.
//! - `fetch`: requests to other hosts; `fetches`: those that there are.
//! - [`wasi`]: the few calls of WASI that every guest makes; [`wasi_files`]:
//!   those that read files; [`wasi_changes`]: those that would change them;
//!   [`errno`]: its codes.
//! - [`files`]: what a guest has open; [`folder`]: what it reads.
//! - [`stdio`]: what a guest prints; [`log`]: what it logs by itself;
//!   [`journal`]: what the host's log takes of both.
//! - [`sha2`] has digests.
//! - [`cgi`]: guests whose request and response are their standard input and
//!   output.
//!
//! The ABI's reference, for those who write guests, is the documentation of
//! the SDK's module `abi`.

mod calls;
mod cgi;
mod context;
mod contexts;
mod derive;
mod errno;
mod exchange;
#[cfg(feature = "server")]
mod fetch;
#[cfg(not(feature = "server"))]
#[path = "no_fetch.rs"]
mod fetch;
#[cfg(feature = "server")]
mod fetches;
mod files;
mod folder;
mod journal;
mod log;
mod memory;
mod outgoing;
mod pending;
mod reach;
mod run;
mod sha2;
mod state;
mod stdio;
mod turn;
mod wasi;
mod wasi_changes;
mod wasi_files;
mod wire;

pub(crate) use cgi::{Style, is_requests_own};
pub(crate) use outgoing::Outlet;
pub(crate) use reach::{Called, Callees, Caller, Failed, Held, Reach};
pub(crate) use run::Run;
pub(crate) use state::{State, give_up_at, overdue};
pub(crate) use wasi::Exit;
pub(crate) use wire::too_long;

use wasmtime::Linker;

/// The import module of the context ABI, with its version.
pub(crate) const MODULE: &str = "hourglass_v1";

/// What the import modules of all versions start with.
pub(crate) const MODULE_PREFIX: &str = "hourglass_v";

/// What a call answers where it does not answer with a length.
pub(crate) mod code {
    use crate::context::Done;

    pub(crate) const OK: i32 = 0;
    pub(crate) const CANCELED: i32 = -1;
    pub(crate) const DEADLINE_EXCEEDED: i32 = -2;
    pub(crate) const ABSENT: i32 = -3;
    pub(crate) const INVALID: i32 = -4;
    pub(crate) const BODY_FAILED: i32 = -5;
    pub(crate) const RESERVED: i32 = -6;

    /// Added to the level of a record whose values have types.
    pub(crate) const TYPED: u32 = 16;

    pub(crate) fn done(done: Done) -> i32 {
        match done {
            Done::Canceled => CANCELED,
            Done::DeadlineExceeded => DEADLINE_EXCEEDED,
        }
    }
}

/// What a guest did that no guest may: its instance traps.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(String);

impl Misuse {
    fn unknown(what: &str, handle: u32) -> Self {
        Self(format!("there is no {what} {handle}"))
    }
}

/// Everything a guest may import, by its style.
pub(crate) struct Linkers {
    exchange: Linker<State>,
    cgi: Linker<State>,
}

impl Linkers {
    pub(crate) fn new(engine: &wasmtime::Engine) -> wasmtime::Result<Self> {
        let exchange = linker(engine)?;
        let mut cgi = exchange.clone();
        cgi.allow_shadowing(true);
        cgi::add_to(&mut cgi)?;
        Ok(Self { exchange, cgi })
    }

    /// The one for guests of such a style.
    pub(crate) fn of(&self, style: Style) -> &Linker<State> {
        match style {
            Style::Exchange => &self.exchange,
            Style::Cgi => &self.cgi,
        }
    }
}

/// Whether an import is one of those by which a guest takes its request or
/// gives its response.
pub(crate) fn is_exchange(module: &str, name: &str) -> bool {
    module == MODULE && exchange::FUNCTIONS.contains(&name)
}

/// What every guest may import.
///
/// WASI as a whole comes from `wasmtime-wasi`; the calls that every guest
/// makes are shadowed by ones that cost next to nothing, and those about files
/// by ones that read only, open nothing that they could wait for, and bound how
/// much is open.
fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, State::wasi)?;
    linker.allow_shadowing(true);
    wasi::add_to(&mut linker)?;
    wasi_files::add_to(&mut linker)?;
    wasi_changes::add_to(&mut linker)?;
    linker.allow_shadowing(false);
    exchange::add_to(&mut linker)?;
    context::add_to(&mut linker)?;
    derive::add_to(&mut linker)?;
    calls::add_to(&mut linker)?;
    fetch::add_to(&mut linker)?;
    log::add_to(&mut linker)?;
    sha2::add_to(&mut linker)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wasmtime::{Config, Engine, Store};

    use super::*;
    use crate::limits::Limits;

    /// The names that a linker has.
    fn names(linker: &Linker<State>, engine: &Engine) -> BTreeSet<String> {
        let (function, environment, reach) = ("f".into(), Default::default(), Reach::none());
        let limits = (&Limits::default(), 0);
        let state = State::new(function, environment, reach, Style::Exchange, limits);
        let mut store = Store::new(engine, state);
        linker.iter(&mut store).map(|(_, name, _)| name.to_owned()).collect()
    }

    #[test]
    fn every_import_is_in_the_table_of_what_holds_memory() {
        let engine = Engine::new(&Config::new()).expect("an engine");
        let linkers = Linkers::new(&engine).expect("linkers");
        let mut imports = names(&linkers.exchange, &engine);
        imports.extend(names(&linkers.cgi, &engine));
        let page = include_str!("../../../docs/host-memory.md");
        let table = page.split("\n## ").find(|part| part.starts_with("Imports"));
        let rows = table.unwrap_or_default().lines();
        let cells = rows.filter_map(|row| row.strip_prefix("| `")?.split(" | ").next());
        let names = cells.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`'));
        let documented: BTreeSet<_> = names.map(str::to_owned).collect();
        assert_eq!(documented, imports, "keep docs/host-memory.md in step");
    }
}
