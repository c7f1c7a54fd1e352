//! A disconnect cancels the client's invocation.

use std::time::Duration;

use anyhow::Result;
use hourglass::Function;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::{LONG, lines};

const GRACE: Duration = Duration::from_millis(20);

/// Sends a request to a stuck function and disconnects.
async fn goes_away(name: &str, way: &str) -> Result<()> {
    let stuck = function(name, "stuck").timeout(LONG).grace(GRACE);
    goes_away_from(stuck, format!("GET /{name}/{way} HTTP/1.1\r\nhost: x\r\n\r\n")).await
}

/// Sends a request to a function that does not end by itself, and disconnects. The host must become
/// idle long before a drain would cancel the function.
async fn goes_away_from(function: Function, sent: impl AsRef<[u8]>) -> Result<()> {
    let name = function.name().to_owned();
    let host = Host::serve([function]).await?;
    let mut client = host.client().await?;
    client.send(sent).await?;
    lines::told(&name, "begun").await;
    assert_eq!(host.runtime.in_flight(), 1);
    drop(client);
    assert_eq!(host.runtime.shutdown(LONG).await, 0, "the disconnect did not cancel it");
    assert_eq!(host.runtime.in_flight(), 0);
    Ok(())
}

#[tokio::test]
async fn a_spinning_function_is_ended() -> Result<()> {
    goes_away("gone-spin", "spin").await
}

#[tokio::test]
async fn a_sleeping_function_is_ended() -> Result<()> {
    goes_away("gone-sleep", "sleep-again").await
}

#[tokio::test]
async fn a_function_that_checks_its_context_ends_itself() -> Result<()> {
    goes_away("gone-check", "check").await
}

#[tokio::test]
async fn the_function_learns_the_cause() -> Result<()> {
    let name = "gone-told";
    let host = Host::serve([function(name, "stuck").timeout(LONG).grace(LONG)]).await?;
    let mut client = host.client().await?;
    client.send(format!("GET /{name}/print HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
    lines::told(name, "begun").await;
    drop(client);
    lines::told(name, "cause: client-disconnected").await;
    assert_eq!(host.runtime.shutdown(LONG).await, 0);
    Ok(())
}

#[tokio::test]
async fn a_function_that_waits_for_its_body_is_ended() -> Result<()> {
    for head in
        ["content-length: 10\r\n\r\nfirst", "transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n"]
    {
        let host = Host::serve([function("gone-body", "echo").timeout(LONG).grace(LONG)]).await?;
        let mut client = host.client().await?;
        client.send(format!("POST /gone-body HTTP/1.1\r\nhost: x\r\n{head}")).await?;
        host::in_flight(&host.runtime, 1).await;
        drop(client);
        assert_eq!(host.runtime.shutdown(LONG).await, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_function_with_an_unread_body_is_ended() -> Result<()> {
    let body = "x".repeat(100_000);
    // The body is complete, or one byte is missing.
    for (name, length) in [("gone-unread", 100_000), ("gone-unsent", 100_001)] {
        let head = format!("POST /{name}/hold HTTP/1.1\r\nhost: x\r\ncontent-length: {length}");
        let holds = function(name, "stream").timeout(LONG).grace(GRACE);
        goes_away_from(holds, format!("{head}\r\n\r\n{body}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_function_is_ended_although_a_pipelined_request_has_begun() -> Result<()> {
    let sent = "GET /gone-ahead/sleep HTTP/1.1\r\nhost: x\r\n\r\nGET /";
    goes_away_from(function("gone-ahead", "stuck").timeout(LONG).grace(GRACE), sent).await?;
    // Its response has begun.
    let sent = "GET /gone-amid/wait HTTP/1.1\r\nhost: x\r\n\r\nGET /";
    goes_away_from(function("gone-amid", "stream").timeout(LONG).grace(GRACE), sent).await
}

#[tokio::test]
async fn a_malformed_body_is_a_bad_request_and_closes_the_connection() -> Result<()> {
    let host = Host::serve([function("gone-odd", "echo").timeout(LONG).grace(LONG)]).await?;
    let mut client = host.client().await?;
    let head = "POST /gone-odd HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(format!("{head}no length\r\n")).await?;
    assert_eq!(client.answer(&http::Method::POST).await?.status(), 400);
    client.closed().await?;
    assert_eq!(host.runtime.shutdown(LONG).await, 0);
    Ok(())
}

#[tokio::test]
async fn other_invocations_continue() -> Result<()> {
    let name = "gone-other";
    let host = Host::serve([function(name, "stuck").timeout(LONG).grace(GRACE)]).await?;
    let mut stays = host.client().await?;
    let mut leaves = host.client().await?;
    stays.send(format!("GET /{name}/sleep HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
    leaves.send(format!("GET /{name}/sleep HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
    lines::told_times(name, "begun", 2).await;
    drop(leaves);
    host::in_flight(&host.runtime, 1).await;
    // The other invocation still runs, and its client gets a response.
    assert_eq!(host.runtime.shutdown(Duration::ZERO).await, 1);
    assert_eq!(stays.answer(&http::Method::GET).await?.status(), 503);
    Ok(())
}
