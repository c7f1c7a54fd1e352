//! Batches over HTTP: results stream while jobs still come, and a batch ends with its client.

use anyhow::Result;
use hourglass::http::Routes;
use hourglass_tests::client::Client;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::{LONG, lines};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

/// A host that accepts batches for these functions.
async fn host(names: &[(&str, &str)]) -> Result<Host> {
    let functions =
        names.iter().map(|(name, guest)| function(name, guest).timeout(LONG).grace(LONG));
    let runtime = host::runtime(functions);
    let mut routes = Routes::new();
    names.iter().for_each(|(name, _)| routes.batch(*name));
    Ok(Host::start(runtime, |server| server.routes(routes)).await?)
}

/// Sends a chunk of a request.
async fn chunk(client: &mut Client, text: &str) -> Result<()> {
    Ok(client.send(format!("{:x}\r\n{text}\r\n", text.len())).await?)
}

const CHUNKED: &str = "host: x\r\ntransfer-encoding: chunked\r\n\r\n";

fn results(body: &[u8]) -> Result<Vec<Value>> {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(serde_json::from_slice).collect::<Result<_, _>>()?)
}

#[tokio::test]
async fn results_come_while_jobs_are_still_sent() -> Result<()> {
    let host = host(&[("batched", "echo")]).await?;
    let mut client = host.client().await?;
    client.send(format!("POST /-/batch/batched HTTP/1.1\r\n{CHUNKED}")).await?;
    let head = client.head().await?;
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-type"], "application/x-ndjson");
    for number in 1..=3 {
        // A job arrives in two pieces.
        chunk(&mut client, &format!("{{\"id\":\"job-{number}\",")).await?;
        chunk(&mut client, "\"body\":\"text\"}\n").await?;
        let result: Value = serde_json::from_slice(&client.piece().await?.unwrap())?;
        assert_eq!(result["id"], format!("job-{number}"));
        assert_eq!((&result["line"], &result["body"]), (&json!(number), &json!("text")));
    }
    chunk(&mut client, "{\"id\":4,\"path\":\"no path\"}\nthe last line has no end").await?;
    client.send("0\r\n\r\n").await?;
    let mut rest = Vec::new();
    while let Some(piece) = client.piece().await? {
        rest.extend(piece);
    }
    let mut rest = results(&rest)?;
    rest.sort_by_key(|result| result["line"].as_u64());
    assert_eq!((&rest[0]["id"], &rest[0]["outcome"]), (&json!(4), &json!("bad-request")));
    assert_eq!(
        (&rest[1]["line"], &rest[1]["body"]),
        (&json!(5), &json!("the last line has no end"))
    );
    // The connection is kept.
    assert_eq!(client.get("/batched").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_client_that_disconnects_ends_its_jobs() -> Result<()> {
    let host = host(&[("batch-left", "stuck")]).await?;
    let mut client = host.client().await?;
    client.send(format!("POST /-/batch/batch-left?concurrency=5 HTTP/1.1\r\n{CHUNKED}")).await?;
    chunk(&mut client, &"{\"path\":\"/batch-left/print\"}\n".repeat(20)).await?;
    lines::told_times("batch-left", "begun", 5).await;
    drop(client);
    lines::told("batch-left", "cause: client-disconnected").await;
    host::nothing_left(&host.runtime).await;
    assert_eq!(lines::count("batch-left", "begun"), 5);
    Ok(())
}

#[tokio::test]
async fn the_deadline_of_the_request_ends_its_jobs() -> Result<()> {
    let host = host(&[("batch-late", "stuck")]).await?;
    let mut client = host.client().await?;
    let job = "{\"path\":\"/batch-late/sleep\"}\n";
    // Long enough for the jobs to arrive before it.
    let head = format!("content-length: {}\r\ngrpc-timeout: 2S\r\nhost: x\r\n\r\n", 4 * job.len());
    let jobs = job.repeat(4);
    client.send(format!("POST /-/batch/batch-late?concurrency=2 HTTP/1.1\r\n{head}{jobs}")).await?;
    let answer = client.answer(&Method::POST).await?;
    let results = results(answer.body())?;
    assert!((2..=4).contains(&results.len()), "{results:?}");
    assert!(results.iter().all(|result| result["outcome"] == "deadline-exceeded"), "{results:?}");
    Ok(())
}

#[tokio::test]
async fn responses_that_wait_for_the_client_are_within_the_response_memory() -> Result<()> {
    let mut routes = Routes::new();
    routes.batch("batch-large");
    let runtime = host::runtime([function("batch-large", "echo").timeout(LONG)]);
    let host =
        Host::start(runtime, |server| server.response_memory(1 << 20).routes(routes)).await?;
    let mut client = host.client().await?;

    // Together the responses are longer than the budget, but the client reads them.
    let path = "/-/batch/batch-large?concurrency=1";
    let jobs = ("x".repeat(200 << 10) + "\n").repeat(4);
    for _ in 0..5 {
        let answer = client.request(&Request::post(path).body(&jobs)?).await?;
        let ended = results(answer.body())?;
        assert_eq!(ended.len(), 4);
        assert!(ended.iter().all(|result| result["outcome"] == "response"));
    }

    // This response alone is longer than the budget.
    let job = "x".repeat((1 << 20) + 1);
    let answer = client.request(&Request::post(path).body(job)?).await?;
    let ended = results(answer.body())?;
    assert_eq!(ended[0]["outcome"], "response-too-large");
    assert_eq!(ended[0]["attempts"], 1);
    Ok(())
}

#[tokio::test]
async fn failures_are_retried_if_the_client_asks_for_it() -> Result<()> {
    let host = host(&[("batch-fails", "fail")]).await?;
    let mut client = host.client().await?;
    let job = "{\"path\":\"/batch-fails/7\"}\n";
    let answer =
        client.request(&Request::post("/-/batch/batch-fails?retries=1").body(job)?).await?;
    let results = results(answer.body())?;
    assert_eq!((&results[0]["outcome"], &results[0]["attempts"]), (&json!("exit"), &json!(2)));
    Ok(())
}

#[tokio::test]
async fn only_functions_that_allow_it_accept_batches() -> Result<()> {
    let host = host(&[("batch-open", "echo")]).await?;
    host.runtime.deploy(function("batch-shut", "echo"))?;
    let mut client = host.client().await?;
    for (method, path, status) in [
        (Method::POST, "/-/batch/batch-open", StatusCode::OK),
        (Method::POST, "/-/batch/batch-shut", StatusCode::NOT_FOUND),
        (Method::POST, "/-/batch/missing", StatusCode::NOT_FOUND),
        (Method::POST, "/-/batch/batch-open/more", StatusCode::NOT_FOUND),
        (Method::GET, "/-/batch/batch-open", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/-/batch/batch-open?concurrency=1000", StatusCode::BAD_REQUEST),
        (Method::POST, "/-/batch/batch-open?each=1s", StatusCode::BAD_REQUEST),
    ] {
        let request = Request::builder().method(&method).uri(path).body("a\n")?;
        let answer = client.request(&request).await?;
        assert_eq!(answer.status(), status, "{method} {path}");
    }
    Ok(())
}
