//! The functions of `hourglass up`: those that are built from source, and those
//! of hourglass.toml next to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use hourglass_build::{self as build, FunctionCrate};

use super::config::Config;
use super::live::Live;
use super::modules::Module;
use super::output;
use super::watch::{Watch, Watched};
use crate::sync::lock;

/// A folder with functions.
pub(crate) struct Project {
    path: PathBuf,
    built: Mutex<Built>,
}

/// The functions that are built from source.
#[derive(Default)]
struct Built {
    names: Vec<String>,
    /// The modules of those that have been built at least once.
    modules: BTreeMap<String, PathBuf>,
    /// The files that they were built from.
    sources: Vec<PathBuf>,
}

impl Project {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), built: Mutex::default() }
    }

    /// The folder, also if the path is that of a manifest.
    fn folder(&self) -> &Path {
        match self.path.is_file() {
            true => self.path.parent().unwrap_or(&self.path),
            false => &self.path,
        }
    }

    /// The configuration. It fits to these functions, and its modules exist.
    pub(crate) fn config(&self, functions: &[FunctionCrate]) -> anyhow::Result<Config> {
        let names: Vec<_> = functions.iter().map(|function| function.name().to_owned()).collect();
        Ok(self.ready_made(&names)?.0)
    }

    /// Builds the functions. One that does not build keeps its former module.
    pub(crate) fn build(&self, functions: &[FunctionCrate]) -> anyhow::Result<()> {
        let modules = super::build::modules(&self.path, functions)?;
        let names: Vec<_> = functions.iter().map(|function| function.name().to_owned()).collect();
        let mut built = lock(&self.built);
        built.modules.retain(|name, _| names.contains(name));
        built.modules.extend(modules);
        built.names = names;
        built.sources = functions.iter().flat_map(FunctionCrate::sources).collect();
        Ok(())
    }

    /// Builds what has changed, and deploys it. Errors are reported.
    pub(crate) fn rebuild(&self, live: &Live) -> Watched {
        let rebuilt = build::functions(&self.path).and_then(|functions| self.build(&functions));
        match rebuilt {
            // The log says if it fails.
            Ok(()) => drop(live.reload()),
            Err(error) => output::message(&format!("error: {error:#}")),
        }
        self.with_files(live)
    }

    /// Watches the files that were read to build and to serve.
    pub(crate) fn add_files(&self, watch: &mut Watch, live: &Live) {
        if let Err(error) = watch.add(&self.with_files(live)) {
            tracing::warn!("not all changes are noticed: {error:#}");
        }
    }

    fn with_files(&self, live: &Live) -> Watched {
        let (mut watched, mut files) = (self.watched(), live.files());
        // Locked after `live` was: a reload locks this one second, too.
        let built = lock(&self.built);
        // The modules that are built change with each build.
        files.retain(|file| !built.modules.values().any(|module| module == file));
        files.extend(built.sources.iter().cloned());
        watched.files = files;
        watched
    }

    /// Reads the configuration, and the modules as they were built.
    pub(crate) fn read(&self) -> anyhow::Result<(Config, Vec<Module>)> {
        let built = lock(&self.built);
        let (config, ready_made) = self.ready_made(&built.names)?;
        let modules = built.modules.iter();
        let modules =
            modules.map(|(name, path)| Module::named(&config, name.clone(), path.clone()));
        let mut modules = modules.collect::<Result<Vec<_>, _>>()?;
        modules.extend(ready_made);
        Ok((config, modules))
    }

    /// The configuration, and its functions that are not built from source. Their
    /// modules must exist.
    fn ready_made(&self, names: &[String]) -> anyhow::Result<(Config, Vec<Module>)> {
        let config = Config::find(self.folder())?;
        let mut modules = Vec::new();
        for (name, function) in &config.functions {
            if names.contains(name) {
                continue;
            }
            let Some(path) = config.module(function)? else {
                let reason = format!(
                    "no function here is called `{name}` (but {}); name its module with `file`",
                    names.join(", ")
                );
                return Err(config.error(function, reason));
            };
            modules.push(Module::named(&config, name.clone(), path)?);
        }
        let all = names.iter().map(String::as_str);
        config.check_routes(all.chain(modules.iter().map(|module| &*module.name)))?;
        Ok((config, modules))
    }

    /// Watches the folder. Without it, the functions are served all the same.
    pub(crate) fn watch(&self) -> Option<Watch> {
        let watch = Watch::new(&self.watched());
        watch.inspect_err(|error| tracing::warn!("changes are not noticed: {error:#}")).ok()
    }

    fn watched(&self) -> Watched {
        let folder = self.folder();
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Watched { files: Vec::new(), trees: vec![folder] }
    }
}
