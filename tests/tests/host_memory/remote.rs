//! Responses of functions on other hosts.

use std::time::Duration;

use anyhow::Result;
use hourglass::http::Remote;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::counting::Growth;
use crate::heads::calling;
use crate::{MEMORY, SLACK, function, invoke, request_head, runtime};

/// Responds with most of a body of 8 MB, and never sends the rest.
async fn begin(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8000000\r\n\r\n").await?;
    for _ in 0..100 {
        stream.write_all(&[b'x'; 64 << 10]).await?;
    }
    // Waits for the other side to close.
    stream.read_u8().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn incomplete_responses_count() -> Result<()> {
    let mut growth = Growth::count().await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(begin(stream));
        }
    });
    let runtime = runtime();
    Remote::new(&url)?.provide(&runtime, "callee", Duration::from_secs(10))?;
    let module = calling((0, 6), &request_head("/", 60), 30, Duration::from_secs(2));
    runtime.deploy(function("calls", module).calls(["callee"]))?;
    growth.restart();
    assert_eq!(invoke(&runtime, "calls").await?.status(), 200);
    // All sent bytes would be 190 MB. A growing buffer has up to twice its content.
    assert!(growth.peak() < 3 * MEMORY + 2 * SLACK, "{} bytes", growth.peak());
    Ok(())
}
