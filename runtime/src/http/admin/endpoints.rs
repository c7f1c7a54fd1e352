//! The endpoints of the admin listener and their responses.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body::Body as HttpBody;
use serde::Serialize;

use super::connections::ConnectionState;
use super::dashboard::events::Streams;
use super::dashboard::{functions, invoke, recordings};
use super::deploys::Deploys;
use super::guard::{AdminGuard, Denial};
use super::listing::{Canceled, Listed};
use super::{metrics, page};
use crate::body::{BodyError, Response};
use crate::http::header_limits::HeaderLimits;
use crate::http::health;
use crate::http::problem;
use crate::http::refusal::Refusal;
use crate::http::route_table::RouteTable;
#[cfg(feature = "jobs")]
use crate::jobs::{Jobs, Schedules};
use crate::runtime::Runtime;

/// All endpoints, behind the guard.
pub(super) struct Endpoints {
    pub(super) runtime: Runtime,
    pub(super) routes: RouteTable,
    pub(super) deploys: Deploys,
    pub(super) guard: AdminGuard,
    pub(super) headers: HeaderLimits,
    pub(super) streams: Streams,
    #[cfg(feature = "jobs")]
    pub(super) jobs: Option<Jobs>,
    #[cfg(feature = "jobs")]
    pub(super) schedules: Option<Schedules>,
}

impl Endpoints {
    /// The response to a request of a connection.
    pub(super) async fn answer<B>(
        &self,
        request: Request<B>,
        connection: &Arc<ConnectionState>,
    ) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BodyError>>,
    {
        let mut response = match self.open(&request) {
            Some(response) => response,
            None => self.dispatch(request, connection).await,
        };
        // Everything is private, and outdated as soon as it is sent.
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    /// The response to a request that is malformed, that is not authorized, or
    /// that needs no authorization.
    fn open<B>(&self, request: &Request<B>) -> Option<Response> {
        if let Some(refusal) = Refusal::of(request, self.headers) {
            return Some(malformed(refusal));
        }
        if let Some(health) = health::response(request, "", &self.runtime) {
            return Some(health);
        }
        if let Some(page) = page::response(request) {
            return Some(page);
        }
        self.guard.admit(request.headers()).err().map(denied)
    }

    async fn dispatch<B>(&self, request: Request<B>, connection: &Arc<ConnectionState>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BodyError>>,
    {
        let (runtime, uri) = (&self.runtime, request.uri().clone());
        let segments: Vec<_> = uri.path().split('/').skip(1).collect();
        let is = |method| request.method() == method;
        match segments.as_slice() {
            ["metrics"] if is(Method::GET) => {
                #[cfg(feature = "jobs")]
                let jobs = match &self.jobs {
                    Some(jobs) => jobs.counts().await.ok(),
                    None => None,
                };
                let (kind, body) = metrics::exposition(
                    runtime,
                    request.headers(),
                    #[cfg(feature = "jobs")]
                    jobs,
                );
                with(Response::new(body.into()), CONTENT_TYPE, kind)
            }
            ["invocations"] if is(Method::GET) => self.list(),
            ["invocations", id] if is(Method::DELETE) => self.cancel(id),
            ["events"] if is(Method::GET) => self.streams.open(runtime, connection.busy()),
            ["requests"] if is(Method::GET) => recordings::list(runtime, &uri),
            ["requests", id] if is(Method::GET) => recordings::show(runtime, id),
            ["functions"] if is(Method::GET) => functions::list(runtime, &self.routes.read()),
            ["functions", name, "invoke"] if is(Method::POST) => {
                let _busy = connection.busy();
                invoke::run(runtime, name, request).await
            }
            #[cfg(feature = "jobs")]
            ["schedules"] if is(Method::GET) => super::schedules::list(self.schedules.as_ref()),
            #[cfg(feature = "jobs")]
            ["schedules"] => only("GET"),
            #[cfg(feature = "jobs")]
            ["jobs", rest @ ..] => match &self.jobs {
                Some(queue) => jobs(queue, request.method(), &uri, rest).await,
                None => super::jobs::none(),
            },
            ["functions", name] => {
                let _busy = connection.busy();
                self.deploys.answer(runtime, name, None, request).await
            }
            ["functions", name, action @ ("versions" | "rollback" | "canary")] => {
                let action = Some(*action);
                self.deploys.answer(runtime, name, action, request).await
            }
            ["reload"] if is(Method::POST) => {
                let _busy = connection.busy();
                self.deploys.reload().await
            }
            ["metrics" | "invocations" | "events" | "requests" | "functions"] | ["requests", _] => {
                only("GET")
            }
            ["invocations", _] => only("DELETE"),
            ["functions", _, "invoke"] | ["reload"] => only("POST"),
            _ => problem::refusal(
                StatusCode::NOT_FOUND,
                "there are /, /events, /requests, /functions, /invocations, /jobs, /schedules, \
                 /metrics, /reload, /livez and /readyz",
            ),
        }
    }

    fn list(&self) -> Response {
        let listed = self.runtime.invocations().into_iter().map(Listed::from);
        json(&listed.collect::<Vec<_>>())
    }

    fn cancel(&self, id: &str) -> Response {
        let canceled = id.parse().map_or(0, |id| self.runtime.cancel(id));
        if canceled == 0 {
            let detail = format!("no invocation {id} is in flight");
            return problem::refusal(StatusCode::NOT_FOUND, &detail);
        }
        tracing::info!(id, canceled, "an operator canceled an invocation");
        json(&Canceled { canceled })
    }
}

/// The response to a request for jobs.
#[cfg(feature = "jobs")]
async fn jobs(queue: &Jobs, method: &Method, uri: &http::Uri, rest: &[&str]) -> Response {
    match (method, rest) {
        (&Method::GET, []) => super::jobs::list(queue, uri).await,
        (&Method::GET, [id]) => super::jobs::show(queue, id).await,
        (&Method::DELETE, [id]) => super::jobs::remove(queue, id).await,
        (&Method::POST, [id, "retry"]) => super::jobs::retry(queue, id).await,
        (_, []) => only("GET"),
        (_, [_]) => only("GET, DELETE"),
        _ => only("POST"),
    }
}

pub(super) fn json(value: &impl Serialize) -> Response {
    // Serializing texts, lists and numbers to JSON can't fail.
    let mut body = serde_json::to_vec(value).unwrap_or_default();
    body.push(b'\n');
    with(Response::new(body.into()), CONTENT_TYPE, "application/json")
}

pub(super) fn only(method: &'static str) -> Response {
    let detail = format!("only {method} can be asked of this");
    with(problem::refusal(StatusCode::METHOD_NOT_ALLOWED, &detail), ALLOW, method)
}

/// The response to a malformed request.
fn malformed(refusal: Refusal) -> Response {
    tracing::debug!(%refusal, "a request to the admin listener was refused");
    let mut response = refusal.response();
    if let Some(allowed) = response.headers_mut().get_mut(ALLOW) {
        *allowed = HeaderValue::from_static("GET, POST, PUT, DELETE");
    }
    response
}

fn denied((status, detail): Denial) -> Response {
    tracing::debug!(detail, "a request to the admin listener was refused");
    let response = problem::refusal(status, detail);
    match status {
        StatusCode::UNAUTHORIZED => with(response, WWW_AUTHENTICATE, "Bearer"),
        _ => response,
    }
}

pub(super) fn with(mut response: Response, name: HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}
