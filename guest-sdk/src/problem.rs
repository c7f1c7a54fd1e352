//! Problem documents: how errors are reported to clients.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{Body, IntoResponse, Response, Result};

/// A problem document (RFC 9457): describes an error to the client.
///
/// The host answers in this format if an invocation fails, and [`serve`](crate::serve) if a handler
/// returns an [`Error`](crate::Error). A handler may return one, as a response or as an error. The
/// client sees all of it:
///
/// ```
/// use hourglass_sdk::{Context, Problem, Request, Result, StatusCode};
///
/// fn buy(_: &Context, _: Request) -> Result<()> {
///     Err(Problem::new(StatusCode::CONFLICT, "there are only 2 left").with("left", &2).into())
/// }
/// # let error = buy(&Context::background(), Request::default()).unwrap_err();
/// # assert_eq!(error.status_code(), StatusCode::CONFLICT);
/// ```
///
/// The response has the type `application/problem+json` and the members `type`, `title`, `status`
/// and `detail`. With status 503 it also has a `retry-after` of one second.
#[derive(Clone, Debug)]
#[must_use = "return it"]
pub struct Problem {
    status: StatusCode,
    kind: Cow<'static, str>,
    title: Option<Cow<'static, str>>,
    detail: Cow<'static, str>,
    /// Names and JSON values of additional members.
    members: Vec<(Cow<'static, str>, String)>,
}

impl Problem {
    /// Creates a problem with this status. Its title is the status's, its type `about:blank`.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let kind = Cow::Borrowed("about:blank");
        Self { status, kind, title: None, detail: detail.into(), members: Vec::new() }
    }

    /// Sets the member `type`: a URI that identifies the kind of problem.
    pub fn kind(self, uri: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: uri.into(), ..self }
    }

    /// Sets the member `title`: the kind of problem in words.
    pub fn title(self, title: impl Into<Cow<'static, str>>) -> Self {
        Self { title: Some(title.into()), ..self }
    }

    /// Adds a member, unless there is already one with this name. A value that cannot be encoded in
    /// JSON becomes `null`.
    pub fn with(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: &(impl Serialize + ?Sized),
    ) -> Self {
        let name = name.into();
        let known = ["type", "title", "status", "detail"].contains(&&*name);
        if !known && self.members.iter().all(|(known, _)| *known != name) {
            self.members.push((name, json(value)));
        }
        self
    }

    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Converts the problem to a response.
    #[must_use]
    pub fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.document()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    fn document(&self) -> String {
        let title = self.title.as_deref().or(self.status.canonical_reason()).unwrap_or("Problem");
        let mut document = format!(
            "{{\"type\":{},\"title\":{},\"status\":{},\"detail\":{}",
            json(&*self.kind),
            json(title),
            self.status.as_u16(),
            json(&*self.detail)
        );
        for (name, value) in &self.members {
            document.extend([",", &json(&**name), ":", value]);
        }
        document.push_str("}\n");
        document
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Result<Response> {
        Ok(self.response())
    }
}

/// Shows the detail.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}
