//! Bodies are streamed in both directions, and an aborted one is never taken for complete.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::Result;
use hourglass::{Context, Function, Outcome, mib};
use hourglass_tests::client::Client;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::{LONG, http2, input, lines};

fn stream(name: &str) -> Function {
    function(name, "stream").timeout(LONG).request_body(mib(1 << 10))
}

/// A host with one function, and a client that has sent a GET.
async fn asked(function: Function, target: &str) -> Result<(Host, Client)> {
    let host = Host::serve([function]).await?;
    let mut client = host.client().await?;
    client.send(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
    Ok((host, client))
}

#[tokio::test]
async fn pieces_are_sent_as_they_are_written() -> Result<()> {
    let (host, mut client) = asked(stream("waits"), "/waits/wait").await?;
    let head = client.head().await?;
    assert_eq!(head.status(), 200);
    assert!(head.headers().contains_key("x-request-id"));
    assert_eq!(client.piece().await?.unwrap(), b"a line\n");
    assert_eq!(host.runtime.in_flight(), 1, "it goes on");
    drop(client);
    assert_eq!(host.runtime.shutdown(LONG).await, 0, "the disconnect has ended it");
    Ok(())
}

#[tokio::test]
async fn pieces_arrive_in_order_and_the_connection_is_kept() -> Result<()> {
    let host = Host::serve([stream("pieces")]).await?;
    let mut client = host.client().await?;
    for times in [0, 1, 2, 1_000] {
        let answer = client.get(&format!("/pieces/pieces/{times}")).await?;
        let expected: String = (0..times).map(|piece| format!("piece {piece}\n")).collect();
        assert_eq!(String::from_utf8_lossy(answer.body()), expected);
    }
    let events = client.get("/pieces/events/2").await?;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let text = "event: tick\ndata: number 0\n\nevent: tick\ndata: number 1\n\n";
    assert_eq!(events.body(), text.as_bytes());
    Ok(())
}

#[tokio::test]
async fn an_unreadable_body_is_not_the_functions_fault() -> Result<()> {
    let function = |name, module| function(name, module).request_body(10);
    let host = Host::serve([
        function("reads", "stream"),
        function("calls", "caller").calls(["echo"]),
        function("echo", "echo"),
    ])
    .await?;
    // The handlers return the error of a piecewise read, of reading all, and of a call.
    for path in ["/reads/count", "/reads/twice", "/calls/status/echo"] {
        for (body, status, detail) in BROKEN {
            let (answered, said) = post_chunks(&host, path, body).await?;
            assert_eq!(answered, status, "{path} {body:?}: {said}");
            assert!(said.contains(detail), "{path} {body:?}: {said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_handler_may_respond_to_an_unreadable_body() -> Result<()> {
    let host = Host::serve([function("reads", "stream").request_body(10)]).await?;
    for (body, ..) in BROKEN {
        let (status, said) = post_chunks(&host, "/reads/own", body).await?;
        assert_eq!((status, &*said), (422, "the handler answers"), "{body:?}");
    }
    Ok(())
}

/// Chunks that do not make a body of 10 bytes; and the host's answer: its status, and a part of it.
const BROKEN: [(&str, u16, &str); 3] = [
    ("-1\r\n", 400, "the request's body"),
    ("4\r\nbody\r\nx\r\n", 400, "the request's body"),
    ("b\r\n01234567890\r\n0\r\n\r\n", 413, "10 bytes"),
];

/// Posts these chunks, and returns the status and the body of the answer.
async fn post_chunks(host: &Host, path: &str, body: &str) -> Result<(u16, String)> {
    let mut client = host.client().await?;
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send(format!("{head}{body}")).await?;
    let answer = client.answer(&http::Method::POST).await?;
    Ok((answer.status().as_u16(), String::from_utf8(answer.into_body())?))
}

#[tokio::test]
async fn request_bodies_are_streamed() -> Result<()> {
    let host = Host::serve([stream("counts")]).await?;
    let mut client = host.client().await?;
    let head = "POST /counts/count HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(head).await?;
    for (chunk, told) in [("3\r\none\r\n", "read 3"), ("6\r\nsecond\r\n", "read 6")] {
        client.send(chunk).await?;
        lines::told("counts", told).await;
    }
    client.send("0\r\n\r\n").await?;
    assert_eq!(client.answer(&http::Method::POST).await?.body(), b"9 bytes");
    Ok(())
}

#[tokio::test]
async fn bodies_of_any_length_pass_through() -> Result<()> {
    let host = Host::serve([stream("echoes")]).await?;
    let [mut sending, mut client] = host.client().await?.twins()?;
    for len in [0, 1, 16 << 10, (16 << 10) + 1, 1 << 20, 5 << 20] {
        let body: Vec<u8> = (0..len).map(|at: u32| ((at * 31) >> 3) as u8).collect();
        let head =
            format!("POST /echoes/echo HTTP/1.1\r\nhost: x\r\ncontent-length: {len}\r\n\r\n");
        let all = [head.as_bytes(), &body].concat();
        let (sent, answer) = tokio::join!(sending.send(all), client.answer(&http::Method::POST));
        sent?;
        let answer = answer?;
        assert_eq!(answer.headers()["content-length"], len.to_string());
        assert!(*answer.body() == body, "{len} bytes");
    }
    assert_eq!(host.runtime.in_flight(), 0);
    Ok(())
}

#[tokio::test]
async fn a_body_can_be_inspected_and_then_read() -> Result<()> {
    let host = Host::serve([stream("twice")]).await?;
    let request = http::Request::post("/twice/twice").body("a body")?;
    let answer = host.client().await?.request(&request).await?;
    assert_eq!(answer.body(), b"a body a body");
    Ok(())
}

#[tokio::test]
async fn a_response_that_fails_midway_is_aborted() -> Result<()> {
    for way in ["fail", "trap"] {
        let name = format!("breaks-{way}");
        let host = Host::serve([stream(&name)]).await?;
        let mut client = host.client().await?;
        let head = "HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n";
        client.send(format!("POST /{name}/{way} {head}")).await?;
        assert_eq!(client.head().await?.status(), 200);
        assert_eq!(client.piece().await?.unwrap(), b"a line\n");
        client.send("x").await?;
        assert_eq!(client.piece().await.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{way}");
    }
    Ok(())
}

#[tokio::test]
async fn the_last_announced_byte_is_sent_when_the_function_ends() -> Result<()> {
    let host = Host::serve([stream("announces")]).await?;
    let mut client = host.client().await?;
    for length in [7, 7, 0] {
        // The function runs on after its last byte, and its client is still connected.
        let answer = client.get(&format!("/announces/announce/{length}/pause")).await;
        if length == 0 {
            assert!(answer.is_err(), "more than nothing came");
            break;
        }
        let answer = answer?;
        assert_eq!(answer.headers()["content-length"], length.to_string());
        assert_eq!(answer.body(), b"a line\n");
    }
    assert_eq!(lines::count("announces", "not told to end"), 2);
    Ok(())
}

#[tokio::test]
async fn a_content_length_mismatch_aborts_the_response() -> Result<()> {
    // The line has seven bytes: as announced, too many, and too few.
    for (length, way) in [(7, "fail"), (7, "trap"), (6, "pause"), (8, "pause")] {
        let name = format!("announces-{length}-{way}");
        let host = Host::serve([stream(&name)]).await?;
        let head = "HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n";
        let request = format!("POST /{name}/announce/{length}/{way} {head}");

        let mut client = host.client().await?;
        client.send(&request).await?;
        let body = match client.head().await {
            Ok(answer) => {
                assert_eq!(answer.headers()["content-length"], length.to_string());
                // On an error the connection has ended.
                let _ = client.send("x").await;
                client.ended().await?
            }
            // The first piece was too long, so the head was not sent either.
            Err(_) if length == 6 => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        assert!(body.len() < length, "{way} after {length} bytes looks complete: {body:?}");

        // The same over HTTP/2, whose framing does not count.
        let mut client = http2::Client::connect(host.address).await?;
        let url = http2::url(&format!("/{name}/announce/{length}/{way}"));
        let (feed, body) = input::fed();
        let answer = client.start(http::Request::post(url).body(body)?);
        let broken = async {
            let mut body = answer.await?.into_body();
            drop(feed);
            while let Some(piece) = http2::piece(&mut body).await? {
                assert!(piece.len() < length);
            }
            hyper::Result::Ok(())
        };
        assert!(broken.await.is_err(), "{way} after {length} bytes looks complete");
    }
    Ok(())
}

#[tokio::test]
async fn an_http_1_0_client_gets_the_whole_response_or_an_error() -> Result<()> {
    let host = Host::serve([stream("old")]).await?;
    for (way, status, body) in [("pieces/2", 200, "piece 0\npiece 1\n"), ("trap", 500, "crashed")] {
        let mut client = host.client().await?;
        client.send(format!("GET /old/{way} HTTP/1.0\r\nhost: x\r\n\r\n")).await?;
        let said = String::from_utf8(client.ended().await?)?;
        assert!(said.starts_with(&format!("HTTP/1.0 {status} ")), "{said}");
        let (head, whole) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", whole.len())), "{said}");
        assert!(whole.contains(body), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_failure_before_the_first_byte_is_a_problem_document() -> Result<()> {
    for (way, status) in [("fail", 500), ("trap", 500)] {
        let name = format!("at-once-{way}");
        let host = Host::serve([stream(&name)]).await?;
        loop {
            match host.get(&format!("/{name}/{way}")).await {
                Ok(answer) => {
                    assert_eq!(answer.status(), status);
                    assert_eq!(answer.headers()["content-type"], "application/problem+json");
                    break;
                }
                // It was preempted between its line and its failure. Try again.
                Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof),
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_deadline_aborts_a_response() -> Result<()> {
    for way in ["wait", "spin"] {
        let name = format!("late-{way}");
        let late = stream(&name).timeout(Duration::from_secs(2)).grace(Duration::ZERO);
        let (host, mut client) = asked(late, &format!("/{name}/{way}")).await?;
        assert_eq!(client.head().await?.status(), 200);
        assert_eq!(client.piece().await?.unwrap(), b"a line\n");
        assert_eq!(client.piece().await.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{way}");
        assert_eq!(host.runtime.shutdown(LONG).await, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_applies_backpressure() -> Result<()> {
    let (host, mut client) = asked(stream("floods"), "/floods/flood").await?;
    client.head().await?;
    // The sockets buffer less than 300 blocks. After that, writes block until the client reads.
    let before = host.held_up("floods", "flooding", 300).await;
    assert_eq!(host.runtime.in_flight(), 1);
    for _ in 0..before + 10 {
        client.piece().await?;
    }
    drop(client);
    assert_eq!(host.runtime.shutdown(LONG).await, 0);
    Ok(())
}

#[tokio::test]
async fn an_oversized_body_aborts_its_echo() -> Result<()> {
    let host = Host::serve([stream("limited").request_body(100 << 10)]).await?;
    let mut client = host.client().await?;
    let head = "POST /limited/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(head).await?;
    let chunk = format!("{:x}\r\n{}\r\n", 64 << 10, "x".repeat(64 << 10));
    client.send(chunk.repeat(3)).await?;
    assert_eq!(client.head().await?.status(), 200);
    let mut taken = 0;
    let ended = loop {
        match client.piece().await {
            Ok(piece) => taken += piece.expect("no end that looks like one").len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(ended.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset));
    assert!(taken <= 100 << 10, "{taken} bytes");
    Ok(())
}

#[tokio::test]
async fn a_head_request_ends_a_streaming_function() -> Result<()> {
    let host = Host::serve([stream("heads")]).await?;
    let mut client = host.client().await?;
    for way in ["pieces/3", "wait", "flood", "pieces/0"] {
        client.send(format!("HEAD /heads/{way} HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
        let answer = client.answer(&http::Method::HEAD).await?;
        assert_eq!(answer.status(), 200, "{way}");
    }
    assert_eq!(
        host.runtime.shutdown(LONG).await,
        0,
        "the function does not write a body that is not sent"
    );
    Ok(())
}

#[tokio::test]
async fn invoke_returns_the_whole_response() -> Result<()> {
    let caller = function("caller", "caller").calls(["pieces"]).timeout(LONG);
    let runtime = host::runtime([stream("pieces"), caller]);
    for path in ["/pieces/pieces/3", "/caller/call/pieces/pieces/3"] {
        let name = path.split('/').nth(1).unwrap();
        let request = http::Request::get(path).body(())?;
        let answer = runtime.invoke(&Context::background(), name, request).await?;
        let body = answer.into_body().bytes().await.unwrap();
        assert!(body.ends_with(b"piece 0\npiece 1\npiece 2\n"), "{body:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_whole_response_larger_than_memory_is_refused() -> Result<()> {
    let runtime = host::runtime([stream("endless").memory(mib(3))]);
    let request = http::Request::get("/endless/flood").body(())?;
    let error = runtime.invoke(&Context::background(), "endless", request).await.unwrap_err();
    assert!(matches!(error.outcome(), Outcome::ResponseTooLarge { .. }), "{error}");
    host::nothing_left(&runtime).await;
    Ok(())
}

#[tokio::test]
async fn a_streamed_response_beyond_its_limit_is_aborted() -> Result<()> {
    let (host, mut client) =
        asked(stream("bounded").response_body(mib(1)), "/bounded/flood").await?;
    assert_eq!(client.head().await?.status(), 200);
    let mut taken = 0;
    let ended = loop {
        match client.piece().await {
            Ok(piece) => taken += piece.expect("no end that looks like one").len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(ended.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset));
    assert!(taken <= 1 << 20, "{taken} bytes");
    lines::told("bounded", "flooded with 1024 KiB").await;
    host::nothing_left(&host.runtime).await;
    Ok(())
}

#[tokio::test]
async fn a_whole_response_has_the_same_limit() -> Result<()> {
    let runtime = host::runtime([function("whole", "echo").response_body(4)]);
    for (body, fits) in [("four", true), ("five!", false)] {
        let request = http::Request::post("/whole").body(body)?;
        let ended = runtime.invoke(&Context::background(), "whole", request).await;
        match ended {
            Ok(_) => assert!(fits),
            Err(error) => {
                assert!(!fits, "{error}");
                assert!(matches!(error.outcome(), Outcome::ResponseTooLarge { limit: 4 }));
            }
        }
    }
    Ok(())
}
