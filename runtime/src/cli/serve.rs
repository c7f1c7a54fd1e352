//! `hourglass serve`, and the second half of `up`: serves deployed functions
//! until a signal arrives.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::future::pending;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::access::Access;
use super::config::Config;
use super::deploy;
use super::logging::LogOptions;
use super::options::ServeOptions;
use super::output;
use super::signals::Signals;
use crate::function::InstanceReuse;
use crate::http::{AccessLog, Admin, Routes, Server};
use crate::runtime::Runtime;
use crate::schema::Period;

/// Serves functions from built modules.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Modules, each a function named after its file; or one hourglass.toml
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    options: ServeOptions,
}

pub(crate) fn run(args: &ServeArgs, log: &LogOptions, signals: Signals) -> anyhow::Result<()> {
    let (config, modules) = deploy::sources(&args.files)?;
    let mut names = HashSet::new();
    if let Some(module) = modules.iter().find(|module| !names.insert(&module.name)) {
        bail!(
            "two of the files would be the function `{}`; rename one, or name both in hourglass.toml",
            module.name
        );
    }
    let access_log = args.options.access_log.start(log, false)?;
    let runtime = args.options.runtime(&config)?;
    check_addresses(&args.options, &config)?;
    for module in &modules {
        deploy::deploy(&runtime, module, &args.options.functions)?;
    }
    deploy::link(&runtime, &config, &modules, &args.options.functions)?;
    serve(runtime, &args.options, access_log, config, signals)
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
    runtime: Runtime,
    options: &ServeOptions,
    access_log: Option<AccessLog>,
    config: Config,
    signals: Signals,
) -> anyhow::Result<()> {
    let (settings, clients) = (options.server(&config), options.clients(&config));
    let (access, tls) = (options.admin(&config)?, clients.tls()?);
    super::block_on(async move {
        let server = Server::bind(&settings.listen, runtime.clone())
            .await
            .with_context(|| cannot_listen(&settings.listen, "--listen"))?;
        let admin = match access {
            Some(access) => {
                let admin = admin(access, runtime.clone()).await?.routes(config.routes.clone());
                Some(clients.apply_to_admin(admin))
            }
            None => None,
        };
        // A signal after the announcement starts the drain.
        let first = signals.first();
        let admin_address = admin.as_ref().map(Admin::local_addr).transpose()?;
        // A closed standard output does not end the server.
        let url = url(if tls.is_some() { "https" } else { "http" }, server.local_addr()?);
        let _ = output::line(&announcement(&runtime, &config.routes, &url, admin_address));
        let stop = async {
            let signal = first.await;
            tracing::info!(
                %signal,
                in_flight = runtime.in_flight(),
                drain = Period::text(settings.drain),
                "stopping when what is in flight has ended; a second signal stops at once"
            );
        };
        let mut server = clients
            .apply(server.routes(config.routes).drain(settings.drain).listing(settings.listing));
        if let Some(tls) = tls {
            server = server.tls(tls);
        }
        if let Some(log) = &access_log {
            server = server.access_log(log.clone());
        }
        if let Some(path) = &settings.health {
            server = server.health(path);
        }
        if let Some(header) = config.principal_header {
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
            drained = server.run(stop) => drained,
            Err(error) = answering => return Err(error.into()),
        };
        if let Some(log) = access_log {
            log.flush();
        }
        tracing::info!(canceled = drained.canceled, "everything has ended");
        Ok(())
    })
}

/// Binds the admin listener.
async fn admin(access: Access, runtime: Runtime) -> anyhow::Result<Admin> {
    let Access { address, token } = access;
    let admin =
        Admin::bind(&address, runtime).await.with_context(|| cannot_listen(&address, "--admin"))?;
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
