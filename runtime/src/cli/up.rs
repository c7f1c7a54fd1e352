//! `hourglass up`: builds the functions under a path, then serves them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;

use super::live::{Failures, Live};
use super::logging::LogOptions;
use super::options::ServeOptions;
use super::otlp::OtlpOptions;
use super::outputs::Outputs;
use super::project::Project;
use super::serve;
use super::signals::Signals;
use crate::otlp::Exporter;

/// Builds the functions under a path and serves them.
///
/// A function that does not build is reported, and the others are served. An
/// hourglass.toml in the path sets their limits and routes. When a file under the
/// path changes, what has changed is built and deployed while the server runs.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// A crate, a workspace, or a folder of crates that depend on
    /// hourglass-sdk
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Do not build and deploy again when a file changes
    #[arg(long)]
    no_watch: bool,
    #[command(flatten)]
    options: ServeOptions,
}

impl UpArgs {
    pub(crate) fn otlp(&self) -> &OtlpOptions {
        &self.options.otlp
    }
}

pub(crate) fn run(
    args: &UpArgs,
    log: &LogOptions,
    exporter: Option<Exporter>,
    signals: Signals,
) -> anyhow::Result<()> {
    let UpArgs { path, options, .. } = args;
    if path.is_file() && !path.ends_with("Cargo.toml") {
        let path = path.display();
        bail!(
            "{path} is not a folder; serve modules or a hourglass.toml with `hourglass serve {path}`"
        );
    }
    let project = Arc::new(Project::new(path));
    // Report errors that can be found immediately before the build.
    let functions = hourglass_build::functions(path)?;
    let config = project.config(&functions)?;
    let runtime = options.runtime(&config, exporter.as_ref())?;
    serve::check_addresses(options, &config)?;
    // Changes during the build count.
    let watch = if args.no_watch { None } else { project.watch() };
    project.build(&functions)?;
    let read = {
        let project = project.clone();
        move || project.read()
    };
    let (config, modules) = read()?;
    let live = Arc::new(Live::new(runtime, options, Failures::Report, Box::new(read)));
    let config = live.begin(config, &modules)?;
    if live.runtime.functions().is_empty() {
        bail!("nothing to serve: no function in {} could be built", path.display());
    }
    if let Some(mut watch) = watch {
        project.add_files(&mut watch, &live);
        let live = live.clone();
        watch.start(move || project.rebuild(&live))?;
    }
    let access_log = options.access_log.start(log, true)?;
    let outputs = Outputs { access_log, exporter };
    let served = serve::serve(&live, options, &outputs, &config, signals);
    hourglass_build::kill_running();
    served
}
