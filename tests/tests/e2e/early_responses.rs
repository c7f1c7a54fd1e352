//! Answers that are complete before their requests are: clients that only read when they have sent
//! everything get them, over both versions of HTTP.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hourglass::{Function, mib};
use hourglass_tests::client::Client;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::http2::{self, DATA, END, Frame, HEADERS, get};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(600);

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest frame that a client may send.
const FRAME: usize = 16 << 10;

/// The flag of settings that have been read. They hold for the server from then on.
const ACK: u8 = 1;

/// A client of HTTP/2 that sends a body frame by frame, as far as the server lets it.
struct Sender {
    client: Client,
    /// How many bytes it may send: on the connection, and on the stream.
    windows: [i64; 2],
    /// What has come of the answer's body, and whether that was all.
    body: Vec<u8>,
    ended: bool,
}

/// Why no more can be sent.
#[derive(Debug, PartialEq)]
enum Stopped {
    /// It has all been sent, and the answer is complete.
    Sent,
    /// The server has reset the stream: the code, and how many bytes had been sent.
    Reset([u8; 4], usize),
}

impl Sender {
    /// Begins a POST for a path.
    async fn begin(address: SocketAddr, path: &str) -> Result<Self> {
        let mut client = Client::connect(address).await?;
        client.send([http2::PREFACE, &http2::settings(), &http2::begin(1, path)].concat()).await?;
        Ok(Self { client, windows: [65_535; 2], body: Vec::new(), ended: false })
    }

    /// Takes the next frame; `Some` is the code of a reset.
    async fn take(&mut self) -> Result<Option<[u8; 4]>> {
        let frame = timeout(PATIENCE, Frame::next(&mut self.client)).await??;
        let number = |bytes: &[u8]| i64::from(u32::from_be_bytes(bytes.try_into().unwrap()));
        match frame.kind {
            http2::WINDOW_UPDATE => {
                self.windows[usize::from(frame.stream == 1)] += number(&frame.payload);
            }
            http2::SETTINGS if frame.flags & ACK == 0 => {
                let mut settings = frame.payload.chunks_exact(6);
                if let Some(window) = settings.find(|setting| setting[..2] == [0, 4]) {
                    self.windows[1] += number(&window[2..]) - 65_535;
                }
                self.client.send(http2::frame(http2::SETTINGS, ACK, 0, &[])).await?;
            }
            http2::RESET => return Ok(Some(frame.payload[..].try_into()?)),
            http2::GOAWAY => bail!("the connection is let go: {:?}", frame.payload),
            _ => {}
        }
        if frame.kind == DATA {
            self.body.extend(&frame.payload);
        }
        self.ended |= [HEADERS, DATA].contains(&frame.kind) && frame.flags & END != 0;
        Ok(None)
    }

    /// Waits until the answer is complete.
    async fn answered(&mut self) -> Result<()> {
        while !self.ended {
            if let Some(code) = self.take().await? {
                bail!("reset {code:?} before the answer was complete");
            }
        }
        Ok(())
    }

    /// Sends a body to its end, and looks for the answer only then, as httpx does.
    async fn send(&mut self, len: usize) -> Result<Stopped> {
        let mut left = len;
        loop {
            let may = usize::try_from(self.windows.into_iter().min().unwrap()).unwrap_or(0);
            if left > 0 && may > 0 {
                let piece = left.min(may).min(FRAME);
                left -= piece;
                let end = if left == 0 { END } else { 0 };
                // An error is a connection that is closed, which the next frame tells.
                let _ = self.client.send(http2::frame(DATA, end, 1, &vec![b'x'; piece])).await;
                self.windows = self.windows.map(|window| window - piece as i64);
            } else if left == 0 && self.ended {
                return Ok(Stopped::Sent);
            } else if let Some(code) = self.take().await? {
                return Ok(Stopped::Reset(code, len - left));
            }
        }
    }
}

/// A function that answers without reading, and one that takes little.
fn functions() -> [Function; 2] {
    [
        function("early", "stream").timeout(LONG).request_body(mib(64)),
        function("small", "echo").request_body(1 << 10),
    ]
}

/// The paths of early answers, and a part of each.
const ANSWERS: [(&str, &str); 4] = [
    ("/early/whole/5", "xxxxx"),
    ("/none", "\"status\":404"),
    ("/small", "\"status\":413"),
    ("/early/pieces/1", "piece 0"),
];

#[tokio::test]
async fn one_that_sends_to_the_end_before_it_reads_gets_its_answer() -> Result<()> {
    let host = Host::serve(functions()).await?;
    for (path, part) in ANSWERS {
        for len in [4 << 10, 300 << 10, 4 << 20] {
            let mut sender = Sender::begin(host.address, path).await?;
            assert_eq!(sender.send(len).await?, Stopped::Sent, "{path} with {len} bytes");
            let body = String::from_utf8(sender.body)?;
            assert!(body.contains(part), "{path}: {body}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn one_that_is_turned_away_gets_its_answer() -> Result<()> {
    let runtime = host::with(host::builder().max_in_flight(1), [function("full", "stuck")]);
    let host = Host::start(runtime, |server| server).await?;
    let mut busy = host.client().await?;
    busy.send("GET /full/sleep HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    host::in_flight(&host.runtime, 1).await;
    let mut sender = Sender::begin(host.address, "/full/print").await?;
    assert_eq!(sender.send(1 << 20).await?, Stopped::Sent);
    assert!(String::from_utf8(sender.body)?.contains("\"busy\""));
    Ok(())
}

#[tokio::test]
async fn a_complete_answer_is_not_followed_by_a_reset() -> Result<()> {
    let host = Host::serve(functions()).await?;
    for (path, _) in ANSWERS {
        let mut sender = Sender::begin(host.address, path).await?;
        if path == "/small" {
            // Nothing else shows that it is too large.
            sender.client.send(http2::frame(DATA, 0, 1, &[b'x'; 2 << 10])).await?;
        }
        sender.answered().await?;
        // Another answer comes after what there is to say of this one.
        sender.ended = false;
        sender.client.send(http2::headers(3, "/early/whole/1")).await?;
        sender.answered().await?;
        assert_eq!(sender.send(1 << 10).await?, Stopped::Sent, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn so_much_is_read_after_an_answer_and_no_more() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let mut sender = Sender::begin(host.address, "/early/whole/5").await?;
    let Stopped::Reset(code, sent) = sender.send(64 << 20).await? else { bail!("it is all read") };
    // 16 MiB, and what the client may be ahead by, unless its time was up before.
    assert!(code == [0; 4] && sent <= 17 << 20, "{code:?} after {sent} bytes");
    assert_eq!(sender.body, b"xxxxx");

    // The connection goes on.
    sender.ended = false;
    sender.client.send(http2::headers(3, "/early/whole/1")).await?;
    sender.answered().await
}

#[tokio::test]
async fn one_that_sends_no_more_is_not_waited_for() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let mut sender = Sender::begin(host.address, "/early/whole/5").await?;
    sender.answered().await?;
    let answered = Instant::now();
    assert_eq!(sender.take().await?, Some([0; 4]));
    assert!(answered.elapsed() < Duration::from_secs(20), "{:?}", answered.elapsed());
    Ok(())
}

#[tokio::test]
async fn one_that_waits_for_its_answer_first_gets_it() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let mut sender = Sender::begin(host.address, "/early/whole/5").await?;
    sender.client.send(http2::frame(DATA, 0, 1, b"a part")).await?;
    sender.answered().await?;
    assert_eq!(sender.body, b"xxxxx");
    Ok(())
}

#[tokio::test]
async fn one_that_sends_after_its_answer_is_not_cut_off_in_http1_either() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let piece = vec![b'x'; 64 << 10];
    for path in ["/early/whole/5", "/none"] {
        let mut client = host.client().await?;
        let head = format!("host: x\r\ncontent-length: {}\r\n", 16 * piece.len());
        client.send(format!("POST {path} HTTP/1.1\r\n{head}\r\n")).await?;
        client.answer(&http::Method::POST).await?;
        // Nothing of the body was there when the server closed its side.
        client.closed().await?;
        for _ in 0..16 {
            client.send(&piece).await.with_context(|| path.to_owned())?;
        }
    }
    Ok(())
}

/// The output of a program; `None` where it is not installed.
async fn say(program: &'static str, arguments: Vec<String>) -> Result<Option<String>> {
    if Command::new(program).arg("--version").stdout(Stdio::null()).spawn().is_err() {
        let _ = writeln!(std::io::stderr(), "skipped: there is no {program}");
        return Ok(None);
    }
    let output =
        tokio::task::spawn_blocking(move || Command::new(program).args(arguments).output());
    let output = output.await??;
    let said = [output.stdout, output.stderr].concat();
    Ok(Some(String::from_utf8(said).context("it says something else than text")?))
}

#[tokio::test]
async fn curl_sees_early_answers() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let folder = tempfile::tempdir()?;
    for len in [50 << 10, 300 << 10, 8 << 20] {
        let file = folder.path().join(len.to_string());
        std::fs::write(&file, vec![b'x'; len])?;
        for (path, part) in ANSWERS {
            for version in ["--http1.1", "--http2-prior-knowledge"] {
                let mut arguments: Vec<String> =
                    ["-sS", "-w", " ended", "--max-time", "20", version, "--data-binary"]
                        .map(Into::into)
                        .into();
                arguments.push(format!("@{}", file.display()));
                arguments.push(format!("http://{}{path}", host.address));
                let Some(said) = say("curl", arguments).await? else { return Ok(()) };
                let seen = said.contains(part) && !said.contains("curl: ");
                assert!(seen, "{version} {path} with {len} bytes: {said}");
            }
        }
    }
    Ok(())
}

/// Sends bodies over HTTP/2, and prints the status and the body of each answer.
const NODE: &str = "
const http2 = require('node:http2');
const [origin, len, ...paths] = process.argv.slice(1);
const ask = (path) => new Promise((resolve) => {
    const client = http2.connect(origin);
    const request = client.request({ ':path': path, ':method': 'POST' });
    let status, body = '';
    request.on('response', (headers) => { status = headers[':status']; });
    request.on('data', (piece) => { body += piece; });
    request.on('close', () => client.close());
    request.on('end', () => resolve(`${path} \"status\":${status} ${body}`));
    request.on('error', (error) => resolve(`${path} ${error}`));
    request.end(Buffer.alloc(Number(len)));
});
(async () => {
    for (const path of paths) { console.log(await ask(path)); }
})();
";

#[tokio::test]
async fn node_sees_early_answers() -> Result<()> {
    let host = Host::serve(functions()).await?;
    for len in [50 << 10, 300 << 10, 8 << 20] {
        let mut arguments = vec!["-e".to_owned(), NODE.to_owned()];
        arguments.extend([format!("http://{}", host.address), len.to_string()]);
        arguments.extend(ANSWERS.map(|(path, _)| path.to_owned()));
        let Some(said) = say("node", arguments).await? else { return Ok(()) };
        assert_eq!(
            said.lines().filter(|line| line.starts_with('/')).count(),
            ANSWERS.len(),
            "{said}"
        );
        for (line, (path, part)) in said.lines().filter(|line| line.starts_with('/')).zip(ANSWERS) {
            assert!(line.starts_with(path) && line.contains(part), "{len} bytes: {said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_that_reads_on_for_others_serves_this_one() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let mut client = http2::Client::connect(host.address).await?;
    // As many as a connection carries, each of them read on.
    let mut answers = Vec::new();
    for _ in 0..99 {
        let (feed, body) = hourglass_tests::input::fed();
        feed.give(vec![b'x'; 1 << 10]);
        let request = http::Request::post(http2::url("/none")).body(body)?;
        answers.push((client.start(request).await?, feed));
    }
    assert!(answers.iter().all(|(answer, _)| answer.status() == 404));
    assert_eq!(client.request(get("/early/whole/1")).await?.body(), "x");
    Ok(())
}
