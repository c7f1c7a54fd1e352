//! Streaming bodies: their throughput through a function, compared with a bare
//! hyper echo server; the memory they take; and the memory of an event stream.
//!
//! The clients are in the same process, and hold 64 KiB in each direction.

mod common;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hourglass::http::Server;
use hourglass::{Function, Runtime, mib};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ROUNDS: usize = 5;
const LENGTH: u64 = 1 << 30;
const STREAMS: u64 = 500;

fn main() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio");
    let ours = hourglass_server(&tokio);
    let bare = bare_server(&tokio);
    let targets =
        [("echo", ours, "/stream/echo"), ("digest", ours, "/upload-digest"), ("bare", bare, "/")];
    let mut times = [(); 3].map(|()| Vec::new());
    let mut peaks = [0; 3];
    for round in 0..=ROUNDS {
        for (at, (_, address, path)) in targets.iter().enumerate() {
            let peak = Peak::watch();
            let started = Instant::now();
            tokio.block_on(upload(*address, path));
            // The first round warms up.
            if round > 0 {
                times[at].push(started.elapsed().as_secs_f64());
                peaks[at] = peaks[at].max(peak.above());
            }
        }
    }
    let [echo, digest, bare] = times.map(common::median);
    println!("{} MiB up, medians of {ROUNDS} alternating rounds", LENGTH >> 20);
    for (name, time, peak) in [
        ("bare echo", bare, peaks[2]),
        ("echo", echo, peaks[0]),
        ("upload-digest", digest, peaks[1]),
    ] {
        let speed = (LENGTH >> 20) as f64 / time;
        let ratio = bare / time;
        println!(
            "  {name:<14} {speed:7.0} MiB/s, {ratio:.2} of bare; peak {} KiB above idle",
            peak >> 10
        );
    }
    tokio.block_on(events(ours));
}

fn hourglass_server(tokio: &tokio::runtime::Runtime) -> SocketAddr {
    let runtime = Runtime::builder().build().expect("a runtime");
    for name in ["stream", "upload-digest", "ticker"] {
        let function = Function::from_bytes(name, common::guest(name)).expect("a function");
        let function = function.timeout(Duration::from_secs(600)).request_body(mib(2 << 10));
        runtime.deploy(function).expect("it deploys");
    }
    let server = tokio.block_on(Server::bind("127.0.0.1:0", runtime)).expect("a free port");
    let address = server.local_addr().expect("an address");
    tokio.spawn(server.run(std::future::pending()));
    address
}

fn bare_server(tokio: &tokio::runtime::Runtime) -> SocketAddr {
    let listener = tokio.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let service = service_fn(async |request: http::Request<hyper::body::Incoming>| {
                Ok::<_, Infallible>(http::Response::new(request.into_body()))
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    address
}

/// Sends this many bytes and reads the whole response.
async fn upload(address: SocketAddr, path: &str) {
    let (mut from, mut to) = TcpStream::connect(address).await.expect("a connection").into_split();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {LENGTH}\r\n\r\n"
    );
    let sending = tokio::spawn(async move {
        to.write_all(head.as_bytes()).await.expect("it is taken");
        let piece = vec![7; 64 << 10];
        for _ in 0..LENGTH / piece.len() as u64 {
            to.write_all(&piece).await.expect("it is taken");
        }
        to
    });
    let mut room = vec![0; 64 << 10];
    while from.read(&mut room).await.expect("an answer") > 0 {}
    drop(sending.await.expect("all was sent"));
}

/// The memory of one of many concurrent event streams.
async fn events(address: SocketAddr) {
    let before = common::resident();
    let (got, mut tasks) = (Arc::new(AtomicU64::new(0)), Vec::new());
    let started = Instant::now();
    for _ in 0..STREAMS {
        let got = got.clone();
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            let head = b"GET /ticker?every=1000 HTTP/1.1\r\nhost: x\r\n\r\n";
            stream.write_all(head).await.expect("it is taken");
            let mut room = vec![0; 1 << 10];
            loop {
                let read = stream.read(&mut room).await.expect("a part of the stream");
                let text = String::from_utf8_lossy(room.get(..read).unwrap_or_default());
                got.fetch_add(text.matches("event: tick").count() as u64, Ordering::Relaxed);
            }
        }));
    }
    while got.load(Ordering::Relaxed) < 5 * STREAMS {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = started.elapsed();
    let each = common::resident().saturating_sub(before) / STREAMS;
    println!("{STREAMS} streams of an event a second, five events each after {took:.1?}");
    println!("  {} KiB each, the client's end included", each >> 10);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Peak resident memory from some moment on.
struct Peak {
    before: u64,
    most: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Peak {
    fn watch() -> Self {
        let before = common::resident();
        let (most, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        std::thread::spawn({
            let (most, over) = (most.clone(), over.clone());
            move || {
                while !over.load(Ordering::Relaxed) {
                    most.fetch_max(common::resident(), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Self { before, most, over }
    }

    /// The peak minus the value at that moment.
    fn above(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.most.load(Ordering::Relaxed).saturating_sub(self.before)
    }
}
