//! How a server stops: invocations may finish, and the rest is canceled with its cause.

use std::time::{Duration, Instant};

use anyhow::Result;
use hourglass::http::Server;
use hourglass::{Context, Outcome};
use hourglass_tests::client;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::{LONG, input, lines};
use http::{Method, Request};
use serde_json::Value;

#[tokio::test]
async fn invocations_in_flight_may_finish() -> Result<()> {
    let runtime = host::runtime([function("finishes", "echo").timeout(LONG)]);
    let host = Host::start(runtime.clone(), |server| server.drain(LONG)).await?;
    let (address, mut client) = (host.address, host.client().await?);
    let mut idle = host.client().await?;
    assert_eq!(idle.get("/finishes").await?.status(), 200);
    client.send("POST /finishes HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nfirst").await?;
    host::in_flight(&runtime, 1).await;

    let ended = host.stop();
    // Idle connections are closed, and new ones are refused.
    idle.closed().await?;
    client::refused(address).await;
    assert!(!ended.is_finished());

    client.send("last").await?;
    let answer = client.answer(&Method::POST).await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body(), b"firstlast");
    client.closed().await?;
    assert_eq!(ended.await?.canceled, 0);
    Ok(())
}

#[tokio::test]
async fn an_idle_server_stops_at_once() -> Result<()> {
    let runtime = host::runtime([function("hello", "hello")]);
    let host = Host::start(runtime, |server| server.drain(LONG)).await?;
    assert_eq!(host.get("/hello").await?.status(), 200);
    let started = Instant::now();
    assert_eq!(host.stop().await?.canceled, 0);
    assert!(started.elapsed() < Duration::from_secs(60));
    Ok(())
}

#[tokio::test]
async fn the_delay_announces_the_end_and_changes_nothing_else() -> Result<()> {
    let runtime = host::runtime([function("hello", "hello")]);
    let settings = |server: Server| server.drain_delay(LONG).drain(LONG).health("/-");
    let host = Host::start(runtime.clone(), settings).await?;
    let (address, mut before) = (host.address, host.client().await?);
    assert_eq!(before.get("/-/readyz").await?.status(), 200);

    let ended = host.stop();
    runtime.draining().await;
    let mut since = client::Client::connect(address).await?;
    for client in [&mut before, &mut since] {
        assert_eq!(client.get("/-/readyz").await?.status(), 503);
        assert_eq!(client.get("/-/livez").await?.status(), 200);
        let answer = client.get("/hello").await?;
        assert_eq!(answer.status(), 200);
        assert!(!answer.headers().contains_key("connection"), "{answer:?}");
    }
    let invoked = runtime.invoke(&Context::background(), "hello", Request::new("")).await;
    assert_eq!(invoked?.status(), 200);

    // Ends the delay.
    assert_eq!(runtime.shutdown(Duration::ZERO).await, 0);
    assert_eq!(ended.await?.canceled, 0);
    client::refused(address).await;
    Ok(())
}

#[tokio::test]
async fn connections_that_wait_to_be_accepted_are_served() -> Result<()> {
    let server = Server::bind("127.0.0.1:0", host::runtime([function("hello", "hello")])).await?;
    let address = server.local_addr()?;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = client::Client::connect(address).await?;
        client.send("GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        clients.push(client);
    }
    let mut silent = client::Client::connect(address).await?;
    let ended = tokio::spawn(server.drain(LONG).run(async {}));
    for mut client in clients {
        let answer = client.answer(&Method::GET).await?;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["connection"], "close");
        client.closed().await?;
    }
    silent.closed().await?;
    drop(silent);
    assert_eq!(ended.await?.canceled, 0);
    Ok(())
}

#[tokio::test]
async fn a_request_that_has_begun_to_arrive_is_answered() -> Result<()> {
    let runtime = host::runtime([function("hello", "hello")]);
    let host = Host::start(runtime.clone(), |server| server.drain(LONG)).await?;
    let mut client = host.client().await?;
    client.send("GET /hello HTTP/1.1\r\n").await?;
    let mut busy = host.client().await?;
    let busy = tokio::spawn(async move {
        // It sends requests until a response says to close, and loses none.
        loop {
            let answer = busy.get("/hello").await?;
            assert_eq!(answer.status(), 200);
            if answer.headers().get("connection").is_some_and(|value| value == "close") {
                return busy.closed().await;
            }
        }
    });
    let ended = host.stop();
    busy.await??;
    assert!(!ended.is_finished());
    client.send("host: x\r\n\r\n").await?;
    let answer = client.answer(&Method::GET).await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["connection"], "close");
    client.closed().await?;
    drop(client);
    assert_eq!(ended.await?.canceled, 0);
    Ok(())
}

#[tokio::test]
async fn a_second_shutdown_ends_the_drain_and_requests_are_answered() -> Result<()> {
    let runtime = host::runtime([function("hurried", "stuck").timeout(LONG).grace(LONG)]);
    let host = Host::start(runtime.clone(), |server| server.drain(LONG)).await?;
    let (mut client, mut late) = (host.client().await?, host.client().await?);
    client.send("GET /hurried/answer HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    late.send("GET /hurried/answer HTTP/1.1\r\n").await?;
    lines::told("hurried", "begun").await;
    let ended = host.stop();
    runtime.draining().await;
    assert_eq!(runtime.shutdown(Duration::ZERO).await, 1);
    let answer = client.answer(&Method::GET).await?;
    assert_eq!((answer.status().as_u16(), &**answer.body()), (200, &b"shutdown"[..]));
    late.send("host: x\r\n\r\n").await?;
    let answer = late.answer(&Method::GET).await?;
    assert_eq!(answer.status(), 503);
    assert_eq!(serde_json::from_slice::<Value>(answer.body())?["outcome"], "draining");
    ended.await?;
    Ok(())
}

#[tokio::test]
async fn invocations_that_do_not_finish_are_canceled_with_grace() -> Result<()> {
    let grace = Duration::from_millis(40);
    let drain = Duration::from_millis(60);
    let runtime = host::runtime([
        function("drain-answers", "stuck").timeout(LONG).grace(LONG),
        function("drain-checks", "stuck").timeout(LONG).grace(LONG),
        function("drain-spins", "stuck").timeout(LONG).grace(grace),
    ]);
    let host = Host::start(runtime.clone(), |server| server.drain(drain)).await?;
    let ways = [("drain-answers", "answer"), ("drain-checks", "check"), ("drain-spins", "spin")];
    let mut clients = Vec::new();
    for (name, way) in ways {
        let mut client = host.client().await?;
        client.send(format!("GET /{name}/{way} HTTP/1.1\r\nhost: x\r\n\r\n")).await?;
        lines::told(name, "begun").await;
        clients.push(client);
    }

    let stopped = Instant::now();
    let drained = host.stop().await?;
    assert_eq!(drained.canceled, 3);
    assert!(stopped.elapsed() >= drain + grace, "{:?}", stopped.elapsed());
    assert_eq!(runtime.in_flight(), 0);

    let [answers, checks, spins] = clients.as_mut_slice() else { unreachable!() };
    let answer = answers.answer(&Method::GET).await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body(), b"shutdown");
    for client in [checks, spins] {
        let answer = client.answer(&Method::GET).await?;
        assert_eq!(answer.status(), 503);
        let problem: Value = serde_json::from_slice(answer.body())?;
        assert_eq!(
            (&problem["outcome"], &problem["cause"]),
            (&"canceled".into(), &"shutdown".into())
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_runtime_that_shuts_down_refuses_invocations() -> Result<()> {
    let runtime = host::runtime([function("hello", "hello"), function("held", "echo")]);
    let (feed, body) = input::fed();
    let held = tokio::spawn({
        let runtime = runtime.clone();
        // It does not derive from the runtime's context, so the shutdown waits for it.
        async move { runtime.invoke(&Context::background(), "held", Request::new(body)).await }
    });
    feed.asked().await;
    let ending = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.shutdown(Duration::ZERO).await }
    });
    runtime.context().done().await;
    let error =
        runtime.invoke(&Context::background(), "hello", Request::new("")).await.unwrap_err();
    assert!(matches!(error.outcome(), Outcome::Draining), "{error}");
    assert!(!ending.is_finished());
    feed.give("the end");
    drop(feed);
    assert_eq!(held.await??.into_body().bytes().await.unwrap(), "the end");
    ending.await?;
    assert_eq!(runtime.in_flight(), 0);
    Ok(())
}
