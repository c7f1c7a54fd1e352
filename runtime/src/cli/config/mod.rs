//! `hourglass.toml`. Every key may be left out; `docs/configuration.md` lists
//! them. An error names the file, line and column, and says what to write.
//!
//! # Layout
//! - [`Config`]: the whole file, with names and routes checked.
//! - `function`: a function, of this host or of another.
//! - `schedule`: when a function runs.
//! - `environment`: the variables and secrets of a function.
//! - `conflicts`: keys that have no effect in combination with others.
//! - `table`: reads the keys of a table.
//! - `source`: the text of the file, and errors that point into it.

mod conflicts;
mod environment;
mod function;
mod schedule;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use http::HeaderName;
use toml::Spanned;

pub(crate) use self::function::FunctionConfig;
use self::source::Source;
use self::table::Table;
use super::settings::{
    ClientSettings, CodeCacheSettings, CompilerSettings, FunctionOptions, JobsSettings,
    ServerSettings, UsageSettings,
};
use crate::environment::Environment;
use crate::function::Function;
use crate::http::{AdminToken, Remote, Routes};
use crate::jobs::Schedule;
use crate::mounts::Mounts;
use crate::outbound::Hosts;
use crate::schema::{FilePath, Partial, Schema as _};
use crate::tasks::Retry;

/// The name of the file, unless another is given.
pub(crate) const FILE_NAME: &str = "hourglass.toml";

/// The keys of the whole file, and those of a function.
#[cfg(test)]
pub(crate) fn keys() -> [Vec<&'static str>; 2] {
    [Table::keys_of(|table| Config::default().take(table)), Table::keys_of(FunctionConfig::take)]
}

/// A configuration. The default is that of an empty file. Paths are relative to
/// the directory of the file.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) server: Partial<ServerSettings>,
    pub(crate) clients: Partial<ClientSettings>,
    pub(crate) usage: Partial<UsageSettings>,
    pub(crate) jobs: Partial<JobsSettings>,
    pub(crate) compiler: Partial<CompilerSettings>,
    /// The header in which a proxy names the principal of a request.
    pub(crate) principal_header: Option<HeaderName>,
    pub(crate) functions: BTreeMap<String, FunctionConfig>,
    /// The functions on other hosts. Of their settings only the timeout may be set.
    pub(crate) remotes: BTreeMap<String, (Remote, FunctionOptions)>,
    pub(crate) routes: Routes,
    /// When functions run.
    pub(crate) schedules: Vec<Schedule>,
    /// The place of `cache`.
    cache: Option<Range<usize>>,
    /// The file with the token, and the place of its name.
    admin_token: Option<(PathBuf, Range<usize>)>,
    source: Source,
}

/// What to write instead of a key that does not belong at the top of the file.
fn elsewhere(key: &str) -> Option<String> {
    if Table::keys_of(FunctionConfig::take).contains(&key) {
        return Some("write it in the table of a function, `[function.NAME]`".to_owned());
    }
    let setting = CodeCacheSettings::SETTINGS.iter().find(|setting| setting.name == key)?;
    Some(format!("it is not a key: use the flag --{} or {}", setting.flag(), setting.variable()))
}

impl Config {
    /// Reads a file.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let mut config = Self { source: Source::read(path)?, ..Self::default() };
        let source = config.source.clone();
        let mut table = Table::parse(&source)?;
        config.take(&mut table)?;
        table.finish(elsewhere)?;
        Ok(config)
    }

    /// Reads the [`FILE_NAME`] in a directory, if it exists.
    pub(crate) fn find(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE_NAME);
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            // A file that exists and can't be read is an error.
            _ => Self::load(&path),
        }
    }

    fn take(&mut self, table: &mut Table<'_>) -> anyhow::Result<()> {
        let source = table.source;
        let folder = source.folder();
        self.server = table.settings()?;
        self.clients = table.settings::<ClientSettings>()?.map(|clients| {
            for path in [&mut clients.tls_cert, &mut clients.tls_key].into_iter().flatten() {
                *path = folder.join(&*path);
            }
        });
        self.usage = table.settings::<UsageSettings>()?.map(|usage| {
            if let Some(path) = &mut usage.usage {
                *path = folder.join(&*path);
            }
        });
        self.jobs = table.settings::<JobsSettings>()?.map(|jobs| {
            if let Some(path) = &mut jobs.jobs {
                *path = folder.join(&*path);
            }
        });
        self.compiler = table.settings()?;
        self.cache = table.remove("cache").map(|cache| cache.span());
        if let Some(names) = table.take::<Spanned<Vec<String>>>("baggage", function::NAMES)? {
            let span = names.span();
            let set = self.routes.baggage(names.into_inner());
            set.map_err(|error| source.error(span, error))?;
        }
        if let Some(name) = table.take::<Spanned<String>>("principal_header", "\"x-user\"")? {
            let header = name.get_ref().parse().map_err(|error| {
                source.error(name.span(), format!("{error}; write the name of a header"))
            })?;
            self.principal_header = Some(header);
        }
        let token = table.unit("admin_token_file", &FilePath("FILE"))?;
        self.admin_token = token.map(|file| (folder.join(file.get_ref()), file.span()));
        // In the order of the file, so that the second of two routes that clash
        // is the one reported.
        for (name, mut table) in table.tables("function")? {
            let function =
                FunctionConfig { name: name.span(), ..FunctionConfig::take(&mut table)? };
            table.finish(|_| None)?;
            self.add(name, function)?;
        }
        Ok(())
    }

    /// Adds a function, of this host or of another.
    fn add(&mut self, name: Spanned<String>, function: FunctionConfig) -> anyhow::Result<()> {
        let source = &self.source;
        for name in std::iter::once(&name).chain(&function.calls) {
            Function::from_bytes(name.get_ref(), [])
                .map_err(|error| source.error(name.span(), error))?;
        }
        if let Some(url) = &function.url {
            conflicts::with_url(source, &function, url.span())?;
            let remote =
                Remote::new(url.get_ref()).map_err(|error| source.error(url.span(), error))?;
            let remote = (remote.baggage(function.baggage()), function.options);
            self.remotes.insert(name.into_inner(), remote);
            return Ok(());
        }
        conflicts::without_hosts(source, &function)?;
        if let Some(entry) = &function.schedule {
            self.schedules.push(entry.schedule(source, name.get_ref())?);
        }
        if let Some(names) = &function.retry_after {
            let known = Retry::NEVER.after(names.get_ref().iter().map(String::as_str));
            known.map_err(|error| source.error(names.span(), error))?;
        }
        conflicts::with_limits(source, &function, self.server.values().max_depth)?;
        for host in &function.allow_hosts {
            Hosts::new([host.get_ref()]).map_err(|error| source.error(host.span(), error))?;
        }
        self.add_routes(name.get_ref(), &function)?;
        self.functions.insert(name.into_inner(), function);
        Ok(())
    }

    fn add_routes(&mut self, name: &str, function: &FunctionConfig) -> anyhow::Result<()> {
        let source = &self.source;
        for route in &function.routes {
            let added = self.routes.route(route.get_ref().to(name));
            added.map_err(|error| source.error(route.span(), error))?;
        }
        if function.batch.as_ref().is_some_and(|batch| *batch.get_ref()) {
            self.routes.batch(name);
        }
        let Some(public) = &function.public else { return Ok(()) };
        let set = match public.get_ref() {
            true => self.routes.by_name(name),
            false => self.routes.internal(name),
        };
        set.map_err(|error| source.error(public.span(), error))
    }

    /// Fails if a route matches paths of another function, one of `names`, that
    /// is served at its name.
    pub(crate) fn check_routes<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<()> {
        for name in names {
            let others = self.functions.iter().filter(|(other, _)| *other != name);
            for route in others.flat_map(|(_, function)| &function.routes) {
                let pattern = &route.get_ref().path;
                if self.routes.is_shadowed(name, pattern) {
                    let reason = format!(
                        "the route `{pattern}` matches paths of the function `{name}`, which is \
                         served at `/{name}`; change the route, or write `public = false` or \
                         `routes = [\"/{name}\", \"/{name}/{{*path}}\"]` for `{name}`"
                    );
                    return Err(self.source.error(route.span(), reason));
                }
            }
        }
        Ok(())
    }

    /// A warning about `cache` in the file. The key is ignored: otherwise the
    /// author of a project could choose the native code that is run.
    pub(crate) fn ignored_cache(&self) -> Option<anyhow::Error> {
        let reason = "`cache` is ignored here, because native code from there would be run; remove \
                      it, and if you trust the directory use `--cache DIR` or HOURGLASS_CACHE";
        self.cache.clone().map(|span| self.source.error(span, reason))
    }

    /// A warning about a token without a listener for operators.
    pub(crate) fn unused_token(&self) -> Option<anyhow::Error> {
        let reason = "`admin_token_file` has no effect without an address for operators; write \
                      `admin = \"127.0.0.1:9090\"` too, or remove it";
        let (_, span) = self.admin_token.clone()?;
        Some(self.source.error(span, reason))
    }

    /// Fails if a function accepts jobs, and there is no place to store them.
    pub(crate) fn check_jobs(&self, settings: &JobsSettings) -> anyhow::Result<()> {
        let mut functions = self.functions.values().filter_map(|one| one.is_async.as_ref());
        match functions.find(|is_async| *is_async.get_ref()) {
            Some(is_async) if settings.jobs.is_none() => {
                let reason = "`async` needs a directory for jobs; write `jobs = \"DIR\"` at the top \
                              of the file, or use `--jobs DIR`";
                Err(self.source.error(is_async.span(), reason))
            }
            _ => Ok(()),
        }
    }

    /// Reads the token from its file. Only the listener for operators and its
    /// clients need it.
    pub(crate) fn admin_token(&self) -> anyhow::Result<Option<AdminToken>> {
        let Some((file, span)) = &self.admin_token else { return Ok(None) };
        let error = |reason: String| self.source.error(span.clone(), reason);
        let text = std::fs::read_to_string(file).map_err(|cause| {
            error(format!("{} can't be read: {cause}; write the token to it", file.display()))
        })?;
        let token = text.trim_ascii().parse();
        token.map(Some).map_err(|cause| error(format!("{} is {cause}", file.display())))
    }

    /// The module of a function, if the file names it. A function that is built
    /// from source needs none.
    pub(crate) fn module(&self, function: &FunctionConfig) -> anyhow::Result<Option<PathBuf>> {
        let file = function.file.as_ref().map(|file| self.source.folder().join(file.get_ref()));
        match file {
            Some(file) if !file.is_file() => {
                let reason =
                    format!("there is no file {}; build it, or name another", file.display());
                Err(self.error(function, reason))
            }
            file => Ok(file),
        }
    }

    /// Reads the variables and secrets of a function, and opens the directories
    /// that it may read. Only commands that run the function need them.
    pub(crate) fn resources(
        &self,
        function: &FunctionConfig,
    ) -> anyhow::Result<(Environment, Mounts)> {
        Ok((function.environment.read(&self.source)?, function.mounts(&self.source)?))
    }

    /// Whether the files of two configurations are the same.
    pub(crate) fn has_text_of(&self, other: &Self) -> bool {
        self.source.text == other.source.text
    }

    /// The path of the file. Empty if there is no file.
    pub(crate) fn path(&self) -> &Path {
        &self.source.path
    }

    /// An error about a function of the file.
    pub(crate) fn error(&self, function: &FunctionConfig, reason: impl ToString) -> anyhow::Error {
        let span = function.file.as_ref().map_or(function.name.clone(), Spanned::span);
        self.source.error(span, reason)
    }
}
