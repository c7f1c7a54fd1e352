//! CGI programs: standard input is the request, standard output is the response.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use hourglass::{Body, Context, Function, InvokeError, Key, Outcome, Response, Runtime, mib};
use hourglass_tests::client::Client;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::{LONG, lines, modules};
use http::{Method, Request};
use wasm_encoder::ValType;

use super::command::hourglass;

pub(super) fn cgi(name: &str) -> Function {
    function(name, "cgi").timeout(LONG)
}

/// A host with one function, and a client that has sent a POST with a part of its body.
pub(super) async fn asked(function: Function, way: &str, body: &str) -> Result<(Host, Client)> {
    let name = function.name().to_owned();
    let host = Host::serve([function]).await?;
    let mut client = host.client().await?;
    let head = "HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(format!("POST /{name}/{way} {head}{body}")).await?;
    Ok((host, client))
}

pub(super) async fn invoked(
    runtime: &Runtime,
    path: &str,
    body: Body,
) -> Result<Response, InvokeError> {
    let name = path.split('/').nth(1).unwrap();
    let request = Request::post(path).body(body).unwrap();
    runtime.invoke(&Context::background(), name, request).await
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().bytes().await.unwrap().to_vec()).unwrap()
}

/// The environment variables of the function.
async fn environment(
    runtime: &Runtime,
    ctx: &Context,
    request: Request<()>,
) -> BTreeMap<String, String> {
    let answer = runtime.invoke(ctx, "shop", request).await.unwrap();
    let text = text(answer).await;
    let pairs = text.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn standard_output_is_the_body() -> Result<()> {
    let host = Host::serve([cgi("bare")]).await?;
    let mut client = host.client().await?;
    for (printed, kind) in [
        (&b"hello\n\nContent-Type: a/b\n\n"[..], "text/plain; charset=utf-8"),
        (b"X-A: not of CGI\n\n", "text/plain; charset=utf-8"),
        (b"Status: 404", "text/plain; charset=utf-8"),
        (b"\n\n", "text/plain; charset=utf-8"),
        (b"\x89PNG\r\n\x1a\n", "application/octet-stream"),
    ] {
        let answer = client.request(&Request::post("/bare/cat").body(printed)?).await?;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], kind, "{printed:?}");
        assert_eq!(answer.body(), printed);
        // The program ends before its output is due, so the length is known.
        assert_eq!(answer.headers()["content-length"], printed.len().to_string());
    }
    Ok(())
}

#[tokio::test]
async fn a_head_ends_at_the_first_blank_line() -> Result<()> {
    let host = Host::serve([cgi("heads")]).await?;
    let mut client = host.client().await?;
    let head = "Status: 404 Not Here\nContent-Type: a/b\nX-A: 1\nX-A: 2\n\n";
    for head in [head.to_owned(), head.replace('\n', "\r\n")] {
        let request = Request::post("/heads/cat").body(head + "a\n\nbody")?;
        let answer = client.request(&request).await?;
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["content-type"], "a/b");
        assert_eq!(answer.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert!(!answer.headers().contains_key("status"));
        assert_eq!(answer.body(), b"a\n\nbody");
    }
    let request = Request::post("/heads/cat").body("Location: /there\n\n")?;
    let answer = client.request(&request).await?;
    assert_eq!(answer.status(), 302);
    assert_eq!((&answer.headers()["location"], &**answer.body()), (&"/there".parse()?, &b""[..]));
    Ok(())
}

#[tokio::test]
async fn a_malformed_head_is_a_bad_response_with_a_reason() -> Result<()> {
    let runtime = host::runtime([cgi("malformed")]);
    let long = format!("Status: 200\n{}", "X-A: 1\n".repeat(10_000));
    for (printed, why) in [
        ("Status: soon\n\n", "`soon` is no final HTTP status"),
        ("Status: 103\n\n", "no final HTTP status"),
        ("Content-Type: a/b\nX(a): 1\n\n", "`X(a)` is no header name"),
        (&long, "longer than 65536 bytes"),
        ("", "without a word on its standard output"),
    ] {
        let error =
            invoked(&runtime, "/malformed/cat", printed.to_owned().into()).await.unwrap_err();
        assert!(matches!(error.outcome(), Outcome::BadResponse(_)), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn the_request_is_in_the_environment() -> Result<()> {
    let shop = function("shop", "cgi").timeout(Duration::from_secs(60)).setting("PRICE", "3=50");
    let host = Host::serve([shop]).await?;
    let request = Request::post("/shop/env?a=b&c")
        .header("content-type", "text/x-order")
        .header("accept", "text/plain")
        .header("accept", "text/html")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-request-id", "mine-1")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("tracestate", "a=1")
        .body("four")?;
    let answer = host.client().await?.request(&request).await?;
    let text = String::from_utf8(answer.into_body())?;
    let found: BTreeMap<_, _> = text.lines().map(|line| line.split_once('=').unwrap()).collect();
    for (name, value) in [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", "/shop/env?a=b&c"),
        ("SCRIPT_NAME", "/shop"),
        ("PATH_INFO", "/env"),
        ("QUERY_STRING", "a=b&c"),
        ("CONTENT_TYPE", "text/x-order"),
        ("CONTENT_LENGTH", "4"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("HTTP_HOST", "test"),
        ("HTTP_ACCEPT", "text/plain, text/html"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HOURGLASS_REQUEST_ID", "mine-1"),
        ("HOURGLASS_FUNCTION", "shop"),
        ("TRACESTATE", "a=1"),
        ("PRICE", "3=50"),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    assert!(found["TRACEPARENT"].starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{text}");
    assert_ne!(
        found["TRACEPARENT"], found["HTTP_TRACEPARENT"],
        "the function has a span of its own"
    );
    let remaining: u64 = found["HOURGLASS_REMAINING_MS"].parse()?;
    assert!((1..=60_000).contains(&remaining), "{remaining}");
    assert!(!found.contains_key("HTTP_CONTENT_TYPE") && !found.contains_key("HTTP_CONTENT_LENGTH"));
    Ok(())
}

#[tokio::test]
async fn content_length_is_that_of_the_whole_body() -> Result<()> {
    let mut module = modules::Module::with_memory(1);
    let [read, sizes, get, write] =
        [("fd_read", 4), ("environ_sizes_get", 2), ("environ_get", 2), ("fd_write", 4)]
            .map(|(name, count)| module.import(modules::WASI, name, modules::takes(count)));
    // One range for the input, and one for the variables, whose length is filled in later.
    module.bytes(16, &[0, 4, 0, 0, 2, 0, 0, 0]).bytes(48, &[0, 0x20, 0, 0]);
    let word = wasm_encoder::MemArg { offset: 0, align: 2, memory_index: 0 };
    module.code(0, |code| {
        code.i32_const(0).i32_const(16).i32_const(1).i32_const(32).call(read).drop();
        code.i32_const(36).i32_const(40).call(sizes).drop();
        code.i32_const(2_048).i32_const(0x2000).call(get).drop();
        code.i32_const(52).i32_const(40).i32_load(word).i32_store(word);
        code.i32_const(1).i32_const(48).i32_const(1).i32_const(32).call(write).drop();
    });
    let runtime = host::runtime([Function::from_bytes("later", module.finish())?]);
    let printed = text(invoked(&runtime, "/later", "four".into()).await?).await;
    assert!(printed.contains("CONTENT_LENGTH=4\0"), "{printed}");
    Ok(())
}

#[tokio::test]
async fn variables_cannot_be_forged() -> Result<()> {
    let runtime = host::runtime([cgi("shop").setting("PRICE", "3.50")]);
    let ctx = Context::background().with_value(&Key::<String>::new("route.id"), "7".to_owned());
    let ctx = ctx.with_value(&Key::<String>::new("tenant"), "acme".to_owned());
    let ctx = ctx.with_value(&Key::<String>::new("route_id"), "8".to_owned());
    let request = Request::get("/shop/%65nv?")
        .header("proxy", "http://evil.example")
        .header("price", "0")
        .header("x-real", "good")
        .header("x_real", "evil")
        .header("x.real", "evil");
    let found = environment(&runtime, &ctx, request.body(())?).await;
    assert_eq!(found["PRICE"], "3.50");
    assert_eq!(found["HTTP_PRICE"], "0");
    assert_eq!(found["HTTP_X_REAL"], "good");
    assert_eq!(found["HOURGLASS_ROUTE_ID"], "7");
    assert_eq!(found["HOURGLASS_VALUE_TENANT"], "acme");
    assert_eq!((&*found["SCRIPT_NAME"], &*found["PATH_INFO"]), ("/shop", "/env"));
    assert!(!found.contains_key("HTTP_PROXY"), "{found:?}");
    assert!(!found.values().any(|value| value.contains("evil") || value == "8"), "{found:?}");
    for name in ["HTTP_X_REAL", "HTTP_PROXY", "REMOTE_ADDR", "HOURGLASS_REQUEST_ID"] {
        let error = runtime.deploy(cgi("shop").setting(name, "hunter2")).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}` can't be a setting")), "{error}");
        // Functions that use the SDK have no such variables.
        runtime.deploy(function("other", "nosy").setting(name, "hunter2"))?;
    }
    Ok(())
}

#[tokio::test]
async fn invocations_share_neither_environment_nor_output() -> Result<()> {
    let runtime = host::runtime([cgi("shop").setting("PRICE", "3.50")]);
    for number in 0..10 {
        let request =
            Request::get(format!("/shop/env?{number}")).header(format!("x-{number}"), "1");
        let found = environment(&runtime, &Context::background(), request.body(())?).await;
        assert_eq!(found["QUERY_STRING"], number.to_string());
        let others = found.keys().filter(|name| name.starts_with("HTTP_X_"));
        assert_eq!(others.collect::<Vec<_>>(), [&format!("HTTP_X_{number}")]);
        assert_eq!(text(invoked(&runtime, "/shop/cat", "echo".into()).await?).await, "echo");
    }
    Ok(())
}

#[tokio::test]
async fn input_is_streamed() -> Result<()> {
    let (_host, mut client) = asked(cgi("cgi-counts"), "count", "").await?;
    for (chunk, told) in [("3\r\none\r\n", "read 3"), ("6\r\nsecond\r\n", "read 9")] {
        client.send(chunk).await?;
        lines::told("cgi-counts", told).await;
    }
    client.send("0\r\n\r\n").await?;
    assert_eq!(client.answer(&Method::POST).await?.body(), b"9 bytes");
    Ok(())
}

#[tokio::test]
async fn bodies_of_any_length_pass_through() -> Result<()> {
    let host = Host::serve([cgi("echoes").request_body(mib(8))]).await?;
    let [mut sending, mut client] = host.client().await?.twins()?;
    for len in [1, 16 << 10, (16 << 10) + 1, 1 << 20, 5 << 20] {
        let body: Vec<u8> = (0..len).map(|at: u32| ((at * 31) >> 3) as u8).collect();
        let head = format!("POST /echoes/cat HTTP/1.1\r\nhost: x\r\ncontent-length: {len}\r\n\r\n");
        let all = [head.as_bytes(), &body].concat();
        let (sent, answer) = tokio::join!(sending.send(all), client.answer(&Method::POST));
        sent?;
        assert!(*answer?.body() == body, "{len} bytes");
    }
    Ok(())
}

#[tokio::test]
async fn output_is_sent_before_the_program_waits_for_input() -> Result<()> {
    for (way, body) in [("waits/0", ""), ("sleeps", "0\r\n\r\n")] {
        let (host, mut client) = asked(cgi("begins"), way, body).await?;
        assert_eq!(client.head().await?.status(), 200);
        assert_eq!(client.piece().await?.unwrap(), b"a line\n");
        assert_eq!(host.runtime.in_flight(), 1, "it goes on");
        drop(client);
        assert_eq!(host.runtime.shutdown(LONG).await, 0, "the disconnect has ended it");
    }
    Ok(())
}

#[tokio::test]
async fn output_is_sent_before_the_program_waits_for_its_context() -> Result<()> {
    let mut module = modules::Module::with_memory(1);
    let takes = (&[ValType::I32, ValType::I64][..], &[ValType::I32][..]);
    let sleep = module.import(modules::CONTEXT, "context_sleep", takes);
    let write = module.import(modules::WASI, "fd_write", modules::takes(4));
    module.bytes(0, &[16, 0, 0, 0, 7, 0, 0, 0]).bytes(16, b"a line\n");
    module.code(0, |code| {
        code.i32_const(1).i32_const(0).i32_const(1).i32_const(8).call(write).drop();
        code.i32_const(0).i64_const(-1).call(sleep).drop();
    });
    let function = Function::from_bytes("context", module.finish())?.timeout(LONG);
    let (host, mut client) = asked(function, "", "0\r\n\r\n").await?;
    assert_eq!(client.head().await?.status(), 200);
    assert_eq!(client.piece().await?.unwrap(), b"a line\n");
    drop(client);
    assert_eq!(host.runtime.shutdown(LONG).await, 0);
    Ok(())
}

#[tokio::test]
async fn a_streamed_response_ends_with_the_program() -> Result<()> {
    let (_host, mut client) = asked(cgi("cgi-goes-on"), "waits/0", "").await?;
    assert_eq!(client.head().await?.status(), 200);
    assert_eq!(client.piece().await?.unwrap(), b"a line\n");
    client.send("1\r\nx\r\n0\r\n\r\n").await?;
    assert_eq!(client.piece().await?, None);
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_applies_backpressure() -> Result<()> {
    let (host, mut client) = asked(cgi("cgi-floods"), "floods", "0\r\n\r\n").await?;
    client.head().await?;
    // The sockets buffer less than 300 blocks. After that, writes block until the client reads.
    let before = host.held_up("cgi-floods", "flooding", 300).await;
    assert_eq!(host.runtime.in_flight(), 1);
    for _ in 0..before + 10 {
        client.piece().await?;
    }
    drop(client);
    assert_eq!(host.runtime.shutdown(LONG).await, 0);
    Ok(())
}

#[tokio::test]
async fn invoke_returns_the_whole_response() -> Result<()> {
    let caller = function("caller", "caller").calls(["printed"]).timeout(LONG);
    let runtime = host::runtime([cgi("printed").memory(mib(3)), caller]);
    let expected: String = (0..3_000).map(|piece| format!("piece {piece}\n")).collect();
    for path in ["/printed/pieces/3000", "/caller/call/printed/pieces/3000"] {
        let body = text(invoked(&runtime, path, Body::empty()).await?).await;
        assert!(body.ends_with(&expected), "{path}");
    }
    let error = invoked(&runtime, "/printed/floods", Body::empty()).await.unwrap_err();
    assert!(matches!(error.outcome(), Outcome::ResponseTooLarge { .. }), "{error}");
    host::nothing_left(&runtime).await;
    Ok(())
}

#[test]
fn the_invoke_command_runs_a_cgi_program() -> Result<()> {
    let module = hourglass_tests::guests::module("cgi").to_str().unwrap();
    let invoke = ["invoke", module, "--path", "/cgi/cat", "--data", "Status: 201\n\nprinted"];
    let said = hourglass(&invoke).output()?;
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(String::from_utf8_lossy(&said.stdout), "printed");
    Ok(())
}
