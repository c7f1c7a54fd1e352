//! `hourglass.toml`. Every key may be left out; `docs/configuration.md` lists
//! them. An error names the file, line and column, and says what to write.
//!
//! # Layout
//! - `file`: the keys of the file and their types; `table`: reads them.
//! - `source`: the text of the file, and errors that point into it.
//! - `resolved`: the configuration that the commands use.
//! - `function`, `remote`: a function of this host, and of another.
//! - `environment`, `mount`, `route`: parts of a function.
//! - `private`: parts that may hold a secret.
//! - `conflicts`: keys that have no effect in combination with others.

mod conflicts;
mod environment;
mod file;
mod function;
mod mount;
mod private;
mod remote;
mod resolved;
mod route;
mod source;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use self::function::Grants;
pub(crate) use self::resolved::Config;
pub(crate) use self::source::ConfigError;
use self::source::Source;

/// The name of the file, unless another is given.
pub(crate) const FILE_NAME: &str = "hourglass.toml";

/// The keys of the whole file, and those of a function.
#[cfg(test)]
pub(crate) fn keys() -> [Vec<&'static str>; 2] {
    use self::file::{File, FunctionTable};
    use self::table::Table;
    [Table::keys_of(File::take), Table::keys_of(FunctionTable::take)]
}
