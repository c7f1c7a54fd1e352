//! The size limits of a request's head, and malformed heads, over both versions of HTTP and on both
//! listeners.

use std::fs;
use std::future::pending;
use std::net::SocketAddr;

use anyhow::Result;
use hourglass::http::{Admin, Server};
use hourglass_tests::client::Client;
use hourglass_tests::guests::{function, module};
use hourglass_tests::host::{self, Host};
use hourglass_tests::http2::{self, url};
use hourglass_tests::program::{self, Serving};
use http::{Method, Request, Response};
use serde_json::Value;

/// An upper bound for the bytes of a head besides its long value.
const BESIDE: usize = 512;

async fn serve(settings: impl FnOnce(Server) -> Server) -> Result<Host> {
    Ok(Host::start(host::runtime([function("heads", "hello")]), settings).await?)
}

/// Sends a request over its own connection, and returns the response.
async fn say(address: SocketAddr, text: impl AsRef<[u8]>) -> Result<Response<Vec<u8>>> {
    let mut client = Client::connect(address).await?;
    client.send(text).await?;
    Ok(client.answer(&Method::GET).await?)
}

/// The status of a GET over HTTP/1.1 with a head of this many bytes and additional fields.
async fn http1(address: SocketAddr, path: &str, bytes: usize, fields: usize) -> Result<u16> {
    let mut text = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n");
    text.extend((1..fields).map(|number| format!("x-{number}: y\r\n")));
    let rest = bytes.saturating_sub(text.len() + "x-long: \r\n\r\n".len());
    if rest > 0 {
        text.push_str(&format!("x-long: {}\r\n", "x".repeat(rest)));
    }
    Ok(say(address, text + "\r\n").await?.status().as_u16())
}

/// The same over HTTP/2, where each field counts 32 bytes more, and the host is not a field. The
/// connection must stay usable.
async fn http2(address: SocketAddr, path: &str, bytes: usize, fields: usize) -> Result<u16> {
    let mut client = http2::Client::connect(address).await?;
    let mut request = Request::get(url(path));
    let mut sum = 0;
    for number in 1..fields {
        let name = format!("x-{number}");
        sum += name.len() + 1 + 32;
        request = request.header(name, "y");
    }
    let pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", path)];
    sum += pseudo.map(|(name, value)| name.len() + value.len() + 32).iter().sum::<usize>();
    let rest = bytes.saturating_sub(sum + "x-long".len() + 32);
    if rest > 0 {
        request = request.header("x-long", "x".repeat(rest));
    }
    let status = client.request(request.body("")?).await?.status().as_u16();
    assert_eq!(client.get("/heads").await?.status(), 200, "the connection stays usable");
    Ok(status)
}

#[tokio::test]
async fn the_head_size_limit_is_the_same_in_both_versions() -> Result<()> {
    for limit in [64 << 10, 8 << 10] {
        let host = serve(|server| match limit {
            8_192 => server.header_bytes(limit),
            _ => server,
        })
        .await?;
        // A head that is too long is refused before the function is looked up.
        for path in ["/heads", "/none"] {
            let found = if path == "/heads" { 200 } else { 404 };
            for (bytes, expected) in [
                (limit - BESIDE, found),
                (limit - 1, found),
                (limit + 1, 431),
                (limit + BESIDE, 431),
            ] {
                assert_eq!(http1(host.address, path, bytes, 2).await?, expected, "{bytes} bytes");
                assert_eq!(http2(host.address, path, bytes, 2).await?, expected, "{bytes} bytes");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_field_count_limit_is_the_same_in_both_versions() -> Result<()> {
    for limit in [100, 20, 200] {
        let host = serve(|server| match limit {
            100 => server,
            limit => server.header_count(limit),
        })
        .await?;
        for (fields, expected) in [(limit - 1, 200), (limit, 200), (limit + 2, 431)] {
            assert_eq!(http1(host.address, "/heads", 0, fields).await?, expected, "{fields}");
            // The host is not a field.
            assert_eq!(http2(host.address, "/heads", 0, fields + 1).await?, expected, "{fields}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn split_cookies_are_one_field() -> Result<()> {
    let host = serve(|server| server).await?;
    let mut request = Request::get(url("/heads"));
    for crumb in 0..150 {
        request = request.header("cookie", format!("c{crumb}=v"));
    }
    let mut client = http2::Client::connect(host.address).await?;
    assert_eq!(client.request(request.body("")?).await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn the_admin_listener_has_the_same_limits() -> Result<()> {
    let admin = Admin::bind("127.0.0.1:0", host::runtime([])).await?.header_bytes(8 << 10);
    let address = admin.local_addr()?;
    tokio::spawn(admin.header_count(20).run(pending()));
    let path = "/invocations";
    assert_eq!(http1(address, path, (8 << 10) - 1, 2).await?, 200);
    assert_eq!(http1(address, path, (8 << 10) + 1, 2).await?, 431);
    assert_eq!(http1(address, path, 0, 20).await?, 200);
    assert_eq!(http1(address, path, 0, 22).await?, 431);
    Ok(())
}

#[tokio::test]
async fn the_limits_are_set_by_file_or_flag() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("heads.toml");
    fs::write(
        &file,
        format!(
            "listen = \"127.0.0.1:0\"\nheader_bytes = \"8KiB\"\nheader_count = 20\n\
             [function.heads]\nfile = {:?}\n",
            module("hello")
        ),
    )?;
    let serve = |more: &[&str]| {
        let arguments = [&["serve", file.to_str().unwrap()], more].concat();
        let program = env!("CARGO_BIN_EXE_hourglass-under-test");
        Serving::start(&mut program::command(program, &arguments))
    };
    let (by_file, by_flag) = (serve(&[])?, serve(&["--header-bytes", "16KiB"])?);
    for (address, limit) in [(by_file.address, 8 << 10), (by_flag.address, 16 << 10)] {
        assert_eq!(http1(address, "/heads", limit - 1, 2).await?, 200);
        assert_eq!(http1(address, "/heads", limit + 1, 2).await?, 431);
        assert_eq!(http1(address, "/heads", 0, 22).await?, 431);
    }
    Ok(())
}

/// The status of a request that is refused. Checks that the response is a problem document that
/// closes the connection.
async fn refused(address: SocketAddr, text: &str) -> Result<u16> {
    let mut client = Client::connect(address).await?;
    client.send(text).await?;
    let answer = client.answer(&Method::GET).await?;
    let status = answer.status().as_u16();
    if let Ok(problem) = serde_json::from_slice::<Value>(answer.body()) {
        assert_eq!(problem["status"], status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        if status != 404 {
            assert_eq!(answer.headers()["connection"], "close", "{text:?}");
        }
    }
    if status != 200 && status != 404 {
        client.closed().await?;
    }
    Ok(status)
}

#[tokio::test]
async fn http1_requires_one_host() -> Result<()> {
    let host = serve(|server| server).await?;
    for (lines, expected) in [
        ("GET /heads HTTP/1.1\r\nhost: a.example:80\r\n", 200),
        ("GET /heads HTTP/1.1\r\nhost: [::1]:80\r\n", 200),
        ("GET /heads HTTP/1.1\r\nhost:\r\n", 200),
        ("GET http://b.example/heads HTTP/1.1\r\nhost: a\r\n", 200),
        ("GET /heads HTTP/1.0\r\n", 200),
        ("GET /heads HTTP/1.1\r\n", 400),
        ("GET http://b.example/heads HTTP/1.1\r\n", 400),
        ("GET /heads HTTP/1.1\r\nhost: a\r\nhost: a\r\n", 400),
        ("GET /heads HTTP/1.1\r\nhost: a\r\nHost: b\r\n", 400),
        ("GET /heads HTTP/1.0\r\nhost: a\r\nhost: b\r\n", 400),
        ("GET /heads HTTP/1.1\r\nhost: a b\r\n", 400),
        ("GET /heads HTTP/1.1\r\nhost: a/b\r\n", 400),
        ("GET /heads HTTP/1.1\r\nhost: me@a\r\n", 400),
        ("GET /heads HTTP/1.1\r\nhost: a, b c\r\n", 400),
        ("GET /heads HTTP/1.1\r\nhost: a:port\r\n", 400),
        ("GET http://me@b.example/heads HTTP/1.1\r\nhost: a\r\n", 400),
        ("GET ftp://b.example/heads HTTP/1.1\r\nhost: a\r\n", 400),
        ("GET heads HTTP/1.1\r\nhost: a\r\n", 400),
        ("GET heads:80 HTTP/1.1\r\nhost: a\r\n", 400),
        ("GET * HTTP/1.1\r\nhost: a\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nhost: a\r\n", 404),
    ] {
        // The response to an HTTP/1.0 request has that version, which this client does not parse.
        let text = format!("{lines}\r\n");
        if lines.contains("HTTP/1.0") {
            let mut client = host.client().await?;
            client.send(&text).await?;
            let said = String::from_utf8(client.ended().await?)?;
            assert!(said.starts_with(&format!("HTTP/1.0 {expected} ")), "{lines}: {said}");
            continue;
        }
        assert_eq!(refused(host.address, &text).await?, expected, "{lines}");
    }
    Ok(())
}

#[tokio::test]
async fn http1_requires_chunked_as_the_last_encoding() -> Result<()> {
    let host = serve(|server| server).await?;
    let body = "3\r\nabc\r\n0\r\n\r\n";
    for (codings, expected) in [
        ("transfer-encoding: chunked\r\n", 200),
        ("transfer-encoding: Chunked\r\n", 200),
        ("transfer-encoding: gzip, chunked\r\n", 501),
        ("transfer-encoding: identity, chunked\r\n", 501),
        ("transfer-encoding: x-other\r\ntransfer-encoding: chunked\r\n", 501),
        ("transfer-encoding: chunked, chunked\r\n", 400),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", 400),
        ("transfer-encoding: chunked, gzip\r\n", 400),
        ("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", 400),
        // RFC 9112, section 6.3: without `chunked` at the end it is 400.
        ("transfer-encoding: gzip\r\n", 400),
        ("transfer-encoding: identity\r\n", 400),
        ("transfer-encoding: chunked\r\ncontent-length: x\r\n", 200),
    ] {
        // A second request. It must be ignored if the end of the first one is ambiguous.
        let text = format!(
            "POST /heads HTTP/1.1\r\nhost: a\r\n{codings}\r\n{body}\
             GET /none HTTP/1.1\r\nhost: a\r\n\r\n"
        );
        let mut client = host.client().await?;
        client.send(text).await?;
        let answer = client.answer(&Method::POST).await?;
        assert_eq!(answer.status(), expected, "{codings}");
        if expected != 200 {
            client.closed().await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn proxy_requests_are_refused() -> Result<()> {
    let host = serve(|server| server).await?;
    let tunnel = "CONNECT b.example:443 HTTP/1.1\r\nhost: b.example:443\r\n\r\n";
    let answer = say(host.address, tunnel).await?;
    assert_eq!(answer.status(), 405);
    assert!(answer.headers()["allow"].to_str()?.contains("GET"));
    assert_eq!(refused(host.address, tunnel).await?, 405);

    let mut client = http2::Client::connect(host.address).await?;
    let request = Request::connect("b.example:443").body("")?;
    let answer = client.start(request).await?;
    assert_eq!(answer.status(), 405);
    assert!(answer.headers()["allow"].to_str()?.contains("GET"));
    assert_eq!(client.get("/heads").await?.status(), 200);
    Ok(())
}

/// A GET over HTTP/2 with these fields after its method and scheme.
async fn with_fields(host: &Host, fields: &[(&str, &str)]) -> Result<String> {
    let mut client = host.client().await?;
    let mut block = vec![0x82, 0x86];
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.bytes());
        }
    }
    let head = http2::frame(http2::HEADERS, 0x05, 1, &block);
    client.send([http2::PREFACE, &http2::settings(), &head].concat()).await?;
    let body = http2::Frame::of(http2::DATA, &mut client).await?;
    Ok(String::from_utf8(body.payload)?)
}

#[tokio::test]
async fn http2_requires_one_authority() -> Result<()> {
    let host = serve(|server| server).await?;
    let path = (":path", "/heads");
    for (fields, is_good) in [
        (&[path, (":authority", "a")][..], true),
        (&[path, (":authority", "a"), ("host", "A")], true),
        (&[path, ("host", "a")], true),
        (&[path], false),
        (&[path, ("host", "")], false),
        (&[path, ("host", "a"), ("host", "a")], false),
        (&[path, (":authority", "a"), ("host", "b")], false),
        (&[path, (":authority", "me@a")], false),
        (&[path, ("host", "a b")], false),
    ] {
        let body = with_fields(&host, fields).await?;
        let (good, bad) = (body.starts_with("hello"), body.contains("\"status\":400"));
        assert_eq!((good, bad), (is_good, !is_good), "{fields:?}: {body}");
    }
    Ok(())
}

#[tokio::test]
async fn the_admin_listener_validates_the_same_way() -> Result<()> {
    let admin = Admin::bind("127.0.0.1:0", host::runtime([])).await?;
    let address = admin.local_addr()?;
    tokio::spawn(admin.run(pending()));
    for (lines, expected) in [
        ("GET /invocations HTTP/1.1\r\nhost: localhost\r\n", 200),
        ("GET /invocations HTTP/1.1\r\n", 400),
        ("GET /invocations HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n", 400),
        ("CONNECT localhost:80 HTTP/1.1\r\nhost: localhost:80\r\n", 405),
        (
            "GET /invocations HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip, chunked\r\n",
            501,
        ),
    ] {
        let answer = say(address, format!("{lines}\r\n")).await?;
        assert_eq!(answer.status(), expected, "{lines}");
        if expected == 405 {
            assert_eq!(answer.headers()["allow"], "GET, POST, PUT, DELETE");
        }
    }
    Ok(())
}
