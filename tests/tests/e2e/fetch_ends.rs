//! The end of a fetch: with its context, its body, or its budget.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use hourglass::mib;
use hourglass_tests::host::{self, Host};
use hourglass_tests::lines;
use hourglass_tests::upstream::Upstream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::fetch::{ask, fetcher, text};

/// Another host that sends a response's head at once, and its body after a permit.
async fn late() -> Result<(String, Arc<Semaphore>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let allow = Arc::new(Semaphore::new(0));
    let wait = allow.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let wait = wait.clone();
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(stream.read_u8().await?);
                }
                let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
                stream.write_all(head).await?;
                wait.acquire().await.map_err(std::io::Error::other)?.forget();
                stream.write_all(b"the body").await
            });
        }
    });
    Ok((url, allow))
}

#[tokio::test]
async fn a_response_body_outlives_its_handler() -> Result<()> {
    let (url, allow) = late().await?;
    let host = Host::serve([fetcher("later")]).await?;
    let begin = async |way: &str| {
        let mut client = host.client().await?;
        let head = format!("GET /later/{way} HTTP/1.1\r\nhost: x\r\nx-url: {url}\r\n\r\n");
        client.send(head).await?;
        client.head().await?;
        anyhow::Ok(client)
    };
    for way in ["derived/60000", "rewritten", "pass"] {
        for _ in 0..20 {
            // The head is sent when the handler returns.
            let mut client = begin(way).await?;
            allow.add_permits(1);
            let mut body = Vec::new();
            while let Some(piece) = client.piece().await? {
                body.extend(piece);
            }
            assert_eq!(body, b"the body", "{way}");
        }
    }
    // A body ends when the function cancels its context, or at the deadline.
    for way in ["canceled", "derived/200"] {
        let broken = begin(way).await;
        let broken = async { anyhow::Ok(broken?.piece().await?) }.await;
        assert!(broken.is_err(), "{way}: {broken:?}");
    }
    host::in_flight(&host.runtime, 0).await;
    Ok(())
}

#[tokio::test]
async fn a_head_timeout_does_not_limit_the_body() -> Result<()> {
    let upstream = silent().await?;
    let host = Host::serve([fetcher("heads")]).await?;
    let asked = text(&host, "/heads/head/50", &[&upstream.url("/never")]).await?;
    assert_eq!(asked, "head-timeout");
    upstream.closed().await;
    assert_eq!(text(&host, "/heads/head/60000", &[&upstream.url("/half")]).await?, "200");
    Ok(())
}

/// A host that never responds, or sends half a response if the path says so.
async fn silent() -> Result<Upstream> {
    let upstream = Upstream::start(|head| {
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_owned();
        if head.starts_with("GET /half") { half } else { String::new() }
    });
    Ok(upstream.await?)
}

#[tokio::test]
async fn a_fetch_ends_with_its_context() -> Result<()> {
    // Long enough to connect.
    let short = fetcher("short").timeout(Duration::from_secs(3));
    let host = Host::serve([fetcher("ends"), short]).await?;
    // A context with a shorter timeout.
    let upstream = silent().await?;
    let brief = text(&host, "/ends/brief", &[&upstream.url("/never")]).await?;
    assert!(brief.contains("deadline"), "{brief}");
    upstream.closed().await;
    // The function's deadline.
    let upstream = silent().await?;
    assert_eq!(ask(&host, "/short/text", &[&upstream.url("/never")]).await?.status(), 504);
    upstream.closed().await;
    // A function that ends without waiting, connected or not.
    let upstream = silent().await?;
    assert_eq!(text(&host, "/ends/leave", &[&upstream.url("/never")]).await?, "left");
    // A client that disconnects, before the head and after it.
    for (way, path, word) in [("start", "/never", "begun"), ("read", "/half", "the head is there")]
    {
        let (upstream, mut client) = (silent().await?, host.client().await?);
        let url = upstream.url(path);
        client.send(format!("GET /ends/{way} HTTP/1.1\r\nhost: x\r\nx-url: {url}\r\n\r\n")).await?;
        upstream.asked().await;
        lines::told("ends", word).await;
        drop(client);
        upstream.closed().await;
    }
    host::in_flight(&host.runtime, 0).await;
    Ok(())
}

#[tokio::test]
async fn a_host_that_never_reads_releases_its_budget() -> Result<()> {
    // It responds after the head, and keeps the connection open.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.read_exact(&mut [0; 4]).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
            kept.push(stream);
        }
        std::io::Result::Ok(())
    });
    let host = Host::serve([fetcher("early").memory(mib(256))]).await?;
    // The budget has room for four of these bodies, and for more once they are released.
    let mut sent = 0;
    let sending = async {
        while sent < 6 {
            match &*text(&host, "/early/large", &[&url]).await? {
                "200" => sent += 1,
                "fetches-exceeded" => {}
                others => panic!("{others}"),
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(120), sending).await?
}
