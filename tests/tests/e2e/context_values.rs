//! Values that the server derives from a request, as the function finds them in its context.

use anyhow::Result;
use hourglass::http::{Route, Routes};
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use http::Request;
use serde_json::Value;

/// A host whose function responds with its context values.
async fn host() -> Result<Host> {
    let mut routes = Routes::new();
    routes.route(Route::new("/tenants/{id}/{*rest}", "shown").baggage(["tenant", "plan"]))?;
    routes.by_name("shown")?;
    let runtime = host::runtime([function("shown", "metadata")]);
    let settings = |server: hourglass::http::Server| {
        let user = |headers: &http::HeaderMap| Some(headers.get("x-user")?.to_str().ok()?.into());
        server.routes(routes).principal(user)
    };
    Ok(Host::start(runtime, settings).await?)
}

/// The context values of a request.
async fn values(host: &Host, request: http::request::Builder) -> Result<Vec<(String, String)>> {
    let answer = host.client().await?.request(&request.body("")?).await?;
    let shown: Value = serde_json::from_slice(answer.body())?;
    let values = shown["context"]["values"].as_array().unwrap().iter();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    Ok(values.map(|value| (text(value, "name"), text(value, "value"))).collect())
}

fn value<'a>(values: &'a [(String, String)], name: &str) -> Option<&'a str> {
    values.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
}

#[tokio::test]
async fn route_parameters_and_baggage_are_values() -> Result<()> {
    let host = host().await?;
    let request = Request::get("/tenants/a%20b/c/d?e")
        .header("baggage", "plan=free;ttl=1,secret=hush")
        .header("baggage", "tenant=%C3%A9")
        .header("x-user", "ada");
    let found = values(&host, request).await?;
    for (name, expected) in [
        ("route.id", Some("a b")),
        ("route.rest", Some("c/d")),
        ("plan", Some("free")),
        ("tenant", Some("\u{e9}")),
        ("secret", None),
        ("principal", Some("ada")),
        ("client-address", Some("127.0.0.1")),
        ("function", Some("shown")),
    ] {
        assert_eq!(value(&found, name), expected, "{name}: {found:?}");
    }
    Ok(())
}

#[tokio::test]
async fn baggage_that_no_route_allows_is_dropped() -> Result<()> {
    let host = host().await?;
    let request = Request::get("/shown")
        .header("baggage", "tenant=acme,principal=root,request-id=forged,route.id=7");
    let found = values(&host, request).await?;
    for name in ["tenant", "principal", "route.id"] {
        assert_eq!(value(&found, name), None, "{name}: {found:?}");
    }
    assert_ne!(value(&found, "request-id"), Some("forged"));
    Ok(())
}

#[tokio::test]
async fn a_request_continues_or_starts_a_trace() -> Result<()> {
    let host = host().await?;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let request = Request::get("/shown").header("traceparent", &parent).header("tracestate", "a=1");
    let found = values(&host, request).await?;
    let step = value(&found, "traceparent").unwrap();
    assert!(step.starts_with(&format!("00-{trace}-")) && step.ends_with("-01"), "{step}");
    assert_ne!(step, parent);
    assert_eq!(value(&found, "tracestate"), Some("a=1"));
    let found = values(&host, Request::get("/shown").header("traceparent", "bad")).await?;
    let own = value(&found, "traceparent").unwrap();
    assert!(own.len() == 55 && !own.contains(trace), "{own}");
    assert_eq!(value(&found, "tracestate"), None);
    Ok(())
}
