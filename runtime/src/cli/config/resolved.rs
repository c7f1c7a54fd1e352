//! `hourglass.toml` in the form that commands use: paths are relative to the
//! file, names and routes are checked.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use http::HeaderName;
use toml::Spanned;

use super::file::{File, FunctionTable};
use super::function::FunctionConfig;
use super::remote::RemoteConfig;
use super::{ConfigError, FILE_NAME, Source, conflicts, environment};
use crate::cli::settings::{ClientSettings, CompilerSettings, ServerSettings};
use crate::environment::Environment;
use crate::function::Function;
use crate::http::{Routes, Token};
use crate::mounts::Mounts;
use crate::outbound::Hosts;
use crate::schema::Partial;

/// A configuration. The default is that of an empty file.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) server: Partial<ServerSettings>,
    pub(crate) clients: Partial<ClientSettings>,
    pub(crate) compiler: Partial<CompilerSettings>,
    /// The header in which a proxy names the principal of a request.
    pub(crate) principal_header: Option<HeaderName>,
    pub(crate) functions: BTreeMap<String, FunctionConfig>,
    /// The functions on other hosts.
    pub(crate) remotes: BTreeMap<String, RemoteConfig>,
    pub(crate) routes: Routes,
    /// The pattern of each route, its function, and its place.
    patterns: Vec<(String, String, Range<usize>)>,
    /// The place of `cache`.
    cache: Option<Range<usize>>,
    /// The file with the token, and the place of its name.
    admin_token: Option<(PathBuf, Range<usize>)>,
    source: Source,
}

impl Config {
    /// Reads a file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let source = Source::read(path)?;
        let file = File::read(&source)?;
        Self::resolve(source, file)
    }

    /// Reads the [`FILE_NAME`] in a directory, if it exists.
    pub(crate) fn find(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(FILE_NAME);
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            // A file that exists and can't be read is an error.
            _ => Self::load(&path),
        }
    }

    fn resolve(source: Source, file: File) -> Result<Self, ConfigError> {
        let folder = source.folder().to_owned();
        let mut config = Self {
            clients: file.clients.map(|clients| {
                for path in [&mut clients.tls_cert, &mut clients.tls_key].into_iter().flatten() {
                    *path = folder.join(&*path);
                }
            }),
            server: file.server,
            compiler: file.compiler,
            cache: file.cache,
            admin_token: file
                .admin_token_file
                .map(|file| (folder.join(file.get_ref()), file.span())),
            source,
            ..Self::default()
        };
        let source = &config.source;
        if let Some(name) = file.principal_header {
            let header = name.get_ref().parse().map_err(|error| {
                source.error(name.span(), format!("{error}; write the name of a header"))
            })?;
            config.principal_header = Some(header);
        }
        if let Some(names) = file.baggage {
            let span = names.span();
            let set = config.routes.baggage(names.into_inner());
            set.map_err(|error| source.error(span, error))?;
        }
        for (name, table) in file.functions {
            config.add(name, table)?;
        }
        Ok(config)
    }

    /// Adds a function, of this host or of another.
    fn add(&mut self, name: Spanned<String>, table: FunctionTable) -> Result<(), ConfigError> {
        let source = &self.source;
        for name in std::iter::once(&name).chain(&table.calls) {
            Function::from_bytes(name.get_ref(), [])
                .map_err(|error| source.error(name.span(), error))?;
        }
        if let Some(remote) = RemoteConfig::resolve(source, &table)? {
            self.remotes.insert(name.into_inner(), remote);
            return Ok(());
        }
        conflicts::with_limits(source, &table, self.server.values().max_depth)?;
        for host in &table.allow_hosts {
            Hosts::new([host.get_ref()]).map_err(|error| source.error(host.span(), error))?;
        }
        self.add_routes(&name, &table)?;
        let function = FunctionConfig::new(table, name.span(), self.source.folder());
        self.functions.insert(name.into_inner(), function);
        Ok(())
    }

    fn add_routes(
        &mut self,
        name: &Spanned<String>,
        table: &FunctionTable,
    ) -> Result<(), ConfigError> {
        let (source, function) = (&self.source, name.get_ref().as_str());
        for route in &table.routes {
            let added = self.routes.route(route.get_ref().to(function));
            added.map_err(|error| source.error(route.span(), error))?;
            let pattern = route.get_ref().path().to_owned();
            self.patterns.push((pattern, function.to_owned(), route.span()));
        }
        let public = table.public.as_ref();
        let set = match public.map(Spanned::get_ref) {
            Some(true) => self.routes.by_name(function),
            Some(false) => self.routes.internal(function),
            None => Ok(()),
        };
        let span = public.map_or(name.span(), Spanned::span);
        set.map_err(|error| source.error(span, error))
    }

    /// Fails if a route matches paths of another function, one of `names`, that
    /// is served at its name.
    pub(crate) fn check_routes<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), ConfigError> {
        for name in names {
            for (pattern, function, span) in &self.patterns {
                if function != name && self.routes.is_shadowed(name, pattern) {
                    let reason = format!(
                        "the route `{pattern}` matches paths of the function `{name}`, which is \
                         served at `/{name}`; change the route, or write `public = false` or \
                         `routes = [\"/{name}\", \"/{name}/{{*path}}\"]` for `{name}`"
                    );
                    return Err(self.source.error(span.clone(), reason));
                }
            }
        }
        Ok(())
    }

    /// A warning about `cache` in the file. The key is ignored: otherwise the
    /// author of a project could choose the native code that is run.
    pub(crate) fn ignored_cache(&self) -> Option<ConfigError> {
        let reason = "`cache` is ignored here, because native code from there would be run; remove \
                      it, and if you trust the directory use `--cache DIR` or HOURGLASS_CACHE";
        self.cache.clone().map(|span| self.source.error(span, reason))
    }

    /// A warning about a token without a listener for operators.
    pub(crate) fn unused_token(&self) -> Option<ConfigError> {
        let reason = "`admin_token_file` has no effect without an address for operators; write \
                      `admin = \"127.0.0.1:9090\"` too, or remove it";
        let (_, span) = self.admin_token.clone()?;
        Some(self.source.error(span, reason))
    }

    /// Reads the token from its file. Only the listener for operators and its
    /// clients need it.
    pub(crate) fn admin_token(&self) -> Result<Option<Token>, ConfigError> {
        let Some((file, span)) = &self.admin_token else { return Ok(None) };
        let error = |reason: String| self.source.error(span.clone(), reason);
        let text = std::fs::read_to_string(file)
            .map_err(|cause| error(format!("{} can't be read: {cause}", file.display())))?;
        let token = text.trim_ascii().parse();
        token.map(Some).map_err(|cause| error(format!("{} is {cause}", file.display())))
    }

    /// The module of a function, if the file names it. A function that is built
    /// from source needs none.
    pub(crate) fn module(&self, function: &FunctionConfig) -> Result<Option<PathBuf>, ConfigError> {
        match &function.file {
            Some(file) if !file.is_file() => Err(self.error(
                function,
                format!("there is no file {}; build it, or name another", file.display()),
            )),
            file => Ok(file.clone()),
        }
    }

    /// Reads the variables and secrets of a function. Only commands that run
    /// the function need them.
    pub(crate) fn environment(
        &self,
        function: &FunctionConfig,
    ) -> Result<Environment, ConfigError> {
        environment::read(&self.source, &function.env, &function.secrets)
    }

    /// Opens the directories that a function may read. Only commands that run
    /// the function need them.
    pub(crate) fn mounts(&self, function: &FunctionConfig) -> Result<Mounts, ConfigError> {
        function.mounts.mounts(&self.source, self.source.folder())
    }

    /// The path of the file. Empty if there is no file.
    pub(crate) fn path(&self) -> &Path {
        self.source.path()
    }

    /// An error about a function of the file.
    pub(crate) fn error(&self, function: &FunctionConfig, reason: impl ToString) -> ConfigError {
        self.source.error(function.span.clone(), reason)
    }
}
