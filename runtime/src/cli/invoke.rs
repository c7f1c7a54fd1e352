//! `hourglass invoke`: one invocation, in this process.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};

use super::code::CodeOptions;
use super::config::{Config, FILE_NAME};
use super::deploy::{self, Module};
use super::report::Report;
use super::settings::FunctionOptions;
use super::signals::Signals;
use super::unshown::Unshown;
use crate::body::{REQUEST_ID, Request};
use crate::context::{Cause, Context};
use crate::runtime::Runtime;
use hourglass_build::TARGET;

/// Runs a function once, in this process, and prints the body of its response.
///
/// A status other than 2xx is printed to standard error. Without a response the
/// reason is printed there, and the exit code is 1.
#[derive(Debug, clap::Args)]
pub(crate) struct InvokeArgs {
    /// A module; or the name of a function in hourglass.toml, or of one built
    /// from this folder
    #[arg(value_name = "FILE|NAME")]
    function: String,
    /// The request's body: a text, @FILE for a file's content, or - for
    /// standard input
    #[arg(long, short, value_name = "TEXT|@FILE|-", allow_hyphen_values = true)]
    data: Option<String>,
    /// A header of the request; may be given again
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = Unshown::<Header>::default())]
    headers: Vec<Header>,
    /// The request's method [default: GET, or POST with --data]
    #[arg(long, short = 'X', value_parser = method)]
    method: Option<Method>,
    /// The request's path, and query [default: / and the function's name]
    #[arg(long, value_parser = target)]
    path: Option<PathAndQuery>,
    /// Print a JSON object with the outcome, the response and what was used
    #[arg(long)]
    json: bool,
    /// The file that names functions [default: hourglass.toml, where it is
    /// there]
    #[arg(long, value_name = "FILE", env = "HOURGLASS_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    code: CodeOptions,
    #[command(flatten)]
    functions: FunctionOptions,
}

/// Parses a method. Methods are case-sensitive in HTTP, so `get` is not GET.
fn method(text: &str) -> anyhow::Result<Method> {
    const COMMON: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let upper = text.to_ascii_uppercase();
    if upper != text && COMMON.contains(&&*upper) {
        bail!("methods are case-sensitive; write `{upper}`");
    }
    text.parse().context("write a method such as `GET`")
}

/// Parses a path and a query in the form that a client sends.
fn target(text: &str) -> anyhow::Result<PathAndQuery> {
    if !text.starts_with('/') {
        bail!("a path begins with `/`; write `/{text}`");
    }
    if text.contains('#') {
        bail!("what is behind `#` is not sent to a server; remove it, or write `%23` for `#`");
    }
    text.parse().context("write a path such as `/hello/world?a=b`, and anything else as `%20`")
}

/// A header as given on the command line.
#[derive(Debug, Clone)]
struct Header(HeaderName, HeaderValue);

impl FromStr for Header {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, value) = text.split_once(':').context("write it as `name: value`")?;
        Ok(Self(name.trim().parse()?, value.trim().parse()?))
    }
}

pub(crate) fn run(args: &InvokeArgs, signals: Signals) -> anyhow::Result<()> {
    let (config, module) = find(args)?;
    let modules = with_callees(&config, module)?;
    let [module, callees @ ..] = &*modules else { return Ok(()) };
    let mut builder = Runtime::builder();
    if module.section.calls.is_empty() {
        builder = builder.max_in_flight(1);
    }
    let runtime = args.code.build(builder, &config)?;
    deploy::deploy(&runtime, module, &args.functions)?;
    for callee in callees {
        deploy::deploy(&runtime, callee, &FunctionOptions::default())?;
    }
    deploy::link(&runtime, &config, &modules, &FunctionOptions::default())?;
    let report =
        super::block_on(invoke(runtime, &module.name, request(args, &module.name)?, signals))?;
    if args.json { report.print_json() } else { report.print() }
}

/// Invokes the function; a signal cancels it.
async fn invoke(
    runtime: Runtime,
    name: &str,
    request: Request,
    signals: Signals,
) -> anyhow::Result<Report> {
    let (ctx, cancel) = Context::background().with_cancel();
    let first = signals.first();
    tokio::spawn(async move {
        first.await;
        cancel.cancel_with(Cause::Operator);
    });
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let ctx = match id {
        Some(id) => ctx.with_value(&REQUEST_ID, id.to_owned()),
        None => ctx,
    };
    match runtime.invoke(&ctx, name, request).await {
        Ok(response) => Report::of_response(name, response).await,
        Err(error) => Ok(Report::of_failure(&error)),
    }
}

/// The requested module, and the configuration that may name it.
fn find(args: &InvokeArgs) -> anyhow::Result<(Config, Module)> {
    let config = match &args.config {
        Some(path) => Config::load(path)?,
        None => Config::find(Path::new(""))?,
    };
    let name = &args.function;
    let path = Path::new(name);
    if path.is_file() || name.contains('/') || name.ends_with(".wasm") {
        return Ok((config, Module::named_after_file(path)?));
    }
    let module = module(&config, name)?.with_context(|| {
        let file = config.path().display().to_string();
        let file = if file.is_empty() {
            format!("there is no {FILE_NAME}")
        } else {
            format!("{file} names no file for it")
        };
        format!(
            "no function `{name}`: {file}, and no module of that name was built in this directory; \
             build it with `hourglass build`, or give its file"
        )
    })?;
    Ok((config, module))
}

/// The module of the function with that name: the one in the configuration, or
/// else one that was built from this folder.
fn module(config: &Config, name: &str) -> anyhow::Result<Option<Module>> {
    let named = match config.functions.get(name) {
        Some(function) => config.module(function)?,
        None => None,
    };
    let path = named.or_else(|| built(name));
    path.map(|path| Module::named(config, name.to_owned(), path)).transpose()
}

/// The module that `hourglass build` has built from this folder.
fn built(name: &str) -> Option<PathBuf> {
    let own = Path::new("target").join(TARGET).join("release").join(format!("{name}.wasm"));
    if own.is_file() {
        return Some(own);
    }
    // Each crate may have a `target` of its own, or share that of a workspace
    // above this folder.
    let functions = hourglass_build::functions(Path::new(".")).unwrap_or_default();
    let function = functions.iter().find(|function| function.name() == name)?;
    function.module().filter(|module| module.is_file())
}

/// A function, followed by the functions it may call, those they may call, and
/// so on. A missing one is left out: this invocation may not call it.
fn with_callees(config: &Config, first: Module) -> anyhow::Result<Vec<Module>> {
    let mut names: Vec<_> = first.section.calls().map(str::to_owned).collect();
    let mut modules = vec![first];
    while let Some(name) = names.pop() {
        if modules.iter().any(|known| known.name == name) {
            continue;
        }
        if let Some(callee) = module(config, &name)? {
            names.extend(callee.section.calls().map(str::to_owned));
            modules.push(callee);
        }
    }
    Ok(modules)
}

fn request(args: &InvokeArgs, name: &str) -> anyhow::Result<Request> {
    let method = match (&args.method, &args.data) {
        (Some(method), _) => method.clone(),
        (None, Some(_)) => Method::POST,
        (None, None) => Method::GET,
    };
    let path = match &args.path {
        Some(path) => path.clone(),
        None => PathAndQuery::from_str(&format!("/{name}"))?,
    };
    let body = args.data.as_deref().map(read).transpose()?.unwrap_or_default();
    let mut request = Request::new(body.into());
    *request.method_mut() = method;
    *request.uri_mut() = path.into();
    for Header(name, value) in &args.headers {
        request.headers_mut().append(name, value.clone());
    }
    Ok(request)
}

/// Reads the request's body from the source that `--data` gives.
fn read(data: &str) -> anyhow::Result<Vec<u8>> {
    if data == "-" {
        let mut body = Vec::new();
        std::io::stdin().lock().read_to_end(&mut body).context("standard input can't be read")?;
        return Ok(body);
    }
    match data.strip_prefix('@') {
        Some(file) => std::fs::read(file).with_context(|| format!("{file} can't be read")),
        None => Ok(data.as_bytes().to_owned()),
    }
}
