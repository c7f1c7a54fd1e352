//! `hourglass.toml` as it is written: the type of each key, and its place.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;

use super::environment::{EnvTable, SecretTable};
use super::mount::MountTable;
use super::route::RouteEntry;
use super::table::Table;
use super::{ConfigError, Source};
use crate::cli::settings::{ClientSettings, CompilerSettings, FunctionOptions, ServerSettings};
use crate::schema::{FilePath, Partial};

/// The whole file.
pub(super) struct File {
    pub(super) server: Partial<ServerSettings>,
    pub(super) clients: Partial<ClientSettings>,
    pub(super) compiler: Partial<CompilerSettings>,
    /// The place of `cache`, which is ignored with a warning.
    pub(super) cache: Option<Range<usize>>,
    pub(super) baggage: Option<Spanned<Vec<String>>>,
    pub(super) principal_header: Option<Spanned<String>>,
    pub(super) admin_token_file: Option<Spanned<PathBuf>>,
    /// In the order of the file, so that the second of two routes that clash is
    /// the one reported.
    pub(super) functions: Vec<(Spanned<String>, FunctionTable)>,
}

/// One `[function.NAME]`.
pub(super) struct FunctionTable {
    pub(super) options: FunctionOptions,
    pub(super) file: Option<Spanned<PathBuf>>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) baggage: Option<Spanned<Vec<String>>>,
    pub(super) calls: Vec<Spanned<String>>,
    pub(super) allow_hosts: Vec<Spanned<String>>,
    pub(super) public: Option<Spanned<bool>>,
    pub(super) routes: Vec<Spanned<RouteEntry>>,
    pub(super) env: EnvTable,
    pub(super) secrets: SecretTable,
    pub(super) mounts: MountTable,
}

impl File {
    pub(super) fn read(source: &Source) -> Result<Self, ConfigError> {
        let mut table = Table::parse(source)?;
        let file = Self::take(&mut table)?;
        table.finish()?;
        Ok(file)
    }

    pub(super) fn take(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            server: table.settings()?,
            clients: table.settings()?,
            compiler: table.settings()?,
            cache: table.take::<Spanned<toml::Value>>("cache")?.map(|cache| cache.span()),
            baggage: table.take("baggage")?,
            principal_header: table.take("principal_header")?,
            admin_token_file: table.unit("admin_token_file", &FilePath("FILE"))?,
            functions: table
                .tables("function")?
                .into_iter()
                .map(|(name, table)| Ok((name, FunctionTable::read(table)?)))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl FunctionTable {
    fn read(mut table: Table<'_>) -> Result<Self, ConfigError> {
        let function = Self::take(&mut table)?;
        table.finish()?;
        Ok(function)
    }

    pub(super) fn take(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            options: FunctionOptions { limits: table.settings()?, instances: table.settings()? },
            file: table.unit("file", &FilePath("FILE"))?,
            url: table.take("url")?,
            baggage: table.take("baggage")?,
            calls: table.take("calls")?.unwrap_or_default(),
            allow_hosts: table.take("allow_hosts")?.unwrap_or_default(),
            public: table.take("public")?,
            routes: table.take("routes")?.unwrap_or_default(),
            env: table.take("env")?.unwrap_or_default(),
            secrets: table.take("secrets")?.unwrap_or_default(),
            mounts: MountTable::take(table)?,
        })
    }
}
