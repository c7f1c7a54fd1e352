//! A function of this host, and its capabilities.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::environment::{EnvTable, SecretTable};
use super::file::FunctionTable;
use super::mount::MountTable;
use crate::cli::settings::FunctionOptions;
use crate::function::Function;

/// A function of this host.
#[derive(Debug)]
pub(crate) struct FunctionConfig {
    pub(crate) options: FunctionOptions,
    pub(crate) grants: Grants,
    pub(super) env: EnvTable,
    pub(super) secrets: SecretTable,
    pub(super) mounts: MountTable,
    pub(super) file: Option<PathBuf>,
    /// The place of `file`, or else of the function's name.
    pub(super) span: Range<usize>,
}

impl FunctionConfig {
    /// A function whose name is at `name`, with paths relative to `folder`.
    pub(super) fn new(table: FunctionTable, name: Range<usize>, folder: &Path) -> Self {
        let plain =
            |list: Vec<Spanned<String>>| list.into_iter().map(Spanned::into_inner).collect();
        Self {
            options: table.options,
            grants: Grants {
                calls: plain(table.calls),
                allow_hosts: plain(table.allow_hosts),
                baggage: table.baggage.map(Spanned::into_inner).unwrap_or_default(),
            },
            env: table.env,
            secrets: table.secrets,
            mounts: table.mounts,
            span: table.file.as_ref().map_or(name, Spanned::span),
            file: table.file.map(|file| folder.join(file.into_inner())),
        }
    }
}

/// The functions and hosts that a function may reach.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grants {
    /// The functions that it may call.
    pub(crate) calls: Vec<String>,
    /// The hosts that it may send requests to.
    pub(crate) allow_hosts: Vec<String>,
    /// The context values that these hosts receive as baggage.
    pub(crate) baggage: Vec<String>,
}

impl Grants {
    pub(crate) fn apply(&self, function: Function) -> Function {
        function
            .calls(self.calls.iter().map(String::as_str))
            .allow_hosts(self.allow_hosts.iter().map(String::as_str))
            .fetch_baggage(self.baggage.iter().map(String::as_str))
    }
}
