//! The examples respond as documented.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use hourglass::mib;
use hourglass_tests::guests::{function, repository};
use hourglass_tests::host::Host;
use hourglass_tests::upstream::{Upstream, ok};
use http::{Request, Response};
use sha2::{Digest, Sha256};

/// Posts one of the examples' files to a function.
async fn post(host: &Host, target: &str, file: &str) -> Result<Response<Vec<u8>>> {
    let file = fs::read(repository().join("examples").join(file))?;
    Ok(host.client().await?.request(&Request::post(target).body(file)?).await?)
}

#[tokio::test]
async fn markdown_becomes_html() -> Result<()> {
    let host = Host::serve([function("markdown", "markdown")]).await?;
    let answer = post(&host, "/markdown", "markdown/deadlines.md").await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    let page = String::from_utf8(answer.into_body())?;
    assert!(page.contains("<h1>") && page.contains("<p>"), "{page}");
    assert_eq!(host.get("/markdown").await?.status(), 405);
    Ok(())
}

#[tokio::test]
async fn a_picture_becomes_a_thumbnail() -> Result<()> {
    let host =
        Host::serve([function("thumbnail", "thumbnail").timeout(Duration::from_secs(60))]).await?;
    let whole = fs::metadata(repository().join("examples/thumbnail/dunes.jpg"))?.len();
    let answer = post(&host, "/thumbnail?width=40", "thumbnail/dunes.jpg").await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    let thumbnail = answer.into_body();
    assert!(thumbnail.starts_with(b"\xff\xd8\xff"));
    assert!((thumbnail.len() as u64) < whole / 2, "{} bytes", thumbnail.len());
    let answer = post(&host, "/thumbnail", "markdown/deadlines.md").await?;
    assert_eq!(answer.status(), 415);
    Ok(())
}

/// The same request gives different pictures with much and with little time.
#[tokio::test]
async fn a_picture_is_as_complete_as_the_deadline_allows() -> Result<()> {
    let minute = Duration::from_secs(60);
    let host =
        Host::serve([function("mandelbrot", "mandelbrot").timeout(minute).grace(minute)]).await?;
    let mut pictures = Vec::new();
    for budget in ["1", "60000"] {
        let request = Request::get("/mandelbrot").header("x-envoy-expected-rq-timeout-ms", budget);
        let answer = host.client().await?.request(&request.body("")?).await?;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "image/png");
        let complete = answer.headers()["x-complete"].to_str()?.to_owned();
        assert!(answer.body().starts_with(b"\x89PNG"));
        pictures.push((complete, answer.into_body()));
    }
    assert_ne!(pictures[0].0, "100%");
    assert_eq!(pictures[1].0, "100%");
    assert_ne!(pictures[0].1, pictures[1].1);
    Ok(())
}

#[tokio::test]
async fn the_first_two_of_three_prices_suffice() -> Result<()> {
    let minute = Duration::from_secs(60);
    let fanout = function("fanout", "fanout").calls(["price"]).timeout(minute);
    let host = Host::serve([fanout, function("price", "price").timeout(minute)]).await?;
    let answer = String::from_utf8(host.get("/fanout").await?.into_body())?;
    assert_eq!(answer.lines().count(), 3, "{answer}");
    assert!(answer.ends_with("1 not waited for\n"), "{answer}");
    // The third call was canceled with it, long before its minute was over.
    assert_eq!(host.runtime.shutdown(minute).await, 0);
    Ok(())
}

#[tokio::test]
async fn a_pipeline_has_less_time_at_every_stage() -> Result<()> {
    let stages = ["markdown", "word-count", "summary"];
    let functions = stages.map(|stage| function(stage, stage));
    let pipeline = function("pipeline", "pipeline").calls(stages);
    let host = Host::serve(functions.into_iter().chain([pipeline])).await?;
    let answer = post(&host, "/pipeline", "markdown/deadlines.md").await?;
    let answer = String::from_utf8(answer.into_body())?;
    let lines: Vec<_> = answer.lines().collect();
    for (line, stage) in lines.iter().zip(stages) {
        assert!(line.starts_with(&format!("{stage} begins with ")), "{answer}");
    }
    assert!(lines[3].contains(" words, in short: "), "{answer}");
    Ok(())
}

#[tokio::test]
async fn an_upload_is_digested_without_buffering() -> Result<()> {
    // 8 MiB through 3 MiB of memory.
    let function = function("upload-digest", "upload-digest").memory(mib(3));
    let host = Host::serve([function]).await?;
    let request = Request::post("/upload-digest").body(vec![b'a'; 8 << 20])?;
    let answer = host.client().await?.request(&request).await?;
    let expected = "ad97f87076920684e2ca66fc44e5d322797dc9d64706b174e51b5d0828937043";
    let answer = String::from_utf8(answer.into_body())?;
    assert!(answer.ends_with("  8388608 bytes\n"), "{answer}");
    assert!(answer.starts_with(expected), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_digest_is_correct_for_any_length() -> Result<()> {
    let host = Host::serve([function("digest", "upload-digest")]).await?;
    let mut client = host.client().await?;
    // Around the ends of a block, of the room beside the padding, and of the host's largest read.
    for len in [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 65_535, 65_536, 65_537, 1_000_000] {
        let body: Vec<_> = (0..len).map(|place| (place % 251) as u8).collect();
        let expected: String = Sha256::digest(&body).iter().map(|b| format!("{b:02x}")).collect();
        let answer = client.request(&Request::post("/digest").body(body)?).await?;
        let answer = String::from_utf8(answer.into_body())?;
        assert_eq!(answer, format!("{expected}  {len} bytes\n"));
    }
    Ok(())
}

#[tokio::test]
async fn a_ticker_ticks_until_its_deadline() -> Result<()> {
    let second = Duration::from_secs(1);
    let function = function("ticker", "ticker").timeout(2 * second).grace(60 * second);
    let host = Host::serve([function]).await?;
    let answer = host.get("/ticker?every=50").await?;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let events = String::from_utf8(answer.into_body())?;
    assert!(events.starts_with("event: tick\ndata: 1, "), "{events}");
    assert!(events.ends_with("event: end\ndata: deadline-exceeded\n\n"), "{events}");
    Ok(())
}

#[tokio::test]
async fn a_proxy_passes_on_a_page() -> Result<()> {
    let pages = Upstream::start(|head| ok(&head[..20])).await?;
    let proxy = function("proxy", "proxy")
        .setting("UPSTREAM", pages.url(""))
        .allow_hosts([pages.address.to_string()]);
    let host = Host::serve([proxy, function("closed", "proxy").setting("UPSTREAM", pages.url(""))]);
    let host = host.await?;
    assert_eq!(host.get("/proxy/a/page").await?.body(), b"GET /a/page HTTP/1.1");
    let marked = host.get("/proxy/a/page?mark=page").await?;
    assert_eq!(marked.body(), b"GET /a/**page** HTTP/1.1\n");
    assert_eq!(host.get("/closed/a/page").await?.status(), 502);
    Ok(())
}
