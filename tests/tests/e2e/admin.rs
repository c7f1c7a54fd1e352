//! The admin listener, and the commands that use it.

use std::future::pending;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hourglass::Runtime;
use hourglass::http::Admin;
use hourglass_tests::client::Client;
use hourglass_tests::guests::{function, module};
use hourglass_tests::host::{self, Host};
use hourglass_tests::{LONG, lines};
use http::{Method, Response};
use serde_json::{Value, json};

use super::command::hourglass;

const TOKEN: &str = "0123456789abcdef";

/// Starts an admin listener for a runtime in the background.
async fn admin(runtime: Runtime, token: Option<&str>) -> Result<SocketAddr> {
    let mut admin = Admin::bind("127.0.0.1:0", runtime).await?;
    if let Some(token) = token {
        admin = admin.token(token.parse()?);
    }
    let address = admin.local_addr()?;
    tokio::spawn(admin.run(pending()));
    Ok(address)
}

/// Sends a request with these header lines, over a connection that is closed afterwards.
async fn ask(address: SocketAddr, what: &str, headers: &str) -> Result<Response<Vec<u8>>> {
    let mut client = Client::connect(address).await?;
    client.send(format!("{what} HTTP/1.1\r\n{headers}\r\n")).await?;
    let answer = client.answer(&Method::GET).await?;
    client.closed().await?;
    Ok(answer)
}

/// Sends a request without a token.
async fn ask_plainly(address: SocketAddr, what: &str) -> Result<(u16, Value)> {
    let answer = ask(address, what, &format!("host: {address}\r\n")).await?;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    Ok((answer.status().as_u16(), serde_json::from_slice(answer.body())?))
}

#[tokio::test]
async fn invocations_in_flight_are_listed_and_canceled() -> Result<()> {
    let stuck = function("admin-checks", "stuck").timeout(LONG).grace(LONG);
    let host = Host::serve([stuck]).await?;
    let admin = admin(host.runtime.clone(), None).await?;
    let mut client = host.client().await?;
    client
        .send("GET /admin-checks/check HTTP/1.1\r\nhost: x\r\nx-request-id: mine\r\n\r\n")
        .await?;
    lines::told("admin-checks", "begun").await;
    host::listed(&host.runtime, 1).await;

    let (status, list) = ask_plainly(admin, "GET /invocations").await?;
    assert_eq!(status, 200);
    let [one] = &list.as_array().unwrap()[..] else { panic!("one is in flight, not {list}") };
    assert_eq!(one["function"], "admin-checks");
    assert_eq!(one["request_id"], "mine");
    assert_eq!(
        (&one["parent"], &one["done"], &one["cause"]),
        (&json!(null), &json!(null), &json!(null))
    );
    let (age, left) = (one["age_ms"].as_u64().unwrap(), one["remaining_ms"].as_u64().unwrap());
    assert!(age + left <= 600_000 && left > 0, "{one}");

    let cancel = format!("DELETE /invocations/{}", one["id"]);
    assert_eq!(ask_plainly(admin, &cancel).await?, (200, json!({ "canceled": 1 })));
    let answer = client.answer(&Method::GET).await?;
    let problem: Value = serde_json::from_slice(answer.body())?;
    assert_eq!((answer.status().as_u16(), &problem["cause"]), (503, &json!("operator")));

    assert_eq!(ask_plainly(admin, "GET /invocations").await?, (200, json!([])));
    assert_eq!(ask_plainly(admin, &cancel).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn unknown_paths_and_ids_get_a_problem_document() -> Result<()> {
    let admin = admin(host::runtime([]), None).await?;
    for what in
        ["GET /nothing", "GET /invocations/", "DELETE /invocations/7", "DELETE /invocations/x"]
    {
        // GET of a single invocation is not supported.
        let expected = if what == "GET /invocations/" { 405 } else { 404 };
        let (status, problem) = ask_plainly(admin, what).await?;
        assert_eq!((status, &problem["status"]), (expected, &json!(expected)), "{what}");
    }
    let answer = ask(admin, "DELETE /invocations", "host: localhost\r\n").await?;
    assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"GET".parse()?));
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    Ok(())
}

#[tokio::test]
async fn requests_from_web_pages_are_refused() -> Result<()> {
    let admin = admin(host::runtime([]), None).await?;
    for headers in [
        "host: localhost\r\norigin: http://attacker.example\r\n",
        "host: localhost\r\nsec-fetch-site: cross-site\r\n",
        "host: attacker.example\r\n",
        "host:\r\n",
    ] {
        let answer = ask(admin, "GET /invocations", headers).await?;
        assert_eq!(answer.status(), 403, "{headers}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_without_the_token_are_refused() -> Result<()> {
    let admin = admin(host::runtime([]), Some(TOKEN)).await?;
    for shown in ["", "authorization: Bearer 0123456789abcdeF\r\n", "authorization: Bearer\r\n"] {
        let answer = ask(admin, "GET /invocations", &format!("host: localhost\r\n{shown}")).await?;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["www-authenticate"]),
            (401, &"Bearer".parse()?)
        );
    }
    let headers = format!("host: any.name\r\nauthorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(admin, "GET /invocations", &headers).await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn without_a_token_only_loopback_addresses_are_accepted() -> Result<()> {
    let admin = Admin::bind("0.0.0.0:0", host::runtime([])).await?;
    let error = admin.run(pending()).await.expect_err("others may reach it");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    Ok(())
}

#[tokio::test]
async fn idle_connections_do_not_delay_operators() -> Result<()> {
    let admin = admin(host::runtime([]), None).await?;
    let mut silent = Vec::new();
    for count in [40, 200] {
        while silent.len() < count {
            let mut client = Client::connect(admin).await?;
            // Some send the start of a request and stop.
            if silent.len() % 2 == 0 {
                client.send("GET /invocations HTTP/1.1\r\nhost: ").await?;
            }
            silent.push(client);
        }
        for _ in 0..5 {
            let asked = Instant::now();
            assert_eq!(ask_plainly(admin, "GET /invocations").await?.0, 200);
            // Less than an idle connection may last.
            assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_is_closed() -> Result<()> {
    let admin = admin(host::runtime([]), None).await?;
    let (mut nothing, mut half) = (Client::connect(admin).await?, Client::connect(admin).await?);
    half.send("GET /invocations HTTP/1.1\r\nhost: ").await?;
    let began = Instant::now();
    nothing.ended().await?;
    half.ended().await?;
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    Ok(())
}

/// Runs a command without blocking the executor, and returns its exit code and output.
async fn say(arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = hourglass(arguments);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await??;
    Ok((status.code(), String::from_utf8([stdout, stderr].concat())?))
}

#[tokio::test]
async fn the_commands_list_and_cancel_invocations() -> Result<()> {
    let stuck = function("admin-waits", "stuck").timeout(LONG).grace(LONG);
    let host = Host::serve([stuck]).await?;
    let address = admin(host.runtime.clone(), Some(TOKEN)).await?.to_string();
    let access = ["--admin", &address, "--token", TOKEN];
    let with = |command: &[&'static str]| [command, &access].concat();
    let (code, said) = say(&with(&["ps"])).await?;
    assert_eq!((code, said), (Some(0), format!("nothing is in flight at {address}\n")));
    assert_eq!(say(&with(&["ps", "--json"])).await?, (Some(0), "[]\n".to_owned()));

    let mut client = host.client().await?;
    client.send("GET /admin-waits/sleep HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    lines::told("admin-waits", "begun").await;
    host::listed(&host.runtime, 1).await;
    let (_, json) = say(&with(&["ps", "--json"])).await?;
    let id = serde_json::from_str::<Value>(&json)?[0]["id"].to_string();
    let (code, said) = say(&with(&["ps"])).await?;
    let row = said.lines().nth(1).with_context(|| said.clone())?;
    assert!(
        row.starts_with(&id) && row.contains("admin-waits") && row.contains("running"),
        "{said}"
    );
    assert_eq!(code, Some(0));

    let cancel = [&["cancel", &id], &access[..]].concat();
    assert_eq!(say(&cancel).await?, (Some(0), format!("canceled invocation {id}\n")));
    assert_eq!(client.answer(&Method::GET).await?.status(), 503);
    let (code, said) = say(&cancel).await?;
    assert!(said.contains(&format!("no invocation {id} is in flight")), "{said}");
    assert_eq!(code, Some(1));
    Ok(())
}

#[tokio::test]
async fn an_unreachable_listener_is_an_error_with_a_remedy() -> Result<()> {
    let host = Host::serve([]).await?;
    let admin = admin(host.runtime.clone(), Some(TOKEN)).await?.to_string();
    // No server has this port, and no test gets it.
    let free = "127.0.0.1:1";
    for (address, about, typed) in [
        (free, "nothing listens on", "--admin"),
        (&*admin, "asks for its token", "--token"),
        (&*host.address.to_string(), "404 Not Found", "--admin"),
    ] {
        let (code, said) = say(&["ps", "--admin", address]).await?;
        assert!(said.contains(about) && said.contains(typed) && said.contains(address), "{said}");
        assert_eq!(code, Some(1));
    }
    Ok(())
}

#[tokio::test]
async fn the_program_serves_the_admin_listener() -> Result<()> {
    let hello = module("hello").to_str().unwrap();
    let serve = ["serve", hello, "--listen", "127.0.0.1:0", "--admin"];
    let (code, said) = say(&[&serve[..], &["0.0.0.0:0"]].concat()).await?;
    assert!(said.contains("HOURGLASS_ADMIN_TOKEN") && said.contains("0.0.0.0:0"), "{said}");
    assert_eq!(code, Some(1));

    let mut command = hourglass(&[&serve[..], &["127.0.0.1:0"]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.find_map(|line| {
        let (url, _) = line.strip_prefix("dashboard: http://")?.split_once(' ')?;
        Some(url.to_owned())
    });
    let said = match &told {
        Some(address) => say(&["ps", "--admin", address]).await,
        None => Ok((None, "it did not say where".to_owned())),
    };
    child.kill()?;
    child.wait()?;
    let (code, said) = said?;
    assert!(code == Some(0) && said.starts_with("nothing is in flight"), "{said}");
    Ok(())
}
