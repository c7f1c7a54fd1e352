//! The interface of host and guest: the imports of Hourglass and WASI.
//!
//! This is the only module that follows a guest's pointers. Every pointer and
//! length is checked. A range outside the guest's memory traps, a size is
//! bounded before anything is allocated, and nothing here panics.
//!
//! # Layout
//! - [`state`]: what a store holds for its guest.
//! - [`Linkers`]: everything a guest may import.
//! - [`hourglass`]: the imports of the context ABI.
//! - [`wasi`]: the imports of WASI, preview 1.
//! - [`cgi`]: guests that use standard input as the request and standard output
//!   as the response.
//! - [`capabilities`]: what a function may call and fetch.
//! - [`memory`]: ranges of guest memory, and how long a host call may occupy its
//!   thread.
//! - [`wire`]: the layout of requests, responses and values in memory.
//!
//! The SDK's module `abi` documents the ABI for authors of guests.

/// Adds host functions to a linker, each under its own name: the module that
/// implements them, those that return at once, and those that may wait, which
/// take their arguments as a tuple.
macro_rules! define {
    ($linker:ident, $module:ident: $(
        $file:ident { $($name:ident),* } { $($waits:ident),* },
    )*) => {$(
        $($linker.func_wrap($module, stringify!($name), $file::$name)?;)*
        $($linker.func_wrap_async($module, stringify!($waits), |call: Call<'_>, args| {
            Box::new($file::$waits(call, args))
        })?;)*
    )*};
}

mod capabilities;
mod cgi;
mod hourglass;
mod memory;
mod state;
mod wasi;
mod wire;

use wasmtime::{Linker, Result};

pub(crate) use capabilities::{
    CallerInfo, Capabilities, Dispatcher, HeldFailure, HeldResponse, StartedCall,
};
pub(crate) use cgi::{Style, is_requests_own};
pub(crate) use hourglass::is_exchange;
pub(crate) use hourglass_abi::{MODULE, MODULE_PREFIX};
pub(crate) use state::response::ResponseSender;
pub(crate) use state::run::Inputs;
pub(crate) use state::{State, give_up_at, overdue};
pub(crate) use wasi::Exit;
pub(crate) use wire::too_long;

/// The codes that a host call returns instead of a length.
pub(crate) mod code {
    pub(crate) use hourglass_abi::TYPED;
    pub(crate) use hourglass_abi::code::{
        ABSENT, BODY_FAILED, CANCELED, DEADLINE_EXCEEDED, INVALID, OK, RESERVED,
    };

    use crate::context::Done;

    pub(crate) fn done(done: Done) -> i32 {
        match done {
            Done::Canceled => CANCELED,
            Done::DeadlineExceeded => DEADLINE_EXCEEDED,
        }
    }
}

/// A violation of the ABI. The guest's instance traps.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(String);

/// Everything a guest may import, by its style.
pub(crate) struct Linkers {
    exchange: Linker<State>,
    cgi: Linker<State>,
}

impl Linkers {
    pub(crate) fn new(engine: &wasmtime::Engine) -> Result<Self> {
        let exchange = linker(engine)?;
        let mut cgi = exchange.clone();
        cgi.allow_shadowing(true);
        cgi::add_to(&mut cgi)?;
        Ok(Self { exchange, cgi })
    }

    /// The linker for guests of this style.
    pub(crate) fn of(&self, style: Style) -> &Linker<State> {
        match style {
            Style::Exchange => &self.exchange,
            Style::Cgi => &self.cgi,
        }
    }
}

/// The imports of every guest.
///
/// WASI comes from `wasmtime-wasi`. The calls that every guest makes are
/// shadowed by ones that cost next to nothing. The file calls are shadowed by
/// ones that only read, refuse any file that could block the open, and bound
/// the number of open files.
fn linker(engine: &wasmtime::Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, State::wasi)?;
    linker.allow_shadowing(true);
    wasi::add_to(&mut linker)?;
    wasi::files::add_to(&mut linker)?;
    linker.allow_shadowing(false);
    hourglass::add_to(&mut linker)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wasmtime::{Config, Engine, Store};

    use super::Capabilities;
    use super::*;
    use crate::limits::Limits;

    /// The names that a linker defines.
    fn names(linker: &Linker<State>, engine: &Engine) -> BTreeSet<String> {
        let state = State::new(Capabilities::none(Limits::default()));
        let mut store = Store::new(engine, state);
        linker.iter(&mut store).map(|(_, name, _)| name.to_owned()).collect()
    }

    #[test]
    fn every_import_is_in_the_table_of_what_holds_memory() {
        let engine = Engine::new(&Config::new()).expect("an engine");
        let linkers = Linkers::new(&engine).expect("linkers");
        let mut imports = names(&linkers.exchange, &engine);
        imports.extend(names(&linkers.cgi, &engine));
        let page = include_str!("../../../docs/limits.md");
        let table = page.split("\n## ").find(|part| part.starts_with("Imports"));
        let rows = table.unwrap_or_default().lines();
        let cells = rows.filter_map(|row| row.strip_prefix("| `")?.split(" | ").next());
        let names = cells.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`'));
        let documented: BTreeSet<_> = names.map(str::to_owned).collect();
        assert_eq!(documented, imports, "keep docs/limits.md in step");
    }
}
