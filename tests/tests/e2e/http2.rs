//! HTTP/2: the same functions and responses, with many streams on one connection.

use std::time::Duration;

use anyhow::Result;
use hourglass::{Function, mib};
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::http2::{self, Client, Frame, get, piece, url};
use hourglass_tests::{LONG, input, lines, modules};
use http::{Method, Request, Version};
use serde_json::Value;
use tokio::task::JoinSet;

/// The last stream of a first GOAWAY: the server does not know it yet.
const ANY: u32 = u32::MAX >> 1;

/// The status 200, as an entry of the HPACK static table.
const OK: u8 = 0x88;

fn stream(name: &str) -> Function {
    function(name, "stream").timeout(LONG).grace(LONG).request_body(mib(1 << 10))
}

async fn serve(functions: impl IntoIterator<Item = Function>) -> Result<(Host, Client)> {
    let host = Host::serve(functions).await?;
    let client = Client::connect(host.address).await?;
    Ok((host, client))
}

/// The request as the function saw it, with sorted headers and without what differs between
/// requests.
fn told(shown: &[u8]) -> Result<Value> {
    let mut shown: Value = serde_json::from_slice(shown)?;
    let request = &mut shown["request"];
    let headers = request["headers"].as_array_mut().unwrap();
    headers.sort_by_key(|header| header["name"].to_string());
    Ok(request.take())
}

#[tokio::test]
async fn a_function_sees_the_same_request_as_over_http1() -> Result<()> {
    let (host, mut client) = serve([function("metadata", "metadata")]).await?;
    let path = "/metadata/a%20path?with=a&query";
    let request = |target: &str| {
        let request = Request::put(target).header("x-request-id", "id-1").header("x-two", "a");
        request.header("x-two", "b").header("content-length", "6")
    };
    let crumbs = request(&url(path)).header("cookie", "a=1").header("cookie", "b=2");
    let answer = client.request(crumbs.body("a body")?).await?;
    assert_eq!((answer.status(), answer.version()), (http::StatusCode::OK, Version::HTTP_2));
    assert_eq!(answer.headers()["x-request-id"], "id-1");
    assert!(answer.headers().contains_key("date"));

    let head = format!("PUT {path} HTTP/1.1\r\nhost: test\r\ncookie: a=1; b=2\r\n");
    let head = head + "x-request-id: id-1\r\nx-two: a\r\nx-two: b\r\ncontent-length: 6\r\n\r\n";
    let mut other = host.client().await?;
    other.send(head.clone() + "a body").await?;
    let expected = told(other.answer(&Method::PUT).await?.body())?;
    assert_eq!(told(answer.body())?, expected);

    // The same for an HTTP/1.1 client that sends the absolute form.
    other
        .send(head.replace(path, &url(path)).replace("host: test", "host: other") + "a body")
        .await?;
    assert_eq!(told(other.answer(&Method::PUT).await?.body())?, expected);
    Ok(())
}

#[tokio::test]
async fn bodies_round_trip() -> Result<()> {
    let (_host, mut client) = serve([function("echo", "echo"), stream("echoes")]).await?;
    for len in [0, 1, 16 << 10, (16 << 10) + 1, 5 << 20] {
        let body: Vec<u8> = (0..len).map(|at: u32| ((at * 31) >> 3) as u8).collect();
        for path in ["/echo", "/echoes/echo"] {
            let answer = client.request(Request::post(url(path)).body(body.clone())?).await?;
            assert_eq!(answer.status(), 200);
            assert!(*answer.body() == body, "{len} bytes by {path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_head_request_gets_headers_and_no_body() -> Result<()> {
    let (host, mut client) = serve([function("hello", "hello"), stream("heads")]).await?;
    for path in ["/hello", "/heads/pieces/3", "/heads/wait", "/heads/flood", "/none"] {
        let answer = client.request(Request::head(url(path)).body("")?).await?;
        assert_eq!(answer.status(), if path == "/none" { 404 } else { 200 });
        assert!(answer.body().is_empty(), "{path}");
        let length = answer.headers().get("content-length");
        assert_eq!(length.is_some_and(|len| len != "0"), !path.starts_with("/heads"), "{path}");
    }
    assert_eq!(
        host.runtime.shutdown(LONG).await,
        0,
        "the function does not write a body that is not sent"
    );
    Ok(())
}

#[tokio::test]
async fn a_function_cannot_break_its_connection() -> Result<()> {
    let headers = [
        ("content-length", "100"),
        ("connection", "close, x-gone"),
        ("transfer-encoding", "chunked"),
        ("x-request-id", "another's"),
    ];
    let head = modules::head(200, &headers);
    let module = modules::responding(&head, 1, |_| ());
    let (_host, mut client) = serve([Function::from_bytes("odd", module)?]).await?;
    for _ in 0..2 {
        let request = Request::get(url("/odd")).header("x-request-id", "mine").body("")?;
        let answer = client.request(request).await?;
        assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
        assert_eq!(answer.headers()["x-request-id"], "mine");
    }
    Ok(())
}

#[tokio::test]
async fn a_function_cannot_change_the_framing_of_its_response() -> Result<()> {
    let answering = |name, status, length| {
        let head = modules::head(status, &[("content-length", length)]);
        Function::from_bytes(name, modules::answering(&head, b"four"))
    };
    let functions = [
        answering("short", 200, "3")?,
        answering("long", 200, "5")?,
        answering("none", 204, "4")?,
        answering("same", 304, "4")?,
    ];
    let (_host, mut client) = serve(functions).await?;
    for (name, status, body) in
        [("short", 200, "four"), ("long", 200, "four"), ("none", 204, ""), ("same", 304, "")]
    {
        let answer = client.get(&format!("/{name}")).await?;
        assert_eq!((answer.status().as_u16(), &**answer.body()), (status, body.as_bytes()));
        let answer = client.request(Request::head(url(&format!("/{name}"))).body("")?).await?;
        assert_eq!((answer.status().as_u16(), answer.body().len()), (status, 0));
    }
    Ok(())
}

#[tokio::test]
async fn a_hundred_streams_run_at_once_on_one_connection() -> Result<()> {
    let runtime = host::with(host::builder().max_in_flight(128), [stream("many")]);
    let host = Host::start(runtime, |server| server).await?;
    let mut client = Client::connect(host.address).await?;
    let mut answers = JoinSet::new();
    for _ in 0..100 {
        answers.spawn(client.start(get("/many/wait")));
    }
    let mut bodies = Vec::new();
    while let Some(answer) = answers.join_next().await {
        let mut body = answer??.into_body();
        assert_eq!(piece(&mut body).await?.unwrap(), "a line\n");
        bodies.push(body);
    }
    assert_eq!(host.runtime.in_flight(), 100);
    // The connection closes with its last user.
    drop((client, bodies));
    assert_eq!(host.runtime.shutdown(LONG).await, 0, "the disconnect has ended each of them");
    Ok(())
}

#[tokio::test]
async fn a_reset_stream_ends_and_the_others_continue() -> Result<()> {
    let stuck = |name| function(name, "stuck").timeout(LONG).grace(LONG);
    let runtime = host::runtime([stuck("h2-back"), stuck("h2-stays"), stream("begun")]);
    let host = Host::start(runtime, |server| server.drain(Duration::ZERO)).await?;
    let mut client = Client::connect(host.address).await?;
    let stays = tokio::spawn(client.start(get("/h2-stays/answer")));
    // One is reset before its head, and one in the middle of its body.
    let back = tokio::spawn(client.start(get("/h2-back/print")));
    let mut begun = client.start(get("/begun/wait")).await?.into_body();
    assert_eq!(piece(&mut begun).await?.unwrap(), "a line\n");
    lines::told("h2-stays", "begun").await;
    lines::told("h2-back", "begun").await;
    host::in_flight(&host.runtime, 3).await;
    back.abort();
    lines::told("h2-back", "cause: client-disconnected").await;
    drop(begun);
    host::in_flight(&host.runtime, 1).await;
    assert_eq!(client.get("/begun/pieces/1").await?.body(), "piece 0\n");
    let stopped = host.stop();
    let answer = stays.await??;
    assert_eq!(answer.status(), 200);
    assert_eq!(stopped.await?.canceled, 1);
    Ok(())
}

#[tokio::test]
async fn a_reset_ends_a_function_that_waits_for_its_body() -> Result<()> {
    let (host, mut client) = serve([stream("h2-waits")]).await?;
    let (feed, body) = input::fed();
    let waits = tokio::spawn(client.start(Request::post(url("/h2-waits/count")).body(body)?));
    feed.give("first");
    lines::told("h2-waits", "read 5").await;
    waits.abort();
    host::in_flight(&host.runtime, 0).await;
    assert_eq!(client.get("/h2-waits/pieces/0").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_response_that_fails_midway_is_reset() -> Result<()> {
    let late = stream("late").timeout(Duration::from_secs(2)).grace(Duration::ZERO);
    let (_host, mut client) = serve([stream("breaks"), late]).await?;
    for path in ["/breaks/fail", "/breaks/trap", "/late/wait", "/late/spin"] {
        let (feed, body) = input::fed();
        let request = Request::post(url(path)).body(body)?;
        let mut body = client.start(request).await?.into_body();
        assert_eq!(piece(&mut body).await?.unwrap(), "a line\n");
        drop(feed);
        let error = piece(&mut body).await.unwrap_err();
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert!(reason.contains("stream error"), "{path}: {reason}");
    }
    assert_eq!(client.get("/breaks/pieces/1").await?.body(), "piece 0\n");
    Ok(())
}

#[tokio::test]
async fn a_stalled_stream_does_not_block_others() -> Result<()> {
    let (host, mut client) = serve([stream("h2-floods"), stream("others")]).await?;
    let mut flood = client.start(get("/h2-floods/flood")).await?.into_body();
    lines::told("h2-floods", "flooding").await;
    for _ in 0..20 {
        assert_eq!(client.get("/others/pieces/1").await?.body(), "piece 0\n");
    }
    let ahead = lines::count("h2-floods", "flooding");
    assert!(ahead * 64 < 512, "{ahead} blocks are more than the window and the buffers");
    let mut taken = 0;
    while taken < 4 << 20 {
        taken += piece(&mut flood).await?.unwrap().len();
    }
    drop(flood);
    assert_eq!(host.runtime.shutdown(LONG).await, 0);
    Ok(())
}

#[tokio::test]
async fn an_unread_body_stalls_only_its_own_stream() -> Result<()> {
    let (_host, mut client) = serve([stream("deaf"), stream("hears")]).await?;
    let (feed, body) = input::fed();
    let deaf = client.start(Request::post(url("/deaf/wait")).body(body)?).await?;
    // Far more than the window, and the client only sends within it.
    (0..64).for_each(|_| feed.give(vec![b'x'; 64 << 10]));
    for len in [1, 1 << 20] {
        let request = Request::post(url("/hears/echo")).body(vec![b'x'; len])?;
        assert_eq!(client.request(request).await?.body().len(), len);
    }
    drop(deaf);
    Ok(())
}

#[tokio::test]
async fn streams_in_flight_may_finish_when_the_server_stops() -> Result<()> {
    let runtime = host::runtime([function("finishes", "echo").timeout(LONG)]);
    let host = Host::start(runtime.clone(), |server| server.drain(LONG)).await?;
    let mut client = Client::connect(host.address).await?;
    // A stream that has not started is dropped, which the client may see as an error.
    let mut idle = Client::connect(host.address).await?;
    assert_eq!(idle.get("/finishes").await?.status(), 200);
    let (feed, body) = input::fed();
    let answer = client.start(Request::post(url("/finishes")).body(body)?);
    feed.give("first");
    host::in_flight(&runtime, 1).await;

    let ended = host.stop();
    idle.closed().await?;
    // The client gets a GOAWAY, and its open streams continue. What it sends before it knows is
    // answered.
    while let Ok(answer) = client.get("/finishes").await {
        assert_eq!(answer.status(), 200);
    }
    assert!(!ended.is_finished());
    feed.give("last");
    drop(feed);
    let mut body = answer.await?.into_body();
    assert_eq!(piece(&mut body).await?.unwrap(), "firstlast");
    client.closed().await?;
    assert_eq!(ended.await?.canceled, 0);
    Ok(())
}

#[tokio::test]
async fn a_stopping_server_sends_goaway_and_answers_open_streams() -> Result<()> {
    let runtime = host::runtime([function("farewell", "echo").timeout(LONG)]);
    let host = Host::start(runtime.clone(), |server| server.drain(LONG)).await?;
    let mut client = host.client().await?;
    let begun = http2::begin(1, "/farewell");
    client.send([http2::PREFACE, &http2::settings(), &begun].concat()).await?;
    host::in_flight(&runtime, 1).await;

    let ended = host.stop();
    // The first GOAWAY announces the end, so that requests on their way are not lost.
    assert_eq!(Frame::of(http2::GOAWAY, &mut client).await?, http2::goaway(ANY));
    client.send(http2::headers(3, "/farewell")).await?;
    let mut seen = Vec::new();
    while seen.last() != Some(&http2::goaway(3)) {
        seen.push(Frame::next(&mut client).await?);
    }
    while !seen.iter().any(|frame| frame.stream == 3 && frame.flags & http2::END != 0) {
        seen.push(Frame::next(&mut client).await?);
    }
    assert!(!ended.is_finished());
    assert!(seen.iter().all(|frame| frame.stream != 1), "it waits for its body: {seen:?}");

    client.send(http2::last(1, b"the rest")).await?;
    let head = Frame::next(&mut client).await?;
    assert_eq!((head.kind, head.stream, head.payload[0]), (http2::HEADERS, 1, OK));
    let body = Frame::of(http2::DATA, &mut client).await?;
    assert_eq!((body.stream, &*body.payload), (1, &b"the rest"[..]));
    client.ended().await?;
    assert_eq!(ended.await?.canceled, 0);
    Ok(())
}

#[tokio::test]
async fn streams_that_do_not_finish_get_a_problem_document() -> Result<()> {
    let runtime = host::runtime([function("h2-drains", "stuck").timeout(LONG).grace(LONG)]);
    let host = Host::start(runtime, |server| server.drain(Duration::from_millis(50))).await?;
    let mut client = Client::connect(host.address).await?;
    let answer = client.start(get("/h2-drains/check"));
    lines::told("h2-drains", "begun").await;
    assert_eq!(host.stop().await?.canceled, 1);
    assert_eq!(answer.await?.status(), 503);
    Ok(())
}

#[tokio::test]
async fn rapid_resets_close_the_connection() -> Result<()> {
    let host = Host::serve([function("rapid", "hello")]).await?;
    let mut rapid = host.client().await?;
    let mut frames = [http2::PREFACE, &http2::settings()].concat();
    for stream in (1..20_001).step_by(2) {
        frames.extend(http2::headers(stream, "/rapid"));
        frames.extend(http2::reset(stream));
    }
    // On an error the server has closed the connection early.
    let _ = rapid.send(frames).await;
    rapid.ended().await?;
    host::in_flight(&host.runtime, 0).await;
    assert_eq!(Client::connect(host.address).await?.get("/rapid").await?.status(), 200);
    Ok(())
}
