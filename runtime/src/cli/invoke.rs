//! `hourglass invoke`: one invocation, in this process.

use std::io::Read as _;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};

use super::local::LocalOptions;
use super::report::Report;
use super::settings::FunctionOptions;
use super::signals::Signals;
use super::unshown::Unshown;
use crate::body::{REQUEST_ID, Request};
use crate::context::{Cause, Context};
use crate::runtime::Runtime;

/// Runs a function once, in this process, and prints the body of its response.
///
/// A status other than 2xx is printed to standard error. Without a response the
/// reason is printed there, and the exit code is 1.
#[derive(Debug, clap::Args)]
pub(crate) struct InvokeArgs {
    #[command(flatten)]
    local: LocalOptions,
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
    let (runtime, name) = args.local.deploy(Some(1), &args.functions, |function| function)?;
    let report = super::block_on(invoke(runtime, &name, request(args, &name)?, signals))?;
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
    let first = signals.next();
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
