//! The program is stopped at random moments under full load, and no request is lost.
//!
//! Each client goes on until connections are refused. Until then every request that it sends gets
//! a complete response. The only others are requests of HTTP/2 that a GOAWAY says were not
//! processed, and those of a client that has sent nothing for half a second before: the server may
//! have closed its connection.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use hourglass_tests::client::Client;
use hourglass_tests::guests::module;
use hourglass_tests::http2::{self, get};
use hourglass_tests::program::Serving;
use http::header::LOCATION;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::command::{hourglass, path};

/// The number of rounds; this variable sets another one.
const ROUNDS: u64 = 3;
const VARIABLE: &str = "HOURGLASS_TESTS_SHUTDOWNS";

/// The most responses before the signal.
const MOST: u64 = 4_000;

/// Concurrent requests of an HTTP/2 connection.
const STREAMS: usize = 8;

/// A server that stops closes a connection whose client has sent nothing for this time.
const LAST_CALL: Duration = Duration::from_millis(500);

/// A connection of HTTP/1.1.
struct Connection {
    client: Client,
    /// When the client began to send its last request, or to connect.
    sent: Instant,
}

impl Connection {
    /// Sends a request in parts, and waits for its response. `None` if the client was too late, as
    /// on a machine that did not run it for long, and there is no response.
    async fn ask(
        &mut self,
        method: &Method,
        parts: &[&[u8]],
    ) -> io::Result<Option<Response<Vec<u8>>>> {
        let before = std::mem::replace(&mut self.sent, Instant::now());
        let mut is_late = None;
        let answer = async {
            for part in parts {
                self.client.send(part).await?;
                is_late.get_or_insert_with(|| before.elapsed() >= LAST_CALL);
                tokio::task::yield_now().await;
            }
            self.client.answer(method).await
        };
        match answer.await {
            Err(_) if is_late.unwrap_or_else(|| before.elapsed() >= LAST_CALL) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// As [`ask`](Self::ask), for a GET.
    async fn get(&mut self, target: &str) -> io::Result<Option<Response<Vec<u8>>>> {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
        self.ask(&Method::GET, &[request.as_bytes()]).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A round, as its clients share it.
struct Round {
    address: SocketAddr,
    answered: AtomicUsize,
    /// Requests that a GOAWAY refused.
    refused: AtomicUsize,
    /// The paths of the jobs that were accepted.
    jobs: Mutex<Vec<String>>,
    /// After this many responses the signal is sent.
    moment: usize,
    reached: Notify,
}

impl Round {
    fn answered(&self) {
        if self.answered.fetch_add(1, Ordering::Relaxed) + 1 == self.moment {
            self.reached.notify_one();
        }
    }

    /// A new connection; `None` if it is refused.
    async fn connect(&self) -> io::Result<Option<Connection>> {
        let sent = Instant::now();
        match Client::connect(self.address).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(None),
            connected => Ok(Some(Connection { client: connected?, sent })),
        }
    }

    fn check(&self, answer: &Response<Vec<u8>>, expected: &[u8]) -> Result<bool> {
        ensure!(answer.status() == 200 && answer.body().starts_with(expected), "{answer:?}");
        self.answered();
        Ok(answer.headers().get("connection").is_some_and(|value| value == "close"))
    }

    /// One request for each connection.
    async fn hasty(&self) -> Result<()> {
        while let Some(mut connection) = self.connect().await? {
            if let Some(answer) = connection.get("/hello").await? {
                self.check(&answer, b"hello")?;
            }
        }
        Ok(())
    }

    /// Requests on one connection until the server closes it.
    async fn patient(&self) -> Result<()> {
        while let Some(mut connection) = self.connect().await? {
            while let Some(answer) = connection.get("/hello").await? {
                if self.check(&answer, b"hello")? {
                    connection.client.closed().await.context("the end")?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Bodies that do not fit into one packet.
    async fn bulky(&self) -> Result<()> {
        let body = vec![b'x'; 200 << 10];
        let head =
            format!("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        let request = [head.as_bytes(), &body].concat();
        while let Some(mut connection) = self.connect().await? {
            while let Some(answer) = connection.ask(&Method::POST, &[&request]).await? {
                if self.check(&answer, &body)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Responses in pieces.
    async fn streaming(&self) -> Result<()> {
        while let Some(mut connection) = self.connect().await? {
            while let Some(answer) = connection.get("/stream/pieces/100").await? {
                if self.check(&answer, b"piece 0\n")? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Requests in pieces, so that the server stops in the middle of one.
    async fn dribbling(&self) -> Result<()> {
        let rest = "TP/1.1\r\nhost: x\r\ncontent-length: 8\r\n";
        let parts = ["POST /echo HT", rest, "\r\n", "1234", "5678"].map(str::as_bytes);
        while let Some(mut connection) = self.connect().await? {
            if let Some(answer) = connection.ask(&Method::POST, &parts).await? {
                self.check(&answer, b"12345678")?;
            }
        }
        Ok(())
    }

    /// Jobs, which run later. Each one that was accepted has to run.
    async fn submitting(&self) -> Result<()> {
        while let Some(mut connection) = self.connect().await? {
            let submit = b"POST /-/async/hello HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
            while let Some(answer) = connection.ask(&Method::POST, &[submit]).await? {
                ensure!(answer.status() == 202, "{answer:?}");
                self.answered();
                let path = answer.headers().get(LOCATION).context("it has a location")?;
                lock(&self.jobs).push(path.to_str()?.to_owned());
                if answer.headers().get("connection").is_some_and(|value| value == "close") {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Concurrent requests on connections of HTTP/2.
    async fn concurrent(&self) -> Result<()> {
        loop {
            let mut client = match http2::Client::connect(self.address).await {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
                client => client?,
            };
            let mut is_open = true;
            while is_open {
                let path = |stream| if stream == 0 { "/stream/pieces/10" } else { "/hello" };
                let started: Vec<_> = (0..STREAMS).map(|n| client.start(get(path(n)))).collect();
                for answer in started {
                    let (head, body) = match answer.await {
                        Ok(answer) => answer.into_parts(),
                        // The end of the connection says whether that is so.
                        Err(_not_processed) => {
                            self.refused.fetch_add(1, Ordering::Relaxed);
                            is_open = false;
                            continue;
                        }
                    };
                    let body = body.collect().await?.to_bytes();
                    self.check(&Response::from_parts(head, body.to_vec()), b"")?;
                    ensure!(!body.is_empty(), "a body is missing");
                }
            }
            client.closed().await.context("the connection ends without an error")?;
        }
    }
}

/// What became of the requests of a round.
#[derive(Default)]
struct Sums {
    answered: usize,
    refused: usize,
    jobs: usize,
}

/// Starts a server with its configuration and its jobs in a folder.
fn start(folder: &Path) -> Result<Serving> {
    let config = folder.join("hourglass.toml");
    let mut text = String::from("jobs = \"jobs\"\ndrain = \"1m\"\n");
    for (name, more) in [("hello", "async = true\n"), ("echo", ""), ("stream", "")] {
        text += &format!("[function.{name}]\nfile = {:?}\ntimeout = \"1m\"\n{more}", module(name));
    }
    fs::write(&config, text)?;
    Ok(Serving::start(&mut hourglass(&["serve", path(&config), "--access-log", "off"]))?)
}

/// Waits until each job has succeeded, on another server with the same jobs.
async fn all_succeed(folder: &Path, jobs: &[String]) -> Result<()> {
    let server = start(folder)?;
    let mut client = Client::connect(server.address).await?;
    for path in jobs {
        let request = Request::get(path).header("prefer", "wait=60").body("")?;
        let answer = client.request(&request).await?;
        let job: Value = serde_json::from_slice(answer.body())?;
        ensure!(job["state"] == "succeeded", "{path}: {job}");
    }
    Ok(())
}

/// Runs clients of every kind, and stops the server at a moment.
async fn stop_under_load(moment: usize) -> Result<Sums> {
    let folder = tempfile::tempdir()?;
    let serving = start(folder.path())?;
    let (address, counts) = (serving.address, AtomicUsize::default);
    let (answered, refused, reached) = (counts(), counts(), Notify::new());
    let jobs = Mutex::default();
    let round = Arc::new(Round { address, answered, refused, jobs, moment, reached });
    let mut clients = JoinSet::new();
    for number in 0..18 {
        let round = round.clone();
        clients.spawn(async move {
            match number {
                0..4 => round.hasty().await.context("hasty"),
                4..8 => round.patient().await.context("patient"),
                8..10 => round.bulky().await.context("bulky"),
                10..12 => round.streaming().await.context("streaming"),
                12..14 => round.dribbling().await.context("dribbling"),
                14..16 => round.submitting().await.context("submitting"),
                _ => round.concurrent().await.context("concurrent"),
            }
        });
    }
    tokio::select! {
        () = round.reached.notified() => {}
        Some(early) = clients.join_next() => bail!("a client has ended: {early:?}"),
    }
    serving.signal(Signal::TERM);
    while let Some(client) = clients.join_next().await {
        client??;
    }
    ensure!(serving.ended()?.code() == Some(0), "the exit code");
    let jobs = std::mem::take(&mut *lock(&round.jobs));
    all_succeed(folder.path(), &jobs).await?;
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (answered, refused) = (count(&round.answered), count(&round.refused));
    Ok(Sums { answered, refused, jobs: jobs.len() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_when_the_program_stops() -> Result<()> {
    let rounds = match std::env::var(VARIABLE) {
        Ok(rounds) => rounds.parse()?,
        Err(_) => ROUNDS,
    };
    let mut random = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64 | 1;
    let mut sums = Sums::default();
    for round in 0..rounds {
        // xorshift
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let moment = (1 + random % MOST) as usize;
        let stopped = tokio::time::timeout(Duration::from_secs(120), stop_under_load(moment));
        let more =
            stopped.await?.with_context(|| format!("round {round}, after {moment} responses"))?;
        sums.answered += more.answered;
        sums.refused += more.refused;
        sums.jobs += more.jobs;
    }
    let Sums { answered, refused, jobs } = sums;
    println!(
        "{rounds} rounds: {answered} responses, {refused} requests refused by a GOAWAY, {jobs} jobs"
    );
    Ok(())
}
