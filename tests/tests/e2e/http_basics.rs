//! A function over HTTP: requests, responses, headers and framing.

use std::time::Duration;

use anyhow::Result;
use hourglass::Function;
use hourglass_tests::guests::function;
use hourglass_tests::host::Host;
use hourglass_tests::modules;
use http::header::CONTENT_LENGTH;
use http::{Method, Request};
use serde_json::Value;

/// A large body. Each byte depends on its position.
fn five_megabytes() -> Vec<u8> {
    (0..5_u32 << 20).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn one_connection_carries_many_requests() -> Result<()> {
    let host = Host::serve([function("hello", "hello")]).await?;
    let mut client = host.client().await?;
    for name in ["one", "two", "three"] {
        let answer = client.get(&format!("/hello/{name}")).await?;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        let text = String::from_utf8(answer.into_body())?;
        assert!(text.starts_with(&format!("hello {name}, ")), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_may_be_pipelined() -> Result<()> {
    let host = Host::serve([function("hello", "hello")]).await?;
    let mut client = host.client().await?;
    client
        .send("GET /hello/a HTTP/1.1\r\nhost: x\r\n\r\nGET /hello/b HTTP/1.1\r\nhost: x\r\n\r\n")
        .await?;
    for name in ["a", "b"] {
        let answer = client.answer(&Method::GET).await?;
        assert!(answer.body().starts_with(format!("hello {name}, ").as_bytes()));
    }
    Ok(())
}

#[tokio::test]
async fn a_head_request_gets_headers_and_no_body() -> Result<()> {
    let host = Host::serve([function("hello", "hello")]).await?;
    let mut client = host.client().await?;
    let answer = client.request(&Request::head("/hello").body("")?).await?;
    assert_eq!(answer.status(), 200);
    assert_ne!(answer.headers()[CONTENT_LENGTH], "0");
    // A body would be taken for the next response.
    assert_eq!(client.get("/hello").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_request_id_is_returned() -> Result<()> {
    let host = Host::serve([function("metadata", "metadata")]).await?;
    let mut client = host.client().await?;
    let request = Request::get("/metadata").header("x-request-id", "mine-1").body("")?;
    let answer = client.request(&request).await?;
    assert_eq!(answer.headers()["x-request-id"], "mine-1");
    let shown: Value = serde_json::from_slice(answer.body())?;
    assert_eq!(shown["context"]["request_id"], "mine-1");
    Ok(())
}

#[tokio::test]
async fn a_missing_request_id_is_generated() -> Result<()> {
    let host = Host::serve([function("metadata", "metadata")]).await?;
    let mut client = host.client().await?;
    let mut seen = Vec::new();
    let too_long = "x".repeat(129);
    for given in [None, None, Some(""), Some("with blanks"), Some(&*too_long)] {
        let mut request = Request::get("/metadata");
        if let Some(given) = given {
            request = request.header("x-request-id", given);
        }
        let answer = client.request(&request.body("")?).await?;
        let id = answer.headers()["x-request-id"].to_str()?.to_owned();
        assert_eq!(id.len(), 32, "{id}");
        let shown: Value = serde_json::from_slice(answer.body())?;
        assert_eq!(shown["context"]["request_id"], *id);
        let header = serde_json::json!({ "name": "x-request-id", "value": id });
        assert!(shown["request"]["headers"].as_array().unwrap().contains(&header));
        assert!(!seen.contains(&id), "{id} twice");
        seen.push(id);
    }
    Ok(())
}

#[tokio::test]
async fn bodies_round_trip() -> Result<()> {
    let host = Host::serve([function("echo", "echo")]).await?;
    let mut client = host.client().await?;
    for body in [vec![], b"one byte more than none".to_vec(), five_megabytes()] {
        let answer = client.request(&Request::post("/echo").body(&body)?).await?;
        assert_eq!(answer.status(), 200);
        assert!(*answer.body() == body, "{} bytes came back", answer.body().len());
    }
    Ok(())
}

#[tokio::test]
async fn chunked_bodies_round_trip() -> Result<()> {
    let host = Host::serve([function("echo", "echo")]).await?;
    let mut client = host.client().await?;
    for body in [vec![], b"in pieces".to_vec(), five_megabytes()] {
        let mut chunked = Vec::new();
        for chunk in body.chunks(70_000) {
            chunked.extend(format!("{:x}\r\n", chunk.len()).bytes());
            chunked.extend(chunk);
            chunked.extend(b"\r\n");
        }
        chunked.extend(b"0\r\n\r\n");
        let request =
            Request::post("/echo").header("transfer-encoding", "chunked").body(chunked)?;
        let answer = client.request(&request).await?;
        assert_eq!(answer.status(), 200);
        assert!(*answer.body() == body, "{} bytes came back", answer.body().len());
    }
    Ok(())
}

#[tokio::test]
async fn expect_100_continue_is_answered() -> Result<()> {
    let host = Host::serve([function("echo", "echo")]).await?;
    let mut client = host.client().await?;
    let head =
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n";
    client.send(head).await?;
    let go_on = client.interim().await?;
    assert_eq!(go_on, 100);
    client.send("body").await?;
    assert_eq!(client.answer(&Method::POST).await?.body(), b"body");
    Ok(())
}

#[tokio::test]
async fn headers_go_both_ways() -> Result<()> {
    let host = Host::serve([function("echo", "echo")]).await?;
    let request = Request::get("/echo")
        .header("x-one", "1")
        .header("x-two", "a")
        .header("x-two", "b")
        .header("x-three", "not only ASCII: \u{fc}".as_bytes())
        .body("")?;
    let answer = host.client().await?.request(&request).await?;
    assert_eq!(answer.headers()["x-one"], "1");
    assert_eq!(answer.headers().get_all("x-two").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(answer.headers()["x-three"].as_bytes(), "not only ASCII: \u{fc}".as_bytes());
    assert!(answer.headers().contains_key("date"));
    Ok(())
}

#[tokio::test]
async fn a_function_cannot_break_its_connection() -> Result<()> {
    let answering = |name, headers: &[(&str, &str)]| {
        let module = modules::responding(&modules::head(200, headers), 1, |_| ());
        Function::from_bytes(name, module)
    };
    let host = Host::serve([
        answering("lies", &[("content-length", "100")])?,
        answering("babbles", &[("content-length", "0"), ("content-length", "a")])?,
        answering("forges", &[("x-request-id", "another's")])?,
    ])
    .await?;
    let mut client = host.client().await?;
    for name in ["lies", "babbles", "forges", "lies"] {
        let request = Request::get(format!("/{name}")).header("x-request-id", name).body("")?;
        let answer = client.request(&request).await?;
        assert_eq!(answer.headers()[CONTENT_LENGTH], "0", "{name}");
        let ids: Vec<_> = answer.headers().get_all("x-request-id").iter().collect();
        assert_eq!(ids, [name]);
    }
    Ok(())
}

/// A function that responds with a raw head and a body of four bytes.
fn answering(name: &str, status: u16, headers: &[(&str, &str)]) -> Result<Function> {
    let module = modules::answering(&modules::head(status, headers), b"four");
    Ok(Function::from_bytes(name, module)?)
}

#[tokio::test]
async fn a_function_cannot_change_the_framing_of_its_response() -> Result<()> {
    let cases: [&[(&str, &str)]; 10] = [
        &[("content-length", "0")],
        &[("content-length", "3")],
        &[("content-length", "5")],
        &[("content-length", "4"), ("content-length", "1")],
        &[("content-length", "+4")],
        &[("transfer-encoding", "chunked")],
        &[("content-length", "1"), ("transfer-encoding", "gzip, chunked")],
        &[("connection", "close, x-hop"), ("x-hop", "1"), ("keep-alive", "timeout=1")],
        &[("connection", "upgrade"), ("upgrade", "other/1"), ("trailer", "x-late")],
        &[("te", "trailers"), ("proxy-connection", "close")],
    ];
    let names: Vec<_> = (0..cases.len()).map(|case| format!("case-{case}")).collect();
    let functions = names.iter().zip(cases).map(|(name, case)| answering(name, 200, case));
    let host = Host::serve(functions.collect::<Result<Vec<_>>>()?).await?;
    let mut client = host.client().await?;
    for (name, case) in names.iter().zip(cases) {
        for method in [Method::GET, Method::HEAD] {
            let body: &[u8] = if method == Method::GET { b"four" } else { b"" };
            let request = Request::builder().method(&method).uri(format!("/{name}"));
            let answer = client.request(&request.header("x-request-id", name).body("")?).await?;
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.body(), body, "{method} {case:?}");
            // The response to another request would have another id.
            assert_eq!(answer.headers()["x-request-id"], **name);
            if method == Method::GET {
                assert_eq!(answer.headers()["content-length"], "4");
            }
            for (gone, _) in case.iter().filter(|(name, _)| *name != "content-length") {
                assert!(!answer.headers().contains_key(*gone), "{gone}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn bodyless_statuses_have_no_body() -> Result<()> {
    let length = [("content-length", "4")];
    let functions = [answering("none", 204, &length)?, answering("same", 304, &length)?];
    let host = Host::serve(functions).await?;
    let mut client = host.client().await?;
    for (name, status) in [("none", 204), ("same", 304), ("none", 204)] {
        for request in [Request::get(format!("/{name}")), Request::head(format!("/{name}"))] {
            let request = request.header("x-request-id", name).body("")?;
            // A body would be taken for the next response.
            let answer = client.request(&request).await?;
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["x-request-id"], name);
            assert!(status == 304 || !answer.headers().contains_key("content-length"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_function_sees_its_request_and_its_context() -> Result<()> {
    let timeout = Duration::from_secs(60);
    let host = Host::serve([function("shown", "metadata").timeout(timeout)]).await?;
    let request = Request::put("/shown/a%20path?with=a&query").body("a body")?;
    let answer = host.client().await?.request(&request).await?;
    assert_eq!(answer.headers()["content-type"], "application/json");
    let shown: Value = serde_json::from_slice(answer.body())?;
    let (request, context) = (&shown["request"], &shown["context"]);
    assert_eq!(request["method"], "PUT");
    assert_eq!(request["path"], "/shown/a%20path");
    assert_eq!(request["query"], "with=a&query");
    assert_eq!(request["body_bytes"], 6);
    assert_eq!(context["err"], Value::Null);
    assert_eq!(context["cause"], Value::Null);
    let remaining = context["remaining_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&remaining), "{remaining}");
    let function = serde_json::json!({ "name": "function", "value": "shown" });
    assert!(context["values"].as_array().unwrap().contains(&function));
    Ok(())
}

#[tokio::test]
async fn a_clients_budget_only_shortens_the_timeout() -> Result<()> {
    let host =
        Host::serve([function("metadata", "metadata").timeout(Duration::from_secs(60))]).await?;
    let mut client = host.client().await?;
    let both = [("grpc-timeout", "40S"), ("x-envoy-expected-rq-timeout-ms", "30000")];
    for (headers, most) in [
        (&[][..], 60_000),
        (&[("grpc-timeout", "20S")], 20_000),
        (&[("grpc-timeout", "1H")], 60_000),
        (&[("grpc-timeout", "soon")], 60_000),
        (&[("x-envoy-expected-rq-timeout-ms", "20000")], 20_000),
        (&[("x-envoy-expected-rq-timeout-ms", "3600000")], 60_000),
        (&both, 30_000),
    ] {
        let mut request = Request::get("/metadata");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = client.request(&request.body("")?).await?;
        let shown: Value = serde_json::from_slice(answer.body())?;
        let remaining = shown["context"]["remaining_ms"].as_u64().unwrap();
        // The delay of a slow machine is less than the distance to the next shorter budget.
        assert!((most - 9_000..=most).contains(&remaining), "{headers:?}: {remaining}");
    }
    Ok(())
}

#[tokio::test]
async fn a_route_may_name_any_function() -> Result<()> {
    let runtime = hourglass_tests::host::runtime([function("metadata", "metadata")]);
    let mut routes = hourglass::http::Routes::new();
    routes.add("/shown/{id}", "metadata")?;
    let host = Host::start(runtime, |server| server.routes(routes)).await?;
    let answer = host.get("/shown/7").await?;
    let shown: Value = serde_json::from_slice(answer.body())?;
    assert_eq!(shown["request"]["path"], "/shown/7");
    // It is served at its route only.
    assert_eq!(host.get("/metadata").await?.status(), 404);
    assert_eq!(host.get("/shown").await?.status(), 404);
    Ok(())
}

/// A host with a function that is served by name, one with routes, an internal one and one of the
/// embedder.
async fn with_routes(listing: bool, root: bool) -> Result<Host> {
    let functions = ["hello", "shop", "price"].map(|name| function(name, "hello"));
    let runtime = hourglass_tests::host::runtime(functions);
    runtime.provide("clock", Duration::from_secs(1), async |_, _| Ok(http::Response::new("")))?;
    let mut routes = hourglass::http::Routes::new();
    routes.add("/items/{id}", "shop")?;
    routes.add("/items", "shop")?;
    routes.internal("price")?;
    if root {
        routes.add("/", "shop")?;
    }
    Ok(Host::start(runtime, |server| server.routes(routes).listing(listing)).await?)
}

#[tokio::test]
async fn the_root_lists_the_public_functions() -> Result<()> {
    let host = with_routes(true, false).await?;
    let mut client = host.client().await?;
    let text = client.get("/").await?;
    assert_eq!(text.status(), 200);
    assert_eq!(text.headers()["vary"], "accept");
    assert_eq!(text.headers()["content-type"], "text/plain; charset=utf-8");
    let expected = "functions:\n  hello  /hello\n  shop  /items/{id}  /items\n\n\
                    example:\n  curl http://a.example:80/hello\n";
    let named = Request::get("/").header("host", "a.example:80").body("")?;
    assert_eq!(String::from_utf8(client.request(&named).await?.into_body())?, expected);
    // A host that a shell would not take as it is is not repeated.
    let odd = Request::get("/").header("host", "$(a)").body("")?;
    assert!(!String::from_utf8(client.request(&odd).await?.into_body())?.contains("curl"));

    let head = client.request(&Request::head("/").body("")?).await?;
    assert_eq!(head.headers()[CONTENT_LENGTH], text.headers()[CONTENT_LENGTH]);
    let json = Request::get("/?x=1").header("accept", "application/json").header("host", "a");
    let json = client.request(&json.body("")?).await?;
    assert_eq!(json.headers()["content-type"], "application/json");
    assert_eq!(
        serde_json::from_slice::<Value>(json.body())?,
        serde_json::json!({
            "functions": [
                { "name": "hello", "paths": ["/hello"] },
                { "name": "shop", "paths": ["/items/{id}", "/items"] },
            ],
            "example": "curl http://a/hello",
        })
    );
    assert_eq!(client.request(&Request::post("/").body("")?).await?.status(), 404);
    Ok(())
}

#[tokio::test]
async fn a_route_and_a_setting_precede_the_list() -> Result<()> {
    let text = with_routes(true, true).await?.get("/").await?.into_body();
    assert!(text.starts_with(b"hello "), "{}", String::from_utf8_lossy(&text));
    let absent = with_routes(false, false).await?.get("/").await?;
    assert_eq!(absent.status(), 404);
    assert_eq!(serde_json::from_slice::<Value>(absent.body())?["outcome"], "not-found");
    Ok(())
}
