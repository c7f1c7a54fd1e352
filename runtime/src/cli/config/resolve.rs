//! What `hourglass.toml` means: paths relative to the file, names and routes
//! checked, nothing left to be worked out.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderName;
use toml::Spanned;

use super::mount::MountTable;
use super::remote::RemoteConfig;
use super::settings::{self, Secrets, Settings};
use super::units::{Address, Share, Size};
use super::{ConfigError, FILE_NAME, File, FunctionTable, Source, effect};
use crate::cli::code::CompilerOptions;
use crate::cli::front::FrontOptions;
use crate::cli::options::FunctionOptions;
use crate::environment::Environment;
use crate::function::Function;
use crate::http::{Routes, Token};
use crate::mounts::Mounts;
use crate::outbound::Hosts;

/// A configuration. The default is that of an empty file.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) listen: Option<Address>,
    pub(crate) drain: Option<Duration>,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) max_depth: Option<u32>,
    pub(crate) call_share: Option<Share>,
    pub(crate) idle_memory: Option<Size>,
    pub(crate) compiler: CompilerOptions,
    /// The header in which a proxy says whom a request is made for.
    pub(crate) principal_header: Option<HeaderName>,
    pub(crate) functions: BTreeMap<String, FunctionConfig>,
    /// The functions on other hosts.
    pub(crate) remotes: BTreeMap<String, RemoteConfig>,
    pub(crate) routes: Routes,
    /// Every route's pattern with its function, and where it is written.
    patterns: Vec<(String, String, Range<usize>)>,
    pub(crate) admin: Option<Address>,
    pub(crate) front: FrontOptions,
    /// Where a cache is named.
    cache: Option<Range<usize>>,
    /// The file with the token, and where it is named.
    admin_token: Option<(PathBuf, Range<usize>)>,
    source: Source,
}

/// What the file says about one function.
#[derive(Debug)]
pub(crate) struct FunctionConfig {
    pub(crate) options: FunctionOptions,
    pub(crate) grants: Grants,
    settings: Settings,
    secrets: Secrets,
    mounts: MountTable,
    file: Option<PathBuf>,
    /// Where its file is named, or else the function itself.
    span: Range<usize>,
}

/// What a function may reach.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grants {
    /// The functions that it may call.
    pub(crate) calls: Vec<String>,
    /// The hosts that it may ask.
    pub(crate) allow_hosts: Vec<String>,
    /// The values that they are told.
    pub(crate) baggage: Vec<String>,
}

impl Grants {
    fn of(table: &mut FunctionTable) -> Self {
        let plain =
            |list: Vec<Spanned<String>>| list.into_iter().map(Spanned::into_inner).collect();
        Self {
            calls: plain(std::mem::take(&mut table.calls)),
            allow_hosts: plain(std::mem::take(&mut table.allow_hosts)),
            baggage: table.baggage.take().map(Spanned::into_inner).unwrap_or_default(),
        }
    }

    /// Grants it to a function.
    pub(crate) fn apply(&self, function: Function) -> Function {
        function
            .calls(self.calls.iter().map(String::as_str))
            .allow_hosts(self.allow_hosts.iter().map(String::as_str))
            .fetch_baggage(self.baggage.iter().map(String::as_str))
    }
}

impl Config {
    /// Reads a file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let source = Source::read(path)?;
        let file = source.parse()?;
        Self::resolve(source, file)
    }

    /// Reads the [`FILE_NAME`] in a folder, if it exists.
    pub(crate) fn find(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(FILE_NAME);
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            // One that is there and can't be read is not the same as none.
            _ => Self::load(&path),
        }
    }

    fn resolve(source: Source, file: File) -> Result<Self, ConfigError> {
        let folder = source.path.parent().unwrap_or(Path::new("")).to_owned();
        let principal_header = match file.principal_header {
            Some(name) => Some(name.get_ref().parse().map_err(|error| {
                source.error(name.span(), format!("{error}; write a header's name"))
            })?),
            None => None,
        };
        let mut tables: Vec<_> = file.function.into_iter().collect();
        // In the file's order, so that of two routes that clash the second is
        // the one that is told of.
        tables.sort_by_key(|(name, _)| name.span().start);
        let (mut functions, mut remotes) = (BTreeMap::new(), BTreeMap::new());
        let (mut routes, mut patterns) = (Routes::new(), Vec::new());
        if let Some(names) = file.baggage {
            let span = names.span();
            routes.baggage(names.into_inner()).map_err(|error| source.error(span, error))?;
        }
        for (name, table) in tables {
            // The names that the library takes are its own business.
            for name in std::iter::once(&name).chain(&table.calls) {
                Function::from_bytes(name.get_ref(), [])
                    .map_err(|error| source.error(name.span(), error))?;
            }
            if let Some(remote) = RemoteConfig::resolve(&source, &table)? {
                remotes.insert(name.into_inner(), remote);
                continue;
            }
            effect::of_limits(&source, &table, file.max_depth)?;
            for route in &table.routes {
                routes
                    .route(route.get_ref().to(name.get_ref()))
                    .map_err(|error| source.error(route.span(), error))?;
                let pattern = route.get_ref().path().to_owned();
                patterns.push((pattern, name.get_ref().clone(), route.span()));
            }
            let (function, public) = (&**name.get_ref(), table.public.as_ref());
            let publicity = match public.map(Spanned::get_ref) {
                Some(true) => routes.by_name(function),
                Some(false) => routes.internal(function),
                None => Ok(()),
            };
            let span = public.map_or(name.span(), Spanned::span);
            publicity.map_err(|error| source.error(span, error))?;
            for host in &table.allow_hosts {
                Hosts::new([host.get_ref()]).map_err(|error| source.error(host.span(), error))?;
            }
            let function = FunctionConfig::resolve(table, name.span(), &folder);
            functions.insert(name.into_inner(), function);
        }
        let front = FrontOptions {
            tls_cert: file.tls_cert.map(|file| file.0),
            tls_key: file.tls_key.map(|file| file.0),
            head_timeout: file.head_timeout,
            body_idle: file.body_idle,
            body_rate: file.body_rate,
            response_memory: file.response_memory,
            header_bytes: file.header_bytes,
            header_count: file.header_count,
        };
        Ok(Self {
            listen: file.listen,
            drain: file.drain.map(|drain| drain.0),
            max_in_flight: file.max_in_flight.map(|most| most as usize),
            max_depth: file.max_depth,
            call_share: file.call_share,
            idle_memory: file.idle_memory,
            principal_header,
            compiler: CompilerOptions {
                compile_timeout: file.compile_timeout,
                compile_memory: file.compile_memory,
                max_functions: file.max_functions,
            },
            cache: file.cache.map(|cache| cache.span()),
            functions,
            remotes,
            routes,
            patterns,
            admin: file.admin,
            front: front.beside(&folder),
            admin_token: file
                .admin_token_file
                .map(|file| (folder.join(&file.get_ref().0), file.span())),
            source,
        })
    }

    /// Fails where a route matches paths of another function, one of `names`,
    /// that is served at its name.
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

    /// What to say of a cache that the file names. It is not used: the
    /// author of a project would choose the native code that is run.
    pub(crate) fn ignored_cache(&self) -> Option<ConfigError> {
        let reason = "`cache` is ignored here, because native code from there would be run; remove \
                      it, and where you trust the directory use `--cache DIR` or HOURGLASS_CACHE";
        self.cache.clone().map(|span| self.source.error(span, reason))
    }

    /// What to say of a token where nobody listens for operators.
    pub(crate) fn unused_token(&self) -> Option<ConfigError> {
        let reason = "`admin_token_file` has no effect without an address for operators; write \
                      `admin = \"127.0.0.1:9090\"` too, or remove it";
        let (_, span) = self.admin_token.clone()?;
        Some(self.source.error(span, reason))
    }

    /// The token in the file that is named for it. Only now is it read:
    /// nothing but the listener for operators needs it.
    pub(crate) fn admin_token(&self) -> Result<Option<Token>, ConfigError> {
        let Some((file, span)) = &self.admin_token else { return Ok(None) };
        let error = |reason: String| self.source.error(span.clone(), reason);
        let text = std::fs::read_to_string(file)
            .map_err(|cause| error(format!("{} can't be read: {cause}", file.display())))?;
        let token = text.trim_ascii().parse();
        token.map(Some).map_err(|cause| error(format!("{} is {cause}", file.display())))
    }

    /// The module of a function that the file names. Only now is it looked
    /// for: a function that is built needs none.
    pub(crate) fn module(&self, function: &FunctionConfig) -> Result<Option<PathBuf>, ConfigError> {
        match &function.file {
            Some(file) if !file.is_file() => Err(self.error(
                function,
                format!("there is no file {}; build it, or name another", file.display()),
            )),
            file => Ok(file.clone()),
        }
    }

    /// The settings of a function, and its secrets. Only now are those looked
    /// for: a command that runs no function needs none.
    pub(crate) fn environment(
        &self,
        function: &FunctionConfig,
    ) -> Result<Environment, ConfigError> {
        let folder = self.source.path.parent().unwrap_or(Path::new(""));
        settings::environment(&self.source, &function.settings, &function.secrets, folder)
    }

    /// The folders that a function may read. Only now are those looked for, as
    /// its settings are.
    pub(crate) fn mounts(&self, function: &FunctionConfig) -> Result<Mounts, ConfigError> {
        let folder = self.source.path.parent().unwrap_or(Path::new(""));
        function.mounts.mounts(&self.source, folder)
    }

    /// The file. Empty where there is none.
    pub(crate) fn path(&self) -> &Path {
        &self.source.path
    }

    /// An error about a function that the file names.
    pub(crate) fn error(&self, function: &FunctionConfig, reason: impl ToString) -> ConfigError {
        self.source.error(function.span.clone(), reason)
    }
}

impl FunctionConfig {
    fn resolve(mut table: FunctionTable, name: Range<usize>, folder: &Path) -> Self {
        let span = table.file.as_ref().map_or(name, |file| file.span());
        Self {
            options: FunctionOptions {
                timeout: table.timeout,
                grace: table.grace,
                memory: table.memory,
                request_body: table.request_body,
                response_body: table.response_body,
                instances: table.instances,
                max_calls: table.max_calls,
                max_fetches: table.max_fetches,
                fetches_at_once: table.fetches_at_once,
                fetch_body: table.fetch_body,
                detach: table.detach,
            },
            grants: Grants::of(&mut table),
            settings: table.env,
            secrets: table.secrets,
            mounts: table.mounts,
            file: table.file.map(|file| folder.join(file.into_inner().0)),
            span,
        }
    }
}
