//! The cost of a fresh instance per request over HTTP, compared with a bare
//! hyper server that answers the same bytes.
//!
//! Servers and clients share the machine and the process; the clients have
//! their own tokio runtime. Rounds alternate between the servers; the figures
//! are medians of the rounds.
//!
//! The baseline is hyper as it is usually run, on tokio's multi-threaded
//! runtime. Hourglass serves on one thread per core, so a second baseline runs
//! hyper on such threads and shows how much of the speed is due to them.

mod common;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hourglass::http::Server;
use hourglass::{Function, Runtime};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(1_500);
const ID: &str = "0123456789abcdef0123456789abcdef";

fn main() {
    let servers = runtime();
    let clients = runtime();
    let _guard = servers.enter();
    let ours = hourglass_server(&servers);
    let bare = bare_server(&servers, vec![servers.handle().clone()]);
    let cores = bare_server(&servers, threads());
    for connections in [1, 64] {
        compare(&clients, ours, [bare, cores], connections);
    }
    beside_spinning(&clients, ours);
    idle();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a tokio runtime")
}

fn hourglass_server(tokio: &tokio::runtime::Runtime) -> SocketAddr {
    let runtime = Runtime::builder().build().expect("a runtime");
    for (name, timeout) in [("hello", 10), ("spin", 60)] {
        let function = Function::from_bytes(name, common::guest(name)).expect("a function");
        runtime.deploy(function.timeout(Duration::from_secs(timeout))).expect("it deploys");
    }
    let server = tokio.block_on(Server::bind("127.0.0.1:0", runtime)).expect("a free port");
    let address = server.local_addr().expect("an address");
    tokio.spawn(server.run(std::future::pending()));
    address
}

/// One thread with an event loop per core.
fn threads() -> Vec<Handle> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let start = |core| {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let tokio = tokio.expect("a tokio runtime");
        let handle = tokio.handle().clone();
        std::thread::spawn(move || {
            let mut only = CpuSet::new();
            only.set(core);
            // If the cores are numbered differently, the kernel chooses.
            let _ = sched_setaffinity(None, &only);
            tokio.block_on(std::future::pending::<()>());
        });
        handle
    };
    (0..cores).map(start).collect()
}

/// Hyper with the front's settings and no further work. Connections are
/// distributed over the event loops in turn.
fn bare_server(tokio: &tokio::runtime::Runtime, loops: Vec<Handle>) -> SocketAddr {
    let listener = tokio.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio.spawn(async move {
        for handle in loops.iter().cycle() {
            let (stream, _) = listener.accept().await.expect("a connection");
            handle.spawn(serve_bare(stream.into_std().expect("a socket")));
        }
    });
    address
}

async fn serve_bare(stream: std::net::TcpStream) {
    let stream = TcpStream::from_std(stream).expect("a socket");
    stream.set_nodelay(true).expect("a socket");
    let service = service_fn(async |_| {
        let response = http::Response::builder()
            .header("content-type", "text/plain; charset=utf-8")
            .header("x-request-id", ID)
            .body(String::from("hello world, 10.0s left\n"));
        Ok::<_, Infallible>(response.expect("a response"))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // A client that is done disconnects, which may count as an error.
    let _ = connection.await;
}

fn compare(
    clients: &tokio::runtime::Runtime,
    ours: SocketAddr,
    bare: [SocketAddr; 2],
    connections: usize,
) {
    let mut ratios = [Vec::new(), Vec::new()];
    let mut rows = [Vec::new(), Vec::new(), Vec::new()];
    // The first round warms up and does not count.
    for round in 0..=ROUNDS {
        let [bare, cores, ours] = [bare[0], bare[1], ours]
            .map(|address| clients.block_on(load(address, connections, ROUND)));
        if round > 0 {
            ratios[0].push(ours.rate / bare.rate);
            ratios[1].push(ours.rate / cores.rate);
            rows[0].push(bare);
            rows[1].push(cores);
            rows[2].push(ours);
        }
    }
    println!("hello over {connections} connection(s), medians of {ROUNDS} alternating rounds");
    for (name, row) in ["bare hyper", "  a thread per core", "Hourglass"].iter().zip(&rows) {
        let of = |figure: fn(&Load) -> f64| common::median(row.iter().map(figure).collect());
        println!(
            "  {name:<20} {:8.0} requests/s   p50 {:7.3} ms   p99 {:7.3} ms",
            of(|load| load.rate),
            of(|load| load.p50.as_secs_f64() * 1e3),
            of(|load| load.p99.as_secs_f64() * 1e3),
        );
    }
    let [bare, cores] = ratios.map(common::median);
    println!("  ratio to bare hyper  {bare:8.2}, to bare hyper on a thread per core {cores:.2}");
}

/// `hello` while two other guests spin.
fn beside_spinning(clients: &tokio::runtime::Runtime, ours: SocketAddr) {
    let load = clients.block_on(async {
        let mut spinning = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(ours).await.expect("a connection");
            stream.write_all(&request("/spin")).await.expect("a request");
            spinning.push(stream);
        }
        load(ours, 1, ROUND * 2).await
    });
    println!(
        "hello beside two spinning guests: p50 {:.3} ms, p99 {:.3} ms    (aim: p99 at most 5 ms)",
        load.p50.as_secs_f64() * 1e3,
        load.p99.as_secs_f64() * 1e3,
    );
}

/// How often the idle process wakes up.
fn idle() {
    // Spinning guests end when their clients disconnect; then the ticker
    // lingers.
    std::thread::sleep(Duration::from_millis(1_500));
    let before = wake_ups();
    std::thread::sleep(Duration::from_secs(3));
    // One of them is this thread's own.
    let count = wake_ups().saturating_sub(before + 1);
    println!("wake-ups in 3 idle seconds: {count}    (aim: 0)");
}

/// The voluntary context switches of this process's threads.
fn wake_ups() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("procfs");
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok())
        .filter_map(|status| {
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum()
}

/// The measurements of one round of load.
struct Load {
    rate: f64,
    p50: Duration,
    p99: Duration,
}

/// Requests `hello` over keep-alive connections, one request at a time on each.
async fn load(address: SocketAddr, connections: usize, time: Duration) -> Load {
    let started = Instant::now();
    let tasks: Vec<_> =
        (0..connections).map(|_| tokio::spawn(connection(address, started + time))).collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("a client"));
    }
    let rate = latencies.len() as f64 / started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Load {
        rate,
        p50: common::percentile(&latencies, 0.5),
        p99: common::percentile(&latencies, 0.99),
    }
}

async fn connection(address: SocketAddr, until: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let request = request("/hello/world");
    let mut buffer = vec![0; 4 << 10];
    let mut latencies = Vec::with_capacity(100_000);
    let mut now = Instant::now();
    while now < until {
        stream.write_all(&request).await.expect("a request is sent");
        response(&mut stream, &mut buffer).await;
        let then = std::mem::replace(&mut now, Instant::now());
        latencies.push(now - then);
    }
    latencies
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n").into_bytes()
}

/// Reads one response to its end.
async fn response(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    let end = loop {
        let read = stream.read(&mut buffer[filled..]).await.expect("a response");
        assert!(read > 0, "the server hung up");
        filled += read;
        if let Some(end) = find(&buffer[..filled], b"\r\n\r\n") {
            break end + 4;
        }
    };
    assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..filled]));
    let at = find(&buffer[..end], b"content-length: ").expect("a length") + 16;
    let length = buffer[at..end].iter().take_while(|byte| byte.is_ascii_digit());
    let length = length.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    while filled < end + length {
        filled += stream.read(&mut buffer[filled..]).await.expect("a body");
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
