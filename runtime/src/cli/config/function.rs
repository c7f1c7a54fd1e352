//! A `[function.NAME]` of the file.

use std::error::Error as _;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::Source;
use super::environment::EnvironmentTable;
use super::schedule::ScheduleEntry;
use super::table::{Table, wrong_type};
use crate::cli::settings::FunctionOptions;
use crate::function::Function;
use crate::http::Route;
use crate::mounts::Mounts;
use crate::schema::FilePath;
use crate::tasks::Retry;

/// How the names of baggage are written.
pub(super) const NAMES: &str = "[\"tenant\"]";

/// A function. A function with a `url` is on another host.
#[derive(Clone, Debug, Default)]
pub(crate) struct FunctionConfig {
    pub(crate) options: FunctionOptions,
    /// The functions that it may call.
    pub(crate) calls: Vec<Spanned<String>>,
    /// The hosts that it may send requests to.
    pub(crate) allow_hosts: Vec<Spanned<String>>,
    /// The context values that these hosts receive as baggage.
    pub(super) baggage: Option<Spanned<Vec<String>>>,
    pub(super) file: Option<Spanned<PathBuf>>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) public: Option<Spanned<bool>>,
    /// Whether clients may send batches to it.
    pub(super) batch: Option<Spanned<bool>>,
    /// Whether clients may submit jobs of it.
    pub(super) is_async: Option<Spanned<bool>>,
    /// When it runs.
    pub(super) schedule: Option<ScheduleEntry>,
    /// The failures after which its jobs are retried.
    pub(super) retry_after: Option<Spanned<Vec<String>>>,
    pub(super) routes: Vec<Spanned<RouteEntry>>,
    pub(super) environment: EnvironmentTable,
    /// The directories that it may read, by the path at which it finds them.
    pub(super) mounts: Vec<(Spanned<String>, PathBuf)>,
    /// The place of its name.
    pub(super) name: Range<usize>,
}

/// A route to the function, and the baggage that it allows.
#[derive(Clone, Debug)]
pub(super) struct RouteEntry {
    pub(super) path: String,
    baggage: Vec<String>,
}

impl FunctionConfig {
    pub(super) fn take(table: &mut Table<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            options: FunctionOptions {
                limits: table.settings()?,
                instances: table.settings()?,
                jobs: table.settings()?,
            },
            batch: table.take("batch", "true")?,
            is_async: table.take("async", "true")?,
            schedule: ScheduleEntry::take(table)?,
            retry_after: table.take("job_retry_after", "[\"server-error\"]")?,
            file: table.unit("file", &FilePath("FILE"))?,
            url: table.take("url", "\"https://host:port/function\"")?,
            baggage: table.take("baggage", NAMES)?,
            calls: table.take("calls", "[\"price\"]")?.unwrap_or_default(),
            allow_hosts: table.take("allow_hosts", "[\"api.example.com\"]")?.unwrap_or_default(),
            public: table.take("public", "false")?,
            routes: RouteEntry::take(table)?,
            environment: EnvironmentTable::take(table)?,
            mounts: table.units("mounts", &FilePath("DIR"))?,
            name: Range::default(),
        })
    }

    /// The names of the functions that it may call.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &str> {
        self.calls.iter().map(|name| name.get_ref().as_str())
    }

    /// The names of the baggage that other hosts receive.
    pub(super) fn baggage(&self) -> impl Iterator<Item = &str> {
        self.baggage.iter().flat_map(|names| names.get_ref()).map(String::as_str)
    }

    /// Whether clients may submit jobs of it.
    pub(crate) fn is_async(&self) -> bool {
        self.is_async.as_ref().is_some_and(|is_async| *is_async.get_ref())
    }

    /// Restricts retries to the failures that it names, if it does.
    pub(crate) fn retry_after(&self, retry: Retry) -> Retry {
        let Some(names) = &self.retry_after else { return retry };
        // The names were checked when the file was read.
        retry.after(names.get_ref().iter().map(String::as_str)).unwrap_or(retry)
    }

    /// Configures a function. `flags` take precedence over the file.
    pub(crate) fn apply(&self, flags: &FunctionOptions, function: Function) -> Function {
        flags
            .apply(&self.options, function)
            .calls(self.calls())
            .allow_hosts(self.allow_hosts.iter().map(|host| host.get_ref().as_str()))
            .fetch_baggage(self.baggage())
    }

    /// Opens the directories, which are relative to the file.
    pub(super) fn mounts(&self, source: &Source) -> anyhow::Result<Mounts> {
        let mut mounts = Mounts::default();
        for (path, folder) in &self.mounts {
            mounts.add(path.get_ref().clone(), source.folder().join(folder));
            // All earlier ones could be opened, so an error is about this one.
            if let Err(error) = mounts.open() {
                let cause = error.source().map(|cause| format!(": {cause}"));
                let reason = format!(
                    "{error}{}; create the directory, or name another",
                    cause.unwrap_or_default()
                );
                return Err(source.error(path.span(), reason));
            }
        }
        Ok(mounts)
    }
}

impl RouteEntry {
    fn take(table: &mut Table<'_>) -> anyhow::Result<Vec<Spanned<Self>>> {
        let source = table.source;
        let Some(value) = table.remove("routes") else { return Ok(Vec::new()) };
        let span = value.span();
        let entries = match value.into_inner() {
            DeValue::Array(entries) => entries,
            other => {
                return Err(wrong_type(
                    source,
                    span,
                    &other,
                    "a sequence of routes, such as [\"/images/{id}\"]",
                ));
            }
        };
        entries.into_iter().map(|entry| Self::read(source, entry)).collect()
    }

    fn read<'a>(source: &'a Source, entry: Spanned<DeValue<'a>>) -> anyhow::Result<Spanned<Self>> {
        const EXPECTED: &str =
            "a path in quotes, such as \"/images/{id}\", or a table with a `path`";
        let span = entry.span();
        let route = match entry.into_inner() {
            DeValue::String(path) => Self { path: path.into_owned(), baggage: Vec::new() },
            DeValue::Table(entries) => {
                let mut table = Table::new(source, entries);
                let path = table.take("path", "\"/images/{id}\"")?;
                let path = path.ok_or_else(|| source.error(span.clone(), "missing key `path`"))?;
                let baggage = table.take("baggage", NAMES)?.unwrap_or_default();
                table.finish(|_| None)?;
                Self { path, baggage }
            }
            other => return Err(wrong_type(source, span, &other, EXPECTED)),
        };
        Ok(Spanned::new(span, route))
    }

    /// The route to a function.
    pub(super) fn to(&self, function: &str) -> Route {
        Route::new(&*self.path, function).baggage(self.baggage.iter().map(String::as_str))
    }
}
