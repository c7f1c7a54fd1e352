//! The options about native code: how modules are compiled, and where the code
//! is cached.

use super::config::Config;
use super::output;
use super::settings::{CodeCacheSettings, CompilerSettings};
use crate::engine::cache::user_folder;
use crate::engine::compile::Compiler;
use crate::error::BuildError;
use crate::runtime::{Runtime, RuntimeBuilder};
use crate::schema::Partial;

/// How modules become native code.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CodeOptions {
    #[command(flatten)]
    cache: Partial<CodeCacheSettings>,
    /// Cache no compiled code, whatever else is set
    #[arg(long)]
    no_cache: bool,
    #[command(flatten)]
    compiler: Partial<CompilerSettings>,
}

impl CompilerSettings {
    /// Compiles in child processes of this program, within these limits.
    fn apply(&self, builder: RuntimeBuilder) -> RuntimeBuilder {
        let compiler = Compiler::this_program();
        let compiler = compiler.timeout(self.compile_timeout).memory(self.compile_memory);
        builder.compiler(compiler).max_functions(self.max_functions)
    }
}

impl CodeOptions {
    pub(super) fn compiler(&self, config: &Config) -> CompilerSettings {
        self.compiler.over(&config.compiler)
    }

    /// Builds a runtime with its compiler and cache.
    pub(crate) fn build(
        &self,
        builder: RuntimeBuilder,
        config: &Config,
    ) -> anyhow::Result<Runtime> {
        let mut builder = self.compiler(config).apply(builder);
        if self.no_cache {
            return Ok(builder.build()?);
        }
        let CodeCacheSettings { cache, cache_size, state_dir } = self.cache.values();
        builder = builder.cache_size(*cache_size);
        if let Some(dir) = state_dir {
            builder = builder.state_dir(dir);
        }
        if let Some(dir) = cache {
            return builder.cache_dir(dir).build().map_err(|error| match error {
                BuildError::Cache { .. } => anyhow::Error::new(error)
                    .context("compiled code can't be cached; try `--cache DIR` or `--no-cache`"),
                error => error.into(),
            });
        }
        if let Some(warning) = config.ignored_cache() {
            output::message(&format!("warning: {warning}"));
        }
        let Some(dir) = user_folder("XDG_CACHE_HOME", ".cache") else {
            return Ok(builder.build()?);
        };
        match builder.clone().cache_dir(dir).build() {
            // The default directory is optional.
            Err(BuildError::Cache { dir, source }) => {
                tracing::warn!(
                    dir = %dir.display(),
                    %source,
                    "compiled code is not kept; `--cache DIR` and `--state-dir DIR` name other \
                     directories, `--no-cache` ends this warning"
                );
                Ok(builder.build()?)
            }
            built => Ok(built?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_cache_directory_that_is_given_must_work() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let state = tempfile::tempdir().expect("a temporary folder");
        let cache = Partial::default().map(|settings: &mut CodeCacheSettings| {
            settings.cache = Some(file.path().to_owned());
            settings.state_dir = Some(state.path().to_owned());
        });
        let code = CodeOptions { cache, ..CodeOptions::default() };
        let builder = Runtime::builder().max_in_flight(1);
        let error = code.build(builder, &Config::default()).expect_err("a file is no directory");
        assert!(error.to_string().contains("--no-cache"), "{error:#}");
    }

    #[test]
    fn the_settings_of_the_compiler_reach_it() {
        let shown =
            |settings: CompilerSettings| format!("{:?}", settings.apply(Runtime::builder()));
        let defaults = shown(CompilerSettings::default());
        for default in ["timeout: 60s", "memory: 2147483648", "max_functions: 100000"] {
            assert!(defaults.contains(default), "{defaults}");
        }
        let set = shown(CompilerSettings {
            compile_timeout: Duration::from_secs(1),
            compile_memory: 2,
            max_functions: 7,
        });
        for value in ["timeout: 1s", "memory: 2 }", "max_functions: 7"] {
            assert!(set.contains(value), "{set}");
        }
    }
}
