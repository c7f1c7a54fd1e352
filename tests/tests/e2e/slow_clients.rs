//! Slow, idle and stalled clients are disconnected after a bounded time.

use std::time::Duration;

use anyhow::Result;
use hourglass::http::Server;
use hourglass::{Function, mib};
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::http2::{self, Frame, get, piece, url};
use hourglass_tests::{LONG, input, lines};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

const SHORT: Duration = Duration::from_secs(1);

fn stream(name: &str) -> Function {
    function(name, "stream").timeout(LONG).grace(LONG).request_body(mib(1 << 10))
}

fn echo(name: &str) -> Function {
    function(name, "echo").timeout(LONG).grace(LONG)
}

async fn serve(function: Function, settings: impl FnOnce(Server) -> Server) -> Result<Host> {
    Ok(Host::start(host::runtime([function]), settings).await?)
}

#[tokio::test]
async fn clients_that_send_no_complete_head_are_disconnected() -> Result<()> {
    let host = serve(stream("silent"), |server| server.head_timeout(SHORT)).await?;
    let preface = [http2::PREFACE, &http2::settings()].concat();
    let head = http2::headers(1, "/silent/pieces/1");
    let half = [&preface, &head[..head.len() - 3]].concat();
    for begins in [
        &b""[..],
        b"G",
        b"GET /silent HTTP/1.1\r\nhost:",
        b"P",
        &http2::PREFACE[..20],
        http2::PREFACE,
        &preface,
        &half,
    ] {
        let mut client = host.client().await?;
        client.send(begins).await?;
        client.ended().await?;
    }
    Ok(())
}

#[tokio::test]
async fn idle_connections_are_closed() -> Result<()> {
    // A ping has to be answered within half of it, on a busy machine.
    let host = serve(stream("idles"), |server| server.head_timeout(4 * SHORT)).await?;
    let mut client = http2::Client::connect(host.address).await?;
    // A slow function does not make its connection idle.
    let (feed, body) = input::fed();
    let answer = tokio::spawn(client.start(Request::post(url("/idles/count")).body(body)?));
    feed.give("first");
    lines::told("idles", "read 5").await;
    let mut other = http2::Client::connect(host.address).await?;
    assert_eq!(other.get("/idles/pieces/1").await?.body(), "piece 0\n");
    other.closed().await?;
    drop(feed);
    let mut body = answer.await??.into_body();
    assert_eq!(piece(&mut body).await?.unwrap(), "5 bytes");
    client.closed().await?;
    Ok(())
}

#[tokio::test]
async fn idle_http2_connections_get_a_goaway() -> Result<()> {
    // A ping has to be answered within half of it, on a busy machine.
    let host = serve(stream("told"), |server| server.head_timeout(4 * SHORT)).await?;
    let mut client = host.client().await?;
    let request = http2::headers(1, "/told/pieces/1");
    client.send([http2::PREFACE, &http2::settings(), &request].concat()).await?;
    let mut answered = false;
    let farewell = loop {
        let frame = Frame::next(&mut client).await?;
        answered |= frame.stream == 1 && frame.flags & http2::END != 0;
        if frame.kind == http2::GOAWAY {
            break frame;
        }
    };
    assert!(answered);
    // A request on its way would still be answered.
    assert_eq!(farewell, http2::goaway(u32::MAX >> 1));
    // A client that reads its response too slowly is disconnected.
    while let Ok(frame) = Frame::next(&mut client).await {
        assert_eq!(frame, http2::goaway(1));
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_ping_reply_counts_as_a_disconnect() -> Result<()> {
    let name = "no-ping";
    let stuck = function(name, "stuck").timeout(LONG).grace(LONG);
    let host = serve(stuck, |server| server.head_timeout(SHORT)).await?;
    let mut client = host.client().await?;
    let head = http2::headers(1, "/no-ping/print");
    client.send([http2::PREFACE, &http2::settings(), &head].concat()).await?;
    client.ended().await?;
    lines::told(name, "cause: client-disconnected").await;
    Ok(())
}

#[tokio::test]
async fn a_stalled_body_is_a_bad_request() -> Result<()> {
    let host = serve(echo("halts"), |server| server.body_idle(SHORT)).await?;
    let mut client = host.client().await?;
    let head = "POST /halts HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n";
    client.send(format!("{head}first")).await?;
    let answer = client.answer(&Method::POST).await?;
    assert_eq!(answer.status(), 400);
    let problem: Value = serde_json::from_slice(answer.body())?;
    assert_eq!(problem["outcome"], "bad-request");
    client.closed().await?;

    let mut client = http2::Client::connect(host.address).await?;
    let (feed, body) = input::fed();
    feed.give("first");
    let answer = client.request(Request::post(url("/halts")).body(body)?).await?;
    assert_eq!(answer.status(), 400);
    assert_eq!(client.get("/halts").await?.status(), 200);
    Ok(())
}

/// Sends a body of 20 bytes, byte by byte, until there is a response. The pace is the subject, so
/// this waits for time to pass.
async fn drip(host: &Host, name: &str) -> Result<u16> {
    let [mut sending, mut client] = host.client().await?.twins()?;
    let head = "HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n";
    sending.send(format!("POST /{name} {head}")).await?;
    let dripping = async {
        for _ in 0..20 {
            tokio::time::sleep(SHORT / 10).await;
            // On an error the connection is closed, which the response reports.
            let _ = sending.send("x").await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = client.answer(&Method::POST) => Ok(answer?.status().as_u16()),
        () = dripping => unreachable!(),
    }
}

#[tokio::test]
async fn a_minimum_rate_refuses_a_dripping_body() -> Result<()> {
    let host = serve(echo("drips"), |server| server).await?;
    assert_eq!(drip(&host, "drips").await?, 200);
    let host = serve(echo("drips"), |server| server.body_idle(SHORT).body_rate(1_000)).await?;
    assert_eq!(drip(&host, "drips").await?, 400);
    Ok(())
}

#[tokio::test]
async fn an_unread_response_ends_its_function() -> Result<()> {
    let host = serve(stream("untaken"), |server| server.body_idle(SHORT)).await?;
    let mut client = host.client().await?;
    client.send("GET /untaken/flood HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    client.head().await?;
    host::in_flight(&host.runtime, 0).await;
    // The response is cut without a final chunk.
    let said = client.ended().await?;
    assert!(!said.ends_with(b"0\r\n\r\n"));
    Ok(())
}

#[tokio::test]
async fn an_unread_stream_is_reset_and_the_others_continue() -> Result<()> {
    let host = serve(stream("one"), |server| server.body_idle(SHORT)).await?;
    let mut client = http2::Client::connect(host.address).await?;
    let mut untaken = client.start(get("/one/flood")).await?.into_body();
    // A slow function does not count as a slow client.
    let mut waits = client.start(get("/one/wait")).await?.into_body();
    assert_eq!(piece(&mut waits).await?.unwrap(), "a line\n");
    host::in_flight(&host.runtime, 1).await;
    let broken = loop {
        match piece(&mut untaken).await {
            Ok(piece) => drop(piece.expect("no end that looks like one")),
            Err(error) => break error,
        }
    };
    let reason = std::error::Error::source(&broken).unwrap().to_string();
    assert!(reason.contains("stream error"), "{reason}");
    assert_eq!(client.get("/one/pieces/1").await?.body(), "piece 0\n");
    assert_eq!(host.runtime.in_flight(), 1);
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_gets_the_whole_response() -> Result<()> {
    let host = serve(stream("slowly"), |server| server).await?;
    let body = vec![b'x'; 1 << 20];
    let mut client = http2::Client::connect(host.address).await?;
    let request = Request::post(url("/slowly/echo")).body(body.clone())?;
    let mut answer = client.start(request).await?.into_body();
    let mut taken = 0;
    while let Some(piece) = piece(&mut answer).await? {
        taken += piece.len();
        tokio::task::yield_now().await;
    }
    assert_eq!(taken, body.len());
    Ok(())
}

/// Requests a whole response of `len` bytes, and reads only its head.
async fn ask(client: &mut http2::Client, name: &str, len: usize) -> Result<Response<Incoming>> {
    Ok(client.start(get(&format!("/{name}/whole/{len}"))).await?)
}

/// Asks for a response of `len` bytes until the budget has room for it. There is no event for it,
/// but each attempt waits for the server.
async fn until_there_is_room(client: &mut http2::Client, name: &str, len: usize) -> Result<()> {
    let asking = async {
        while ask(client, name, len).await?.status() != 200 {}
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await?
}

#[tokio::test]
async fn unread_whole_responses_are_held_within_a_budget() -> Result<()> {
    const LEN: usize = 200 << 10;
    let host = serve(stream("held"), |server| server.response_memory(mib(1))).await?;
    let mut client = http2::Client::connect(host.address).await?;
    let mut other = http2::Client::connect(host.address).await?;
    let mut untaken = Vec::new();
    for _ in 0..5 {
        let answer = ask(&mut client, "held", LEN).await?;
        assert_eq!(answer.status(), 200);
        untaken.push(answer.into_body());
    }
    // Other connections have no room either, over both versions. Small responses need none.
    for client in [&mut client, &mut other] {
        assert_eq!(ask(client, "held", LEN).await?.status(), 503);
        assert_eq!(ask(client, "held", 1 << 10).await?.status(), 200);
    }
    let refused = host.get(&format!("/held/whole/{LEN}")).await?;
    assert_eq!(refused.status(), 503);
    let problem: Value = serde_json::from_slice(refused.body())?;
    assert_eq!(problem["outcome"], "busy");
    // Reading a response makes room for the next one, and so does dropping one.
    let taken = untaken.pop().unwrap().collect().await?.to_bytes();
    assert!(taken.len() == LEN && taken.iter().all(|byte| *byte == b'x'));
    until_there_is_room(&mut other, "held", LEN).await?;
    drop(untaken);
    until_there_is_room(&mut other, "held", 5 * LEN).await?;

    let refused = other.get("/held/whole/2000000").await?;
    assert_eq!(refused.status(), 502);
    let problem: Value = serde_json::from_slice(refused.body())?;
    assert_eq!(problem["outcome"], "response-too-large");
    Ok(())
}

#[tokio::test]
async fn a_disconnect_releases_the_response_budget() -> Result<()> {
    // More than the sockets buffer for a client that does not read.
    const LEN: usize = 24 << 20;
    let host = serve(stream("leaves"), |server| server.response_memory(mib(32))).await?;
    let mut untaken = host.client().await?;
    untaken.send(format!("GET /leaves/whole/{LEN} HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
    assert_eq!(untaken.head().await?.status(), 200);
    let mut client = http2::Client::connect(host.address).await?;
    assert_eq!(ask(&mut client, "leaves", LEN).await?.status(), 503);
    drop(untaken);
    until_there_is_room(&mut client, "leaves", LEN).await
}
