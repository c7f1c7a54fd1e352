//! Functions that fetch from other hosts: requests, responses, redirects, and failures.

use std::time::Duration;

use anyhow::Result;
use hourglass::http::Tls;
use hourglass::{Context, Function};
use hourglass_tests::client::Client;
use hourglass_tests::guests::{function, module};
use hourglass_tests::host::{self, Host};
use hourglass_tests::program::{self, Serving};
use hourglass_tests::tls::Pair;
use hourglass_tests::upstream::{Told, Upstream, ok, redirect};
use hourglass_tests::{LONG, lines};
use http::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};
use tracing::Level;

/// A function that may fetch from this machine.
pub(super) fn fetcher(name: &str) -> Function {
    function(name, "fetcher").timeout(LONG).allow_hosts(["127.0.0.1"])
}

/// Sends a path and URLs to the fetcher.
pub(super) async fn ask(host: &Host, path: &str, urls: &[&str]) -> Result<Response<Vec<u8>>> {
    let mut request = Request::get(path).header("host", "x");
    for url in urls {
        request = request.header("x-url", *url);
    }
    Ok(host.client().await?.request(&request.body("")?).await?)
}

/// The response to that as text.
pub(super) async fn text(host: &Host, path: &str, urls: &[&str]) -> Result<String> {
    Ok(String::from_utf8(ask(host, path, urls).await?.into_body())?)
}

#[tokio::test]
async fn a_response_has_head_and_body() -> Result<()> {
    let upstream = Upstream::start(|head| {
        if head.starts_with("GET /missing") {
            "HTTP/1.1 404 Not Found\r\nx-a: 1\r\nx-a: 2\r\nconnection: x-hop\r\nx-hop: 1\r\n\
             transfer-encoding: chunked\r\n\r\n5\r\nno wa\r\n1\r\ny\r\n0\r\n\r\n"
                .to_owned()
        } else {
            ok("here")
        }
    })
    .await?;
    let host = Host::serve([fetcher("comes")]).await?;
    let answer = ask(&host, "/comes/pass", &[&upstream.url("/missing?q=1")]).await?;
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.headers().get_all("x-a").iter().count(), 2);
    assert!(!answer.headers().contains_key("x-hop"));
    assert_eq!(answer.body(), b"no way");
    assert_eq!(text(&host, "/comes/text", &[&upstream.url("/")]).await?, "here");
    assert_eq!(text(&host, "/comes/name", &[&upstream.url("/missing")]).await?, "404");
    Ok(())
}

#[tokio::test]
async fn context_headers_are_sent_and_hop_by_hop_headers_are_not() -> Result<()> {
    let upstream = Upstream::start(|_| ok("")).await?;
    let host = Host::serve([fetcher("along").timeout(Duration::from_secs(60))]).await?;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = Request::get("/along/pass")
        .header("host", "somewhere.else")
        .header("x-url", upstream.url("/"))
        .header("traceparent", trace)
        .header("x-request-id", "id-7")
        .header("x-mine", "kept")
        .header("grpc-timeout", "30S")
        .header("te", "trailers")
        .body("")?;
    host.client().await?.request(&request).await?;
    let head = upstream.asked().await;
    let value = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or("none").to_owned()
    };
    assert_eq!(value("host"), upstream.address.to_string());
    assert_eq!((&*value("x-request-id"), &*value("x-mine")), ("id-7", "kept"));
    assert_eq!((&*value("te"), &*value("baggage")), ("none", "none"));
    let (first, last) = (value("traceparent"), value("grpc-timeout"));
    assert!(first.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && first != trace, "{first}");
    let left: u64 = last.trim_end_matches('u').parse()?;
    assert!(left <= 30_000_000, "{left}");
    Ok(())
}

#[tokio::test]
async fn connections_are_reused_and_fetches_run_concurrently() -> Result<()> {
    let upstream = Upstream::start(|head| {
        if head.starts_with("GET /never") { String::new() } else { ok(&head[4..6]) }
    })
    .await?;
    let host = Host::serve([fetcher("several")]).await?;
    for _ in 0..3 {
        assert_eq!(text(&host, "/several/text", &[&upstream.url("/")]).await?, "/ ");
    }
    assert_eq!(upstream.told().await, Told::Connected);
    for _ in 0..3 {
        assert!(matches!(upstream.told().await, Told::Asked(_)));
    }
    let urls = ["/a", "/b", "/c"].map(|path| upstream.url(path));
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    assert_eq!(text(&host, "/several/all", &urls).await?, "/a/b/c");
    // The other fetches end with the function.
    let never = upstream.url("/never");
    assert_eq!(text(&host, "/several/first", &[&never, urls[1], &never]).await?, "1 /b");
    upstream.closed().await;
    host::in_flight(&host.runtime, 0).await;
    Ok(())
}

#[tokio::test]
async fn request_bodies_are_streamed() -> Result<()> {
    let beyond = Host::serve([function("echo", "stream").timeout(LONG)]).await?;
    let host = Host::serve([fetcher("pieces")]).await?;
    let url = format!("http://{}/echo/echo", beyond.address);
    let lines = text(&host, "/pieces/written/3", &[&url]).await?;
    assert_eq!(lines, "line 0\nline 1\nline 2\n");
    // The client's body is forwarded as it arrives, and the response is passed back.
    let mut client = host.client().await?;
    let head = format!("POST /pieces/pass HTTP/1.1\r\nhost: x\r\nx-url: {url}\r\n");
    let first = "x".repeat(32 << 10);
    client.send(format!("{head}transfer-encoding: chunked\r\n\r\n8000\r\n{first}\r\n")).await?;
    // The first part is back before the client sends the rest.
    client.head().await?;
    let mut back = Vec::new();
    while back.len() < first.len() {
        back.extend(client.piece().await?.unwrap_or_default());
    }
    client.send("0\r\n\r\n").await?;
    assert_eq!(client.piece().await?, None);
    // Any length works, because the other host responds while it reads.
    let body = vec![b'x'; 8 << 20];
    let [mut sender, mut receiver] = host.client().await?.twins()?;
    let head = format!("{head}content-length: {}\r\n\r\n", body.len());
    let sending = async {
        sender.send(head).await?;
        sender.send(&body).await
    };
    let method = http::Method::POST;
    let (sent, answer) = tokio::join!(sending, receiver.answer(&method));
    sent?;
    assert!(*answer?.body() == body);
    // An incomplete body is not taken for a complete one.
    let counts = format!("http://{}/echo/count", beyond.address);
    assert_eq!(text(&host, "/pieces/torn", &[&counts]).await?, "request-body");
    host::in_flight(&beyond.runtime, 0).await;
    Ok(())
}

#[tokio::test]
async fn an_aborted_response_aborts_the_functions_response() -> Result<()> {
    let upstream = Upstream::start(|_| {
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nhalf".to_owned()
    })
    .await?;
    let host = Host::serve([fetcher("half")]).await?;
    let whole = ask(&host, "/half/text", &[&upstream.url("/")]).await?;
    assert_eq!(whole.status(), 502);
    // The response is not taken for complete, whether its head was sent before or not.
    match ask(&host, "/half/pass", &[&upstream.url("/")]).await {
        Ok(answer) => assert_eq!(answer.status(), 500),
        Err(broken) => assert!(broken.to_string().contains("early eof"), "{broken}"),
    }
    Ok(())
}

#[tokio::test]
async fn failures_have_names() -> Result<()> {
    let upstream = Upstream::start(|head| match head.split(' ').nth(1) {
        Some("/long") => ok(&"x".repeat(101)),
        Some("/longer") => {
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(101))
        }
        Some("/odd") => "what?\r\n\r\n".to_owned(),
        _ => ok(""),
    })
    .await?;
    let hosts = ["127.0.0.1", "nowhere.invalid"];
    let host = Host::serve([fetcher("fails").allow_hosts(hosts).fetch_body(100)]).await?;
    let name = async |url: &str| text(&host, "/fails/name", &[url]).await;
    assert_eq!(name(&upstream.url("/")).await?, "200");
    assert_eq!(name(&upstream.url("/long")).await?, "response-too-large");
    assert_eq!(name(&upstream.url("/odd")).await?, "bad-response");
    assert_eq!(name("ftp://127.0.0.1/").await?, "bad-request");
    assert_eq!(name("http://me@127.0.0.1/").await?, "bad-request");
    assert_eq!(name("/relative").await?, "bad-request");
    assert_eq!(name("http://nowhere.invalid/").await?, "unresolved");
    let plain = TcpListener::bind("127.0.0.1:0").await?;
    let address = plain.local_addr()?;
    let answering = async {
        let (mut stream, _) = plain.accept().await?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await
    };
    let url = format!("https://{address}/");
    let (secure, answered) = tokio::join!(name(&url), answering);
    answered?;
    assert_eq!(secure?, "tls");
    // A port that is bound but has no listener.
    let unused = TcpSocket::new_v4()?;
    unused.bind("127.0.0.1:0".parse()?)?;
    assert_eq!(name(&format!("http://{}/", unused.local_addr()?)).await?, "unreachable");
    let longer = ask(&host, "/fails/text", &[&upstream.url("/longer")]).await?;
    assert_eq!(longer.status(), 502);
    assert!(has_said("fails", "is longer than 100 bytes"));
    let torn = text(&host, "/fails/get-streamed", &[&upstream.url("/")]).await?;
    assert_eq!(torn, "bad-request");
    let handed_on = ask(&host, "/fails/hand-on", &["http://nowhere.invalid/"]).await?;
    assert_eq!(handed_on.status(), 502);
    let problem: serde_json::Value = serde_json::from_slice(handed_on.body())?;
    assert_eq!(
        (&problem["detail"], &problem["function"]),
        (&"the function failed".into(), &"fails".into())
    );
    assert!(problem["request_id"].is_string(), "{problem}");
    Ok(())
}

#[tokio::test]
async fn fetches_are_counted() -> Result<()> {
    let upstream = Upstream::start(|_| ok("x")).await?;
    let url = upstream.url("/");
    let few = fetcher("few").max_fetches(2);
    let single = fetcher("single").fetches_at_once(1);
    let host = Host::serve([few, single]).await?;
    for name in ["few", "single"] {
        let path = format!("/{name}/all");
        assert_eq!(ask(&host, &path, &[&url]).await?.status(), 200);
        assert_eq!(ask(&host, &path, &[&url, &url, &url]).await?.status(), 502);
        assert!(has_said(name, "which is the most"));
    }
    Ok(())
}

/// Whether a log line of a function or about it contains these words.
fn has_said(function: &str, words: &str) -> bool {
    lines::of(function).iter().any(|line| line.text.contains(words))
}

#[tokio::test]
async fn malformed_data_from_another_host_is_not_a_bad_request() -> Result<()> {
    let upstream = Upstream::start(|head| match head.split(' ').nth(1) {
        Some("/binary") => "HTTP/1.1 203 Odd\r\ncontent-length: 1\r\n\r\n\u{7f}".to_owned(),
        Some("/number") => ok("7"),
        _ => ok("no number"),
    })
    .await?;
    let host = Host::serve([fetcher("blames")]).await?;
    assert_eq!(text(&host, "/blames/json", &[&upstream.url("/number")]).await?, "7");
    for (path, status) in [("/text", 200), ("/binary", 203)] {
        let answer = ask(&host, "/blames/json", &[&upstream.url(path)]).await?;
        assert_eq!(answer.status(), 502);
        let lines = lines::of("blames");
        let line = lines.last().unwrap();
        let start = format!("{}: status {status}", upstream.url(path));
        assert!(line.text.starts_with(&start), "{line:?}");
        assert!(line.text.contains("is not the expected JSON"), "{line:?}");
        let fields = format!("upstream={} upstream_status={status}", upstream.address);
        assert_eq!((line.level, line.field("fields")), (Level::ERROR, Some(&*fields)));
    }
    assert_eq!(lines::of("blames").len(), 2);
    Ok(())
}

#[tokio::test]
async fn unreleased_handles_are_limited() -> Result<()> {
    let runtime = host::runtime([function("hoards", "fetcher").timeout(LONG)]);
    let request = Request::get("/hoards/hoard").header("x-url", "http://127.0.0.1/").body(())?;
    let error = runtime.invoke(&Context::background(), "hoards", request).await.unwrap_err();
    assert!(error.to_string().contains("1024 fetch handles at once"), "{error}");
    Ok(())
}

#[tokio::test]
async fn redirects_are_followed_on_request() -> Result<()> {
    let other = Upstream::start(ok).await?;
    let away = other.url("/away");
    let upstream = Upstream::start(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        match path {
            "/a" => redirect(302, "b?x=1"),
            "/b?x=1" => redirect(307, "/c"),
            "/round" => redirect(302, "/round"),
            "/away" => redirect(308, &away),
            "/out" => redirect(302, "http://localhost:1/"),
            "/scheme" => redirect(302, "file:///etc/passwd"),
            "/nowhere" => redirect(302, "http://"),
            _ => ok(head),
        }
    })
    .await?;
    let host = Host::serve([fetcher("follows")]).await?;
    let follow = async |times: u32, path: &str| {
        text(&host, &format!("/follows/follow/{times}"), &[&upstream.url(path)]).await
    };
    assert_eq!(ask(&host, "/follows/follow/0", &[&upstream.url("/a")]).await?.status(), 302);
    assert!(follow(2, "/a").await?.starts_with("GET /c HTTP/1.1"));
    assert_eq!(follow(1, "/a").await?, "redirect");
    assert_eq!(follow(5, "/round").await?, "redirect");
    assert_eq!(follow(5, "/out").await?, "forbidden");
    assert_eq!(follow(5, "/scheme").await?, "bad-request");
    assert_eq!(follow(5, "/nowhere").await?, "redirect");
    // Credentials are not sent to another origin, and a form becomes a GET without a body.
    let send = async |method: &str, path: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/follows/follow/5")
            .header("x-url", upstream.url(path))
            .header("authorization", "secret")
            .header("cookie", "secret")
            .header("x-mine", "kept");
        let answer = host.client().await?.request(&request.body("")?).await?;
        anyhow::Ok(String::from_utf8(answer.into_body())?)
    };
    let away = send("GET", "/away").await?;
    assert!(away.starts_with("GET /away") && away.contains("x-mine: kept"), "{away}");
    assert!(!away.contains("secret"), "{away}");
    let near = send("POST", "/a").await?;
    assert!(near.starts_with("GET /c") && near.contains("authorization: secret"), "{near}");
    Ok(())
}

#[tokio::test]
async fn a_host_is_trusted_by_the_system_roots_over_http2() -> Result<()> {
    let (pair, _) = Pair::new()?;
    let tls = Tls::from_files(&pair.certificate, &pair.key)?;
    let beyond = host::runtime([function("beyond", "cgi").timeout(LONG)]);
    let beyond = Host::start(beyond, |server| server.tls(tls)).await?;
    let url = format!("https://localhost:{}/beyond/env", beyond.address.port());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hourglass.toml");
    let config = format!(
        "listen = \"127.0.0.1:0\"\n[function.asks]\nfile = {:?}\ntimeout = \"60s\"\n\
         allow_hosts = [\"https://localhost\", \"127.0.0.0/8\", \"::1\"]\n",
        module("fetcher")
    );
    std::fs::write(&file, config)?;
    let program = env!("CARGO_BIN_EXE_hourglass-under-test");
    let mut command = program::command(program, &["serve", file.to_str().unwrap()]);
    let ask = async |serving: &Serving, way: &str| {
        let request =
            Request::get(format!("/asks/{way}")).header("host", "x").header("x-url", &url);
        let answer = Client::connect(serving.address).await?.request(&request.body("")?).await?;
        anyhow::Ok(String::from_utf8(answer.into_body())?)
    };
    let stranger = Serving::start(&mut command)?;
    assert_eq!(ask(&stranger, "name").await?, "tls");
    let friend = Serving::start(command.env("SSL_CERT_FILE", &pair.certificate))?;
    for _ in 0..2 {
        let environment = ask(&friend, "text").await?;
        assert!(environment.contains("SERVER_PROTOCOL=HTTP/2.0"), "{environment}");
    }
    Ok(())
}
