//! The flags about native code: how modules are compiled, and where the code is
//! kept.
//!
//! `hourglass.toml` has the limits of the compiler, but not the cache: native
//! code from there is run, and the file may be part of a project that is not
//! trusted.

use std::path::PathBuf;

use super::config::resolve::Config;
use super::config::units::{self, Period, Size};
use super::output;
use crate::engine::cache::user_folder;
use crate::engine::compile::Compiler;
use crate::error::BuildError;
use crate::runtime::{Runtime, RuntimeBuilder};

/// How modules become native code.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CodeOptions {
    /// Where compiled code is kept, so that a second start compiles nothing
    /// [default: hourglass in $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "DIR", env = "HOURGLASS_CACHE")]
    cache: Option<PathBuf>,
    /// Keep no compiled code, whatever else is set
    #[arg(long)]
    no_cache: bool,
    /// How large the cache may become; what was used least recently is removed
    /// [default: 1GiB]
    #[arg(long, value_name = "SIZE", env = "HOURGLASS_CACHE_SIZE")]
    cache_size: Option<Size>,
    /// Where the key of the cache is kept, which must not be in the cache
    /// [default: hourglass in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIR", env = "HOURGLASS_STATE_DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    compiler: CompilerOptions,
}

/// What a module may cost to compile. The file has the same settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct CompilerOptions {
    /// How long a module may take to compile [default: 1m]
    #[arg(long, value_name = "TIME", env = "HOURGLASS_COMPILE_TIMEOUT", value_parser = units::timeout)]
    pub(crate) compile_timeout: Option<Period>,
    /// How much memory the compiler may have for a module [default: 2GiB]
    #[arg(long, value_name = "SIZE", env = "HOURGLASS_COMPILE_MEMORY", value_parser = units::bound)]
    pub(crate) compile_memory: Option<Size>,
    /// How many functions a module may have [default: 100000]
    #[arg(long, value_name = "N", env = "HOURGLASS_MAX_FUNCTIONS", value_parser = units::count)]
    pub(crate) max_functions: Option<u32>,
}

impl CompilerOptions {
    /// Compiles in processes of this program, within these limits, and where
    /// they are open those of the file.
    fn apply(self, file: Self, mut builder: RuntimeBuilder) -> RuntimeBuilder {
        let mut compiler = Compiler::this_program();
        if let Some(Period(timeout)) = self.compile_timeout.or(file.compile_timeout) {
            compiler = compiler.timeout(timeout);
        }
        if let Some(Size(memory)) = self.compile_memory.or(file.compile_memory) {
            compiler = compiler.memory(memory);
        }
        if let Some(most) = self.max_functions.or(file.max_functions) {
            builder = builder.max_functions(most);
        }
        builder.compiler(compiler)
    }
}

impl CodeOptions {
    /// Makes the runtime that `builder` describes, with its compiler and cache.
    pub(crate) fn build(
        &self,
        builder: RuntimeBuilder,
        config: &Config,
    ) -> anyhow::Result<Runtime> {
        let mut builder = self.compiler.apply(config.compiler, builder);
        if self.no_cache {
            return Ok(builder.build()?);
        }
        if let Some(Size(bytes)) = self.cache_size {
            builder = builder.cache_size(bytes);
        }
        if let Some(dir) = &self.state_dir {
            builder = builder.state_dir(dir);
        }
        if let Some(dir) = &self.cache {
            return builder.cache_dir(dir).build().map_err(|error| match error {
                BuildError::Cache { .. } => anyhow::Error::new(error)
                    .context("no compiled code can be kept; try `--cache DIR` or `--no-cache`"),
                error => error.into(),
            });
        }
        if let Some(warning) = config.ignored_cache() {
            output::tell(&format!("warning: {warning}"));
        }
        let Some(dir) = user_folder("XDG_CACHE_HOME", ".cache") else {
            return Ok(builder.build()?);
        };
        match builder.clone().cache_dir(dir).build() {
            // It was not asked for, so the program does without.
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
    use super::*;

    #[test]
    fn a_cache_that_was_asked_for_has_to_work() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let state = tempfile::tempdir().expect("a temporary folder");
        let code = CodeOptions {
            cache: Some(file.path().to_owned()),
            state_dir: Some(state.path().to_owned()),
            ..CodeOptions::default()
        };
        let builder = Runtime::builder().max_in_flight(1);
        let error = code.build(builder, &Config::default()).expect_err("a file is no directory");
        assert!(error.to_string().contains("--no-cache"), "{error:#}");
    }

    #[test]
    fn flags_come_before_the_file_and_that_before_the_defaults() {
        let limits = |timeout: u64, memory: u64| CompilerOptions {
            compile_timeout: Some(Period(std::time::Duration::from_secs(timeout))),
            compile_memory: Some(Size(memory)),
            max_functions: Some(7),
        };
        let shown =
            |flags: CompilerOptions, file| format!("{:?}", flags.apply(file, Runtime::builder()));
        let none = CompilerOptions::default();
        let defaults = shown(none, none);
        for default in ["timeout: 60s", "memory: 2147483648", "max_functions: 100000"] {
            assert!(defaults.contains(default), "{defaults}");
        }
        assert_eq!(shown(limits(1, 2), limits(3, 4)), shown(limits(1, 2), none));
        assert_eq!(shown(none, limits(3, 4)), shown(limits(3, 4), none));
    }
}
