//! `hourglass serve`, and the second half of `up`: serves deployed functions
//! until a signal arrives.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::future::pending;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::sync::Notify;

use super::access::Access;
use super::config::Config;
use super::live::{Failures, Live};
use super::logging::LogOptions;
use super::modules::{self, Module};
use super::options::ServeOptions;
use super::otlp::OtlpOptions;
use super::output;
use super::outputs::Outputs;
use super::queue;
use super::signals::Signals;
use super::watch::{Watch, Watched};
use super::{stop, systemd};
use crate::function::InstanceReuse;
use crate::http::{Admin, Routes, Server};
use crate::jobs::Schedules;
use crate::otlp::Exporter;
use crate::runtime::Runtime;

/// Serves functions from built modules.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Modules, each a function named after its file; or one hourglass.toml
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Deploy what has changed whenever one of these files, or a module that
    /// hourglass.toml names, has changed
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    options: ServeOptions,
}

impl ServeArgs {
    pub(crate) fn otlp(&self) -> &OtlpOptions {
        &self.options.otlp
    }
}

pub(crate) fn run(
    args: &ServeArgs,
    log: &LogOptions,
    exporter: Option<Exporter>,
    signals: Signals,
) -> anyhow::Result<()> {
    let files = args.files.clone();
    let read = move || read(&files);
    let (config, modules) = read()?;
    let access_log = args.options.access_log.start(log, false)?;
    let runtime = args.options.runtime(&config, exporter.as_ref())?;
    check_addresses(&args.options, &config)?;
    let live = Arc::new(Live::new(runtime, &args.options, Failures::Abort, Box::new(read)));
    let config = live.begin(config, &modules)?;
    if args.watch {
        watch(&live)?;
    }
    serve(&live, &args.options, &Outputs { access_log, exporter }, &config, signals)
}

/// Reads the modules of the command line, or those of a configuration.
fn read(files: &[PathBuf]) -> anyhow::Result<(Config, Vec<Module>)> {
    let (config, modules) = modules::sources(files)?;
    let mut names = HashSet::new();
    if let Some(module) = modules.iter().find(|module| !names.insert(&module.name)) {
        bail!(
            "two of the files would be the function `{}`; rename one, or name both in hourglass.toml",
            module.name
        );
    }
    Ok((config, modules))
}

/// Reloads when files change.
fn watch(live: &Arc<Live>) -> anyhow::Result<()> {
    let files = |live: &Live| Watched { files: live.files(), trees: Vec::new() };
    let watch = Watch::new(&files(live))?;
    // A file may have changed since it was read.
    live.reload()?;
    let live = live.clone();
    watch.start(move || {
        // The log says if it fails.
        let _ = live.reload();
        files(&live)
    })
}

/// Fails if an address or the certificate can't be used, before the functions
/// are built and compiled. It releases the addresses again.
pub(crate) fn check_addresses(options: &ServeOptions, config: &Config) -> anyhow::Result<()> {
    let check = |address: &str, flag| {
        TcpListener::bind(address).with_context(|| cannot_listen(address, flag))
    };
    // Held until the end, so that a duplicate address is an error.
    let _held = check(&options.server(config).listen, "--listen")?;
    options.clients(config).tls()?;
    config.check_jobs(&options.jobs(config))?;
    if let Some(access) = options.admin(config)? {
        access.check()?;
        check(&access.address, "--admin")?;
    } else if let Some(warning) = config.unused_token() {
        output::message(&format!("warning: {warning}"));
    }
    Ok(())
}

fn cannot_listen(address: &str, flag: &str) -> String {
    format!(
        "cannot listen on {address}; give another address with `{flag} ADDR`, port 0 picks a free one"
    )
}

/// Serves the deployed functions until a signal arrives and the server has
/// drained.
pub(crate) fn serve(
    live: &Arc<Live>,
    options: &ServeOptions,
    outputs: &Outputs,
    config: &Config,
    signals: Signals,
) -> anyhow::Result<()> {
    let (settings, clients) = (options.server(config), options.clients(config));
    let (access, tls) = (options.admin(config)?, clients.tls()?);
    let runtime = live.runtime.clone();
    super::block_on(async move {
        let jobs = queue::open(&options.jobs(config), config, &options.functions, &runtime)?;
        let schedules = Schedules::start(&runtime, jobs.as_ref(), config.schedules.clone());
        let server = Server::bind(&settings.listen, runtime.clone())
            .await
            .with_context(|| cannot_listen(&settings.listen, "--listen"))?;
        let admin = match access {
            Some(access) => {
                let mut admin = admin(access, live).await?;
                admin = admin.schedules(schedules.clone());
                if let Some(jobs) = &jobs {
                    admin = admin.jobs(jobs.clone());
                }
                Some(clients.apply_to_admin(admin))
            }
            None => None,
        };
        // A signal after the announcement starts the drain, or a reload.
        tokio::spawn(reload_at(signals.hangups(), live.clone()));
        let (first, second) = (signals.next(), signals.next());
        let admin_address = admin.as_ref().map(Admin::local_addr).transpose()?;
        // A closed standard output does not end the server.
        let url = url(if tls.is_some() { "https" } else { "http" }, server.local_addr()?);
        let _ = output::line(&announcement(&runtime, &live.routes.read(), &url, admin_address));
        systemd::ready();
        let mut server =
            clients.apply(server.routes(live.routes.clone()).listing(settings.listing));
        server = server.drain_delay(settings.drain_delay).drain(settings.drain);
        if let Some(tls) = tls {
            server = server.tls(tls);
        }
        server = outputs.apply(server);
        if let Some(jobs) = &jobs {
            let functions = config.functions.iter().filter(|(_, function)| function.is_async());
            server = server.jobs(jobs.clone(), functions.map(|(name, _)| name));
        }
        if let Some(path) = &settings.health {
            server = server.health(path);
        }
        if let Some(header) = config.principal_header.clone() {
            server = server.principal(move |headers| {
                let name = headers.get(&header)?.to_str().ok()?;
                Some(name.to_owned()).filter(|name| !name.is_empty())
            });
        }
        // Operators can cancel invocations while the server drains.
        let answering = async {
            match admin {
                Some(admin) => admin.run(pending()).await,
                None => pending().await,
            }
        };
        let drained = tokio::select! {
            drained = server.run(stop::drain(first, &runtime, &settings)) => drained,
            never = stop::hurry(second, &runtime) => match never {},
            Err(error) = answering => return Err(error.into()),
        };
        if let Some(jobs) = &jobs {
            jobs.close().await?;
        }
        tracing::info!(canceled = drained.canceled, "everything has ended");
        outputs.flush().await;
        Ok(())
    })
}

/// Reloads after each signal.
async fn reload_at(signal: Arc<Notify>, live: Arc<Live>) {
    loop {
        signal.notified().await;
        let live = live.clone();
        // The log says what has changed, and if it fails.
        let reloaded = tokio::task::spawn_blocking(move || live.reload()).await;
        if let Ok(Ok(changes)) = reloaded
            && changes.is_empty()
        {
            tracing::info!("reload: nothing has changed");
        }
    }
}

/// Binds the admin listener.
async fn admin(access: Access, live: &Arc<Live>) -> anyhow::Result<Admin> {
    let Access { address, token } = access;
    let admin = Admin::bind(&address, live.runtime.clone()).await;
    let (new, reload) = (live.clone(), live.clone());
    let admin = admin
        .with_context(|| cannot_listen(&address, "--admin"))?
        .routes(live.routes.clone())
        .on_new_function(move |name, wasm| new.new_function(name, wasm))
        .on_reload(move || reload.reload());
    Ok(match token {
        Some(token) => admin.token(token),
        None => admin,
    })
}

/// Lists the functions with their URLs, and a command to try.
fn announcement(
    runtime: &Runtime,
    routes: &Routes,
    url: &str,
    admin: Option<SocketAddr>,
) -> String {
    let (functions, capacity) = (runtime.functions(), runtime.capacity());
    let mut text = format!("serving at {url}");
    let mut next = None;
    for name in &functions {
        let paths = routes.paths(name);
        let fresh = match runtime.instance_reuse(name) {
            Some(reuse @ InstanceReuse::NewEachTime { .. }) => format!("  ({reuse})"),
            _ => String::new(),
        };
        if paths.is_empty() {
            let _ = write!(text, "\n  internal -> {name}{fresh}");
        }
        for path in &paths {
            let _ = write!(text, "\n  {url}{path} -> {name}{fresh}");
        }
        let plain = paths.into_iter().find(|path| !path.contains('{'));
        if next.is_none() || &**name == "hello" {
            next = plain.or(next);
        }
    }
    let _ = write!(
        text,
        "\nat most {} invocations in flight; vm.max_map_count = {} allows {}, \
         more with `sysctl -w vm.max_map_count=N`",
        capacity.in_flight, capacity.max_map_count, capacity.allowed
    );
    if let Some(admin) = admin {
        let page = self::url("http", admin);
        let _ = write!(text, "\ndashboard: {page} (in a terminal: hourglass top --admin {admin})");
    }
    if let Some(next) = next {
        let world = if next == "/hello" { "/world" } else { "" };
        let _ = write!(text, "\nnext: curl {url}{next}{world}");
    }
    text
}

/// The URL of an address for clients on this machine.
fn url(scheme: &str, mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        let loopback = match address.ip() {
            IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        };
        address.set_ip(loopback);
    }
    format!("{scheme}://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_all_interfaces_is_reached_by_the_loopback() {
        for (bound, reached) in [
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("192.0.2.1:8080", "http://192.0.2.1:8080"),
        ] {
            let address: SocketAddr = bound.parse().expect("an address");
            assert_eq!(url("http", address), reached);
            assert_eq!(url("https", address), reached.replace("http", "https"));
        }
    }
}
