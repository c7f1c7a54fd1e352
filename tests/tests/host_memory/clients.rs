//! Responses whose heads are large, and clients that do not read them.

use std::time::Duration;

use anyhow::Result;
use hourglass_tests::host::Host;
use hourglass_tests::http2::{self, PREFACE};
use hourglass_tests::lines;
use hourglass_tests::modules::Module;
use tokio::time::timeout;

use crate::counting::Growth;
use crate::{MEMORY, SLACK, function, import, response_head, runtime};

const CONNECTIONS: usize = 5;

/// The stream limit of an HTTP/2 connection.
const STREAMS: u32 = 100;

/// Serves a guest that prints `run` and responds with the longest head.
async fn serve(name: &str) -> Result<Host> {
    lines::record();
    let head = response_head(64 << 10);
    let mut module = Module::with_memory(MEMORY >> 16);
    let [print, respond] = ["fd_write", "respond"].map(|name| import(&mut module, name));
    module.bytes(0, &[16, 4].map(i32::to_le_bytes).concat()).bytes(16, b"run\n").bytes(64, &head);
    module.code(0, |code| {
        code.i32_const(1).i32_const(0).i32_const(1).i32_const(8).call(print).drop();
        code.i32_const(64).i32_const(head.len() as i32).i32_const(0).i32_const(0);
        code.call(respond).drop();
    });
    let runtime = runtime();
    runtime.deploy(function(name, module.finish()))?;
    Ok(Host::start(runtime, |server| server.response_memory(1 << 20)).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_http2_heads_are_limited() -> Result<()> {
    let mut growth = Growth::count().await;
    let host = serve("unread").await?;
    growth.restart();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = host.client().await?;
        client.send([PREFACE, &http2::settings()].concat()).await?;
        for stream in 0..STREAMS {
            client.send(http2::headers(2 * stream + 1, "/unread")).await?;
        }
        clients.push(client);
    }
    lines::told_times("unread", "run", CONNECTIONS * STREAMS as usize).await;
    // All heads together would have 33 MB.
    assert!(growth.peak() < 2 * SLACK, "{} bytes", growth.peak());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_http1_heads_are_few() -> Result<()> {
    let mut growth = Growth::count().await;
    let host = serve("pipelined").await?;
    for request in ["GET /pipelined HTTP/1.1\r\nhost: x\r\n\r\n", POST] {
        growth.restart();
        let requests = request.repeat(2_000);
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = host.client().await?;
            // The server stops reading while it cannot write.
            let _ = timeout(Duration::from_millis(300), client.send(&requests)).await;
            clients.push(client);
        }
        lines::told_times("pipelined", "run", CONNECTIONS).await;
        assert!(growth.peak() < 2 * SLACK, "{} bytes", growth.peak());
    }
    Ok(())
}

const POST: &str = "POST /pipelined HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody";
