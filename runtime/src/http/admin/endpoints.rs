//! The endpoints of the admin listener and their responses.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use serde::Serialize;

use super::guard::{AdminGuard, Denial};
use super::listing::{Canceled, Listed};
use super::metrics;
use crate::body::Response;
use crate::http::header_limits::HeaderLimits;
use crate::http::health;
use crate::http::problem;
use crate::http::refusal::Refusal;
use crate::runtime::Runtime;

/// All endpoints, behind the guard.
pub(super) struct Endpoints {
    pub(super) runtime: Runtime,
    pub(super) guard: AdminGuard,
    pub(super) headers: HeaderLimits,
}

impl Endpoints {
    /// The response to a request; the body is ignored.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response {
        let mut response = match Refusal::of(request, self.headers) {
            Some(refusal) => malformed(refusal),
            None => match health::response(request, "", &self.runtime) {
                Some(health) => health,
                None => match self.guard.admit(request.headers()) {
                    Ok(()) => self.dispatch(request),
                    Err(denial) => denied(denial),
                },
            },
        };
        // The list is private, and outdated as soon as it is sent.
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    fn dispatch<B>(&self, request: &Request<B>) -> Response {
        let segments: Vec<_> = request.uri().path().split('/').skip(1).collect();
        match (request.method(), segments.as_slice()) {
            (&Method::GET, ["metrics"]) => {
                let (kind, body) = metrics::exposition(&self.runtime, request.headers());
                with(Response::new(body.into()), CONTENT_TYPE, kind)
            }
            (_, ["metrics"]) => only("GET"),
            (&Method::GET, ["invocations"]) => self.list(),
            (_, ["invocations"]) => only("GET"),
            (&Method::DELETE, ["invocations", id]) => self.cancel(id),
            (_, ["invocations", _]) => only("DELETE"),
            _ => problem::refusal(
                StatusCode::NOT_FOUND,
                "there are GET /invocations, DELETE /invocations/ID, GET /metrics, GET /livez and \
                 GET /readyz",
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

fn json(value: &impl Serialize) -> Response {
    // Serializing a list or a number to JSON can't fail.
    let mut body = serde_json::to_vec(value).unwrap_or_default();
    body.push(b'\n');
    with(Response::new(body.into()), CONTENT_TYPE, "application/json")
}

fn only(method: &'static str) -> Response {
    let detail = format!("only {method} can be asked of this");
    with(problem::refusal(StatusCode::METHOD_NOT_ALLOWED, &detail), ALLOW, method)
}

/// The response to a malformed request.
fn malformed(refusal: Refusal) -> Response {
    tracing::debug!(%refusal, "a request to the admin listener was refused");
    let mut response = refusal.response();
    if let Some(allowed) = response.headers_mut().get_mut(ALLOW) {
        *allowed = HeaderValue::from_static("GET, DELETE");
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

fn with(mut response: Response, name: HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}
