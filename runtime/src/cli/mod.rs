//! The program: commands on top of the library.
//!
//! Settings come from flags, then from the environment (`HOURGLASS_...`), then
//! from `hourglass.toml`, then from the defaults.
//!
//! # Layout
//! - `new`, `up`, `build`, `serve`, `invoke`, `batch`, `check`, `deploy`, `versions`,
//!   `rollback`, `remove`, `reload`, `ps`, `cancel`, `top`, `usage`, `jobs`,
//!   `schedules`, `completions`, `man`: a command each.
//! - `local`: the function that `invoke` and `batch` run; `report`: what `invoke`
//!   prints; `table`: text in columns.
//! - `settings`: the settings of the program; `flags`: their flags and variables.
//! - `config`: `hourglass.toml`.
//! - `options`: the options of the commands that serve; `code`: the compiler
//!   and the code cache; `front`: the settings about clients.
//! - `access_log`, `otlp`: the options of the access log, and of the export of
//!   traces and logs; `outputs`: both, once they are started.
//! - `queue`: the queue of jobs.
//! - `access`: the address and the token of the admin listener.
//! - `project`: the functions of `up`.
//! - `live`: what a server serves, and its reload; `watch`: files that change;
//!   `hangups`: SIGHUP.
//! - `modules`: from the files of modules to deployed functions.
//! - `variables`, `unshown`: the environment, and flags that are secrets.
//! - `nearest`: the name that resembles a misspelled one.
//! - `logging`, `log_json`, `signals`, `systemd`, `output`, `error`: the program's
//!   edges; `stop`: how it stops.
//!
//! Commands run on the main thread, where blocking is allowed: discovery,
//! compilation and file access happen there. Only serving and invoking enter
//! the async runtime, which is created in one place.

mod access;
mod access_log;
mod batch;
mod build;
mod cancel;
mod check;
mod code;
mod completions;
mod config;
mod deploy;
mod error;
mod flags;
mod front;
mod hangups;
mod invoke;
mod jobs;
mod live;
mod local;
mod log_json;
mod logging;
mod man;
mod modules;
mod nearest;
mod new;
mod options;
mod otlp;
mod output;
mod outputs;
mod project;
mod ps;
mod queue;
mod reload;
mod remove;
mod report;
mod rollback;
mod schedules;
mod serve;
mod settings;
mod signals;
mod stop;
mod systemd;
mod table;
mod top;
mod unshown;
mod up;
mod usage;
mod variables;
mod versions;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser};

use self::signals::Signals;
use crate::cores;
use crate::engine::compile::Compiler;
use crate::error::DeployError;
use crate::function::Function;
use crate::otlp::{Exporter, LogLayer};

/// Runs functions as sandboxed WebAssembly instances, each on a deadline.
///
/// Flags come before the environment, the environment before hourglass.toml,
/// and that before the defaults.
#[derive(Debug, Parser)]
#[command(name = "hourglass", version, propagate_version = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: logging::LogOptions,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    New(new::NewArgs),
    Up(up::UpArgs),
    Build(build::BuildArgs),
    Serve(serve::ServeArgs),
    Invoke(invoke::InvokeArgs),
    Batch(batch::BatchArgs),
    Check(check::CheckArgs),
    Deploy(deploy::DeployArgs),
    Versions(versions::VersionsArgs),
    Rollback(rollback::RollbackArgs),
    Remove(remove::RemoveArgs),
    Reload(reload::ReloadArgs),
    Ps(ps::PsArgs),
    Cancel(cancel::CancelArgs),
    Top(top::TopArgs),
    Usage(usage::UsageArgs),
    Jobs(jobs::JobsArgs),
    Schedules(schedules::SchedulesArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Runs the program with the given command line, whose first word is the
/// program's own name, until it finishes.
///
/// It compiles modules in child processes of the running executable, which must
/// therefore call this function with its own command line.
///
/// It installs the process's signal handlers and its log, so call it once, from
/// a program's `main`.
///
/// SIGTERM, SIGINT and SIGHUP end the process with the exit code 128 plus the
/// signal's number, unless a command handles the first one: `invoke` cancels its
/// invocation, and `top` restores the terminal. `up` and `serve`, once they
/// serve, drain at the first one, and cancel what is in flight at the second.
/// They read their configuration again at SIGHUP, unless their terminal was
/// closed. SIGHUP stays ignored if the process was started with it ignored.
///
/// It prints an error to standard error. The exit code is 2 if the command line
/// is invalid, 0 if the reader of standard output has closed it, else 1.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match try_run(args.into_iter().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error::report(&error),
    }
}

fn try_run(args: Vec<OsString>) -> anyhow::Result<()> {
    if let Some(ended) = Compiler::child(args.iter().cloned()) {
        return Ok(ended?);
    }
    let parsed = Args::try_parse_from(&args);
    let args = parsed.map_err(|error| error::clarified(error, &args));
    if let Err(error) = &args
        && !error.use_stderr()
    {
        // A request for the help or the version.
        return Ok(args.map(drop)?);
    }
    let warnings = variables::check::<Args>()?;
    let args = args?;
    // Before slow work: until then, process 1 of a container ignores signals.
    require_threads(1)?;
    let signals = Signals::install().context("the signal handlers can't be installed")?;
    let (exporter, layer) = args.command.exporter()?;
    logging::start(&args.log, layer)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    match args.command {
        Command::New(new) => new::run(&new),
        Command::Up(up) => up::run(&up, &args.log, exporter, signals),
        Command::Build(build) => build::run(&build),
        Command::Serve(serve) => serve::run(&serve, &args.log, exporter, signals),
        Command::Invoke(invoke) => invoke::run(&invoke, signals),
        Command::Batch(batch) => batch::run(&batch, &signals),
        Command::Check(check) => check::run(&check),
        Command::Deploy(deploy) => deploy::run(&deploy),
        Command::Versions(versions) => versions::run(&versions),
        Command::Rollback(rollback) => rollback::run(&rollback),
        Command::Remove(remove) => remove::run(&remove),
        Command::Reload(reload) => reload::run(&reload),
        Command::Ps(ps) => ps::run(&ps),
        Command::Cancel(cancel) => cancel::run(&cancel),
        Command::Top(top) => top::run(&top, signals),
        Command::Usage(usage) => usage::run(&usage),
        Command::Jobs(args) => jobs::run(&args),
        Command::Schedules(args) => schedules::run(&args),
        Command::Completions(completions) => completions::run(&completions, Args::command()),
        Command::Man(man) => man::run(&man, Args::command()),
    }
}

impl Command {
    /// The exporter of traces and logs, and the layer of the log for it.
    fn exporter(&self) -> anyhow::Result<(Option<Exporter>, Option<LogLayer>)> {
        let options = match self {
            Self::Up(up) => up.otlp(),
            Self::Serve(serve) => serve.otlp(),
            _ => return Ok((None, None)),
        };
        let exporter = options.start()?;
        let layer = exporter.as_ref().and_then(|exporter| options.layer(exporter));
        Ok((exporter, layer))
    }
}

/// Parses the name of a function.
fn function_name(text: &str) -> Result<String, DeployError> {
    Function::from_bytes(text, []).map(|function| function.name().to_owned())
}

/// Fails if the system does not give the program this number of threads.
fn require_threads(count: usize) -> anyhow::Result<()> {
    cores::try_threads(count).with_context(|| {
        format!(
            "the system refuses {count} more threads; raise the limit (`ulimit -u`, `pids.max` of \
             the control group, `TasksMax` of the service)"
        )
    })
}

/// Runs a future on the program's async runtime until it completes.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // tokio panics if the system refuses it a thread. The same number of
    // threads serves connections, and one is spare.
    require_threads(2 * cores::count() + 1)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime can't be started")?;
    let ended = runtime.block_on(future);
    // Dropping the runtime would wait for blocking tasks: a hung disk must not
    // keep the program running.
    runtime.shutdown_background();
    ended
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_blocking_task_does_not_keep_the_program_running() {
        let (hold, held) = mpsc::channel::<()>();
        let (ends, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let ended = block_on(async move {
                let (begins, begun) = tokio::sync::oneshot::channel();
                tokio::task::spawn_blocking(move || {
                    let _ = begins.send(());
                    let _ = held.recv();
                });
                Ok(begun.await?)
            });
            let _ = ends.send(ended);
        });
        let ended = ended.recv_timeout(Duration::from_secs(60));
        drop(hold);
        ended.expect("the program does not wait for the task").expect("it begins");
    }
}
