//! Shows everything that a function can see of the request and of its context.
//!
//! ```text
//! $ curl 'http://127.0.0.1:8080/metadata/a/path?and=query' --data 'a body'
//! ```

use std::time::Duration;

use hourglass_sdk::http::HeaderMap;
use hourglass_sdk::{Context, Json, Request, Result, serve};
use serde::Serialize;

fn main() {
    serve(metadata)
}

#[derive(Serialize)]
struct Metadata {
    request: RequestData,
    context: ContextData,
}

/// The content of the request.
#[derive(Serialize)]
struct RequestData {
    method: String,
    path: String,
    query: Option<String>,
    /// A list, because one name can have several values.
    headers: Vec<Pair>,
    body_bytes: usize,
}

/// A snapshot of the context.
#[derive(Serialize)]
struct ContextData {
    /// How it is done; `None` while it is not.
    err: Option<String>,
    /// Why it is done; `None` while it is not.
    cause: Option<String>,
    /// The time left; `None` if there is no deadline.
    remaining_ms: Option<u128>,
    request_id: Option<String>,
    values: Vec<Pair>,
}

#[derive(Serialize)]
struct Pair {
    name: String,
    value: String,
}

fn metadata(ctx: &Context, req: Request) -> Result<Json<Metadata>> {
    Ok(Json(Metadata { request: of_request(&req)?, context: of_context(ctx) }))
}

fn of_request(req: &Request) -> Result<RequestData> {
    Ok(RequestData {
        method: req.method().to_string(),
        path: req.uri().path().to_owned(),
        query: req.uri().query().map(str::to_owned),
        headers: pairs_of(req.headers()),
        body_bytes: req.body().collect()?.len(),
    })
}

fn of_context(ctx: &Context) -> ContextData {
    let pair = |(name, value)| Pair { name, value };
    ContextData {
        err: ctx.err().map(|done| done.to_string()),
        cause: ctx.cause().map(|cause| cause.to_string()),
        remaining_ms: ctx.remaining().as_ref().map(Duration::as_millis),
        request_id: ctx.request_id(),
        values: ctx.values().into_iter().map(pair).collect(),
    }
}

fn pairs_of(headers: &HeaderMap) -> Vec<Pair> {
    let pairs = headers.iter().map(|(name, value)| Pair {
        name: name.to_string(),
        // A value may be any bytes, but JSON has only text.
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use hourglass_sdk::{Cause, keys};
    use serde_json::{Value, json};

    use super::*;

    fn shown(ctx: &Context, req: Request) -> Result<Value> {
        Ok(serde_json::to_value(metadata(ctx, req)?.0)?)
    }

    #[test]
    fn shows_the_whole_request() -> Result<()> {
        let req = Request::builder()
            .method("POST")
            .uri("/metadata/a?b=c")
            .header("accept", "text/html")
            .header("accept", "text/plain")
            .body("a body".into())?;
        let request = json!({
            "method": "POST",
            "path": "/metadata/a",
            "query": "b=c",
            "headers": [
                { "name": "accept", "value": "text/html" },
                { "name": "accept", "value": "text/plain" },
            ],
            "body_bytes": 6,
        });
        assert_eq!(shown(&Context::background(), req)?["request"], request);
        Ok(())
    }

    #[test]
    fn shows_the_whole_context() -> Result<()> {
        let ctx = Context::background().with_host_value(&keys::REQUEST_ID, "r-1".to_owned());
        let (ctx, cancel) = ctx.with_timeout(Duration::ZERO).with_cancel();
        cancel.cancel_with(Cause::Shutdown);
        let context = json!({
            "err": "context deadline exceeded",
            "cause": "deadline-exceeded",
            "remaining_ms": 0,
            "request_id": "r-1",
            "values": [{ "name": "request-id", "value": "r-1" }],
        });
        assert_eq!(shown(&ctx, Request::default())?["context"], context);
        Ok(())
    }

    #[test]
    fn what_is_not_there_is_null() -> Result<()> {
        let shown = shown(&Context::background(), Request::default())?;
        assert_eq!(shown["request"]["query"], Value::Null);
        assert_eq!(shown["context"]["err"], Value::Null);
        assert_eq!(shown["context"]["remaining_ms"], Value::Null);
        Ok(())
    }
}
