//! Batches over HTTP: `POST /-/batch/FUNCTION`. The request has a job on each
//! line, and the response a result on each line, in the order in which the jobs
//! end.
//!
//! The jobs run under the request's context. If the client disconnects, they are
//! canceled. A client that does not take results holds up the jobs, and these hold
//! up the request's body, so neither side of a batch has to fit into memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use http_body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;

use super::problem;
use super::reserved::Exchange;
use crate::batch::{self, Entry, Parser, Reader, Rejected};
use crate::body::{Body, Pieces, Response};
use crate::context::{Cancel, Cause, Context};
use crate::propagation::headers;
use crate::runtime::Runtime;
use crate::runtime::response_budget::ResponseBudget;
use crate::tasks::{Results, Retry, Task, TaskGroup};

/// The jobs of one batch that run at once, unless the client asks for another
/// number.
const CONCURRENCY: usize = 16;

/// The most that a client may ask for.
const MOST: usize = 256;

/// The most retries of a job.
const RETRIES: u32 = 10;

/// The pieces of the response that wait for the client.
const PIECES: usize = 4;

/// The results that are taken at once.
const TAKEN: usize = 64;

/// A piece of the response is complete at this length, in bytes.
const PIECE: usize = 32 << 10;

/// What a client may choose, in the query.
#[derive(Debug, PartialEq)]
struct Options {
    concurrency: usize,
    retries: u32,
}

/// The response to a request for a batch.
pub(super) fn answer(exchange: Exchange, function: &str, rest: &str) -> Response {
    if !rest.is_empty() {
        return problem::refusal(StatusCode::NOT_FOUND, "there is only /-/batch/FUNCTION");
    }
    if exchange.request.method() != Method::POST {
        let detail = "a batch is sent with POST";
        let mut response = problem::refusal(StatusCode::METHOD_NOT_ALLOWED, detail);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let options = match Options::parse(exchange.request.uri().query().unwrap_or_default()) {
        Ok(options) => options,
        Err(reason) => return problem::refusal(StatusCode::BAD_REQUEST, &reason),
    };
    let Exchange { state, ctx, request, .. } = exchange;
    let runtime = state.runtime.clone();
    let limits = runtime.function_info(function).map(|info| info.limits);
    let Some(limits) = limits else {
        return problem::refusal(StatusCode::NOT_FOUND, "no function of that name is deployed");
    };
    let (ctx, cancel) = match headers::timeout(request.headers()) {
        Some(timeout) => ctx.with_timeout(timeout),
        None => ctx.with_cancel(),
    };
    let (sender, pieces) = Pieces::new(PIECES);
    let (responses, body) = (state.responses.clone(), limits.request_body);
    let run = Run { runtime, responses, function: function.into(), body, options };
    state.tasks.spawn(run.run(ctx, request.into_body(), sender));
    let mut response = Response::new(Body::stream(ResultsBody { pieces, cancel }));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

impl Options {
    fn parse(query: &str) -> Result<Self, String> {
        let mut options = Self { concurrency: CONCURRENCY, retries: 0 };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "concurrency" => options.concurrency = number(name, value, 1, MOST)?,
                "retries" => options.retries = number(name, value, 0, RETRIES)?,
                _ => return Err("the query may have `concurrency` and `retries`".to_owned()),
            }
        }
        Ok(options)
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    name: &str,
    value: &str,
    least: T,
    most: T,
) -> Result<T, String> {
    let number = value.parse().ok().filter(|number| (&least..=&most).contains(&number));
    number.ok_or_else(|| format!("`{name}` must be a number from {least} to {most}"))
}

/// A batch that runs.
struct Run {
    runtime: Runtime,
    /// Holds the responses that are not written yet.
    responses: ResponseBudget,
    function: Box<str>,
    /// The longest body of a job.
    body: u64,
    options: Options,
}

impl Run {
    async fn run(self, ctx: Context, body: Body, sender: mpsc::Sender<Bytes>) {
        let concurrency = self.options.concurrency;
        let group = TaskGroup::new(&ctx).parallelism(concurrency).unread(2 * concurrency);
        let (rejected, rejections) = mpsc::channel(TAKEN);
        let results = group.results();
        tokio::join!(self.read(body, group, rejected), write(results, rejections, sender));
    }

    /// Submits the jobs of a request, until it ends or the context does.
    async fn read(&self, mut body: Body, group: TaskGroup, rejected: mpsc::Sender<Rejected>) {
        let mut reader = Reader::new(Parser::new(&self.function, self.body));
        loop {
            let piece = tokio::select! {
                biased;
                _ = group.context().done() => return,
                piece = body.next() => piece,
            };
            let mut entries = Vec::new();
            // Without its end, the last line of a body that broke off is no job.
            let Some(Ok(piece)) = piece else {
                if piece.is_none() {
                    reader.finish(|entry| entries.push(entry));
                    self.submit(entries, &group, &rejected).await;
                }
                return;
            };
            reader.push(&piece, |entry| entries.push(entry));
            if !self.submit(entries, &group, &rejected).await {
                return;
            }
        }
    }

    /// Submits jobs. False means that no more are accepted.
    async fn submit(
        &self,
        entries: Vec<Entry>,
        group: &TaskGroup,
        rejected: &mpsc::Sender<Rejected>,
    ) -> bool {
        for entry in entries {
            let accepted = match entry {
                Entry::Rejected(one) => rejected.send(one).await.is_ok(),
                Entry::Job { line, job } => {
                    let task = Task::new(&self.runtime, &*self.function, job.request)
                        .label(job.id.label(line))
                        .responses(self.responses.clone())
                        .retry(Retry::times(self.options.retries));
                    group.submit(task).await.is_ok()
                }
            };
            if !accepted {
                return false;
            }
        }
        true
    }
}

/// Sends results to the client, until all are sent or it has disconnected.
async fn write(
    mut results: Results,
    mut rejections: mpsc::Receiver<Rejected>,
    sender: mpsc::Sender<Bytes>,
) {
    let (mut running, mut reading) = (true, true);
    while running || reading {
        let mut text = Vec::new();
        tokio::select! {
            ended = results.next_many(TAKEN), if running => {
                running = !ended.is_empty();
                for ended in ended {
                    batch::write_task(&mut text, ended);
                    if text.len() >= PIECE && !send(&mut text, &sender).await {
                        return;
                    }
                }
            }
            rejected = rejections.recv(), if reading => match rejected {
                Some(rejected) => batch::write_rejected(&mut text, &rejected),
                None => reading = false,
            },
        }
        if !text.is_empty() && !send(&mut text, &sender).await {
            return;
        }
    }
}

/// Sends a piece of the response. False means that the client has disconnected.
async fn send(text: &mut Vec<u8>, sender: &mpsc::Sender<Bytes>) -> bool {
    sender.send(std::mem::take(text).into()).await.is_ok()
}

/// The body of the response. The batch ends with it.
struct ResultsBody {
    pieces: Pieces,
    cancel: Cancel,
}

impl HttpBody for ResultsBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.pieces).poll_frame(cx)
    }
}

impl Drop for ResultsBody {
    fn drop(&mut self) {
        // If it was read to its end, nothing is left to cancel.
        self.cancel.cancel_with(Cause::ClientDisconnected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_chooses_within_bounds() {
        let options = |concurrency, retries| Options { concurrency, retries };
        for (query, expected) in [
            ("", options(16, 0)),
            ("concurrency=256&retries=10", options(256, 10)),
            ("retries=1&", options(16, 1)),
        ] {
            assert_eq!(Options::parse(query), Ok(expected));
        }
        for query in ["concurrency=0", "concurrency=257", "retries=11", "retries", "each=1s"] {
            Options::parse(query).expect_err(query);
        }
    }
}
