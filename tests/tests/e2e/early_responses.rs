//! Responses that are complete before their requests: clients that read only after they have sent
//! everything receive them, over both versions of HTTP.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hourglass::{Function, mib};
use hourglass_tests::LONG;
use hourglass_tests::client::Client;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::http2::{self, DATA, END, Frame, HEADERS, get};
use tokio::time::timeout;

/// How long a test waits for a frame.
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest frame that a client may send.
const FRAME: usize = 16 << 10;

/// The flag of acknowledged settings. They apply to the server from then on.
const ACK: u8 = 1;

/// An HTTP/2 client that sends a body frame by frame, within the server's windows.
struct Sender {
    client: Client,
    /// The send windows of the connection and of the stream.
    windows: [i64; 2],
    /// The received part of the response body, and whether it is complete.
    body: Vec<u8>,
    ended: bool,
}

/// Why the client stopped sending.
#[derive(Debug, PartialEq)]
enum Stopped {
    /// The body was sent, and the response is complete.
    Sent,
    /// The server reset the stream: the code, and the number of bytes sent before.
    Reset([u8; 4], usize),
}

impl Sender {
    /// Starts a POST.
    async fn begin(address: SocketAddr, path: &str) -> Result<Self> {
        let mut client = Client::connect(address).await?;
        client.send([http2::PREFACE, &http2::settings(), &http2::begin(1, path)].concat()).await?;
        Ok(Self { client, windows: [65_535; 2], body: Vec::new(), ended: false })
    }

    /// Handles the next frame. `Some` is the code of a reset.
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

    /// Waits until the response is complete.
    async fn answered(&mut self) -> Result<()> {
        while !self.ended {
            if let Some(code) = self.take().await? {
                bail!("reset {code:?} before the answer was complete");
            }
        }
        Ok(())
    }

    /// Sends a whole body, and reads the response only after that, as httpx does.
    async fn send(&mut self, len: usize) -> Result<Stopped> {
        let mut left = len;
        loop {
            let may = usize::try_from(self.windows.into_iter().min().unwrap()).unwrap_or(0);
            if left > 0 && may > 0 {
                let piece = left.min(may).min(FRAME);
                left -= piece;
                let end = if left == 0 { END } else { 0 };
                // On an error the connection is closed, which the next read reports.
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

/// A function that responds without reading, and one with a small body limit.
fn functions() -> [Function; 2] {
    [
        function("early", "stream").timeout(LONG).request_body(mib(64)),
        function("small", "echo").request_body(1 << 10),
    ]
}

/// The paths of early responses, and a part of each body.
const ANSWERS: [(&str, &str); 4] = [
    ("/early/whole/5", "xxxxx"),
    ("/none", "\"status\":404"),
    ("/small", "\"status\":413"),
    ("/early/pieces/1", "piece 0"),
];

#[tokio::test]
async fn a_client_that_sends_everything_first_gets_its_response() -> Result<()> {
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
async fn a_rejected_client_gets_its_response() -> Result<()> {
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
async fn a_complete_response_is_not_followed_by_a_reset() -> Result<()> {
    let host = Host::serve(functions()).await?;
    for (path, _) in ANSWERS {
        let mut sender = Sender::begin(host.address, path).await?;
        if path == "/small" {
            // Only the length of the received body shows that it is too large.
            sender.client.send(http2::frame(DATA, 0, 1, &[b'x'; 2 << 10])).await?;
        }
        sender.answered().await?;
        // Frames of another response follow all frames of this one.
        sender.ended = false;
        sender.client.send(http2::headers(3, "/early/whole/1")).await?;
        sender.answered().await?;
        assert_eq!(sender.send(1 << 10).await?, Stopped::Sent, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn the_body_read_after_a_response_is_limited() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let mut sender = Sender::begin(host.address, "/early/whole/5").await?;
    let Stopped::Reset(code, sent) = sender.send(64 << 20).await? else { bail!("it is all read") };
    // 16 MiB and the client's window, unless the time limit was reached before.
    assert!(code == [0; 4] && sent <= 17 << 20, "{code:?} after {sent} bytes");
    assert_eq!(sender.body, b"xxxxx");

    // The connection stays usable.
    sender.ended = false;
    sender.client.send(http2::headers(3, "/early/whole/1")).await?;
    sender.answered().await
}

#[tokio::test]
async fn a_client_that_stops_sending_is_not_waited_for() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let mut sender = Sender::begin(host.address, "/early/whole/5").await?;
    sender.answered().await?;
    let answered = Instant::now();
    assert_eq!(sender.take().await?, Some([0; 4]));
    assert!(answered.elapsed() < Duration::from_secs(20), "{:?}", answered.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_client_that_reads_first_gets_its_response() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let mut sender = Sender::begin(host.address, "/early/whole/5").await?;
    sender.client.send(http2::frame(DATA, 0, 1, b"a part")).await?;
    sender.answered().await?;
    assert_eq!(sender.body, b"xxxxx");
    Ok(())
}

#[tokio::test]
async fn an_http1_client_that_still_sends_is_not_reset() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let piece = vec![b'x'; 64 << 10];
    for path in ["/early/whole/5", "/none"] {
        let mut client = host.client().await?;
        let head = format!("host: x\r\ncontent-length: {}\r\n", 16 * piece.len());
        client.send(format!("POST {path} HTTP/1.1\r\n{head}\r\n")).await?;
        client.answer(&http::Method::POST).await?;
        // The body had not arrived when the server closed its side.
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
async fn curl_receives_early_responses() -> Result<()> {
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

/// Sends bodies over HTTP/2, and prints the status and the body of each response.
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
async fn node_receives_early_responses() -> Result<()> {
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
async fn a_connection_that_discards_bodies_serves_other_requests() -> Result<()> {
    let host = Host::serve(functions()).await?;
    let mut client = http2::Client::connect(host.address).await?;
    // As many streams as a connection allows, each with a body that is discarded.
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
