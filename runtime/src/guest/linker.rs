//! Everything a guest may import.

use wasmtime::{Linker, Result};

use super::cgi::{self, Style};
use super::state::State;
use super::{hourglass, wasi};

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

    use super::*;
    use crate::guest::capabilities::Capabilities;
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
