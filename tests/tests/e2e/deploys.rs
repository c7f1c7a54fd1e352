//! Deploys, rollbacks and removals by operators, while clients send requests.

use std::future::pending;
use std::net::SocketAddr;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hourglass::http::Admin;
use hourglass::{Function, Runtime};
use hourglass_tests::client::Client;
use hourglass_tests::host::{self, Host};
use hourglass_tests::modules;
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::command::{hourglass, path};

const TOKEN: &str = "0123456789abcdef";

/// The deploys and rollbacks under load in the suite, and in the whole test.
const CHANGES: usize = 60;
const ALL_CHANGES: usize = 1_000;

/// The connections of that load.
const CLIENTS: usize = 8;

/// A module whose responses have its number.
fn module(number: usize) -> Vec<u8> {
    let head = modules::head(200, &[("x-number", &number.to_string())]);
    modules::responding(&head, 1, |_| ())
}

fn numbered(name: &str, number: usize) -> Result<Function> {
    Ok(Function::from_bytes(name, module(number))?)
}

/// Starts an admin listener for a runtime in the background.
async fn admin(runtime: &Runtime, token: Option<&str>) -> Result<SocketAddr> {
    let mut admin = Admin::bind("127.0.0.1:0", runtime.clone()).await?;
    if let Some(token) = token {
        admin = admin.token(token.parse()?);
    }
    let address = admin.local_addr()?;
    tokio::spawn(admin.run(pending()));
    Ok(address)
}

/// Sends a request to the admin listener. Returns the status and the JSON.
async fn ask(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: impl AsRef<[u8]>,
) -> Result<(u16, Value)> {
    let request = Request::builder().method(method).uri(path).header("host", address.to_string());
    let answer = Client::connect(address).await?.request(&request.body(body)?).await?;
    Ok((answer.status().as_u16(), serde_json::from_slice(answer.body())?))
}

/// The number in the response of a function.
async fn number(client: &mut Client, path: &str) -> Result<usize> {
    let answer = client.get(path).await?;
    ensure!(answer.status() == 200, "{path}: {answer:?}");
    Ok(answer.headers()["x-number"].to_str()?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_deployed_rolled_back_and_removed() -> Result<()> {
    let host = Host::serve([numbered("f", 1)?.request_body(1)]).await?;
    let (admin, mut client) = (admin(&host.runtime, None).await?, host.client().await?);
    let (put, post) = (Method::PUT, Method::POST);

    let (status, deployed) = ask(admin, put.clone(), "/functions/f", module(2)).await?;
    assert_eq!(
        (status, &deployed["function"], &deployed["weight"]),
        (200, &json!("f"), &json!(100))
    );
    assert_eq!(number(&mut client, "/f").await?, 2);
    // It has the settings of the function that it replaces.
    let too_long = client.request(&Request::post("/f").body("ab")?).await?;
    assert_eq!(too_long.status(), 413);
    let (status, list) = ask(admin, Method::GET, "/functions/f/versions", "").await?;
    assert_eq!((status, &list["versions"][0]["version"]), (200, &deployed["version"]));
    assert_eq!(
        (&list["versions"][0]["state"], &list["versions"][1]["state"]),
        (&json!("serving"), &json!("retained"))
    );

    // What can't be deployed leaves the old version, and says why.
    let (status, problem) = ask(admin, put.clone(), "/functions/f", "no module").await?;
    assert_eq!(status, 422, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("not a core WebAssembly module"));
    assert_eq!(number(&mut client, "/f").await?, 2);

    let (status, rolled) = ask(admin, post.clone(), "/functions/f/rollback", "").await?;
    assert_eq!((status, &rolled["version"]), (200, &list["versions"][1]["version"]));
    assert_eq!(number(&mut client, "/f").await?, 1);
    let (status, _) = ask(admin, post.clone(), "/functions/f/rollback", "").await?;
    assert_eq!(status, 409);
    let back = format!("/functions/f/rollback?version={}", deployed["version"].as_str().unwrap());
    assert_eq!(ask(admin, post.clone(), &back, "").await?.0, 200);
    assert_eq!(number(&mut client, "/f").await?, 2);

    // A canary gets invocations once it has a weight.
    let (status, canary) = ask(admin, put.clone(), "/functions/f?weight=0", module(3)).await?;
    assert_eq!((status, &canary["weight"]), (200, &json!(0)));
    assert_eq!(number(&mut client, "/f").await?, 2);
    let (status, same) = ask(admin, put.clone(), "/functions/f?weight=10", module(2)).await?;
    assert_eq!(status, 409, "{same}");
    let (status, changed) = ask(admin, post.clone(), "/functions/f/canary?weight=50", "").await?;
    assert_eq!((status, &changed["version"]), (200, &canary["version"]));
    let mut seen = [false; 4];
    while !(seen[2] && seen[3]) {
        seen[number(&mut client, "/f").await?] = true;
    }
    assert_eq!(ask(admin, post.clone(), "/functions/f/canary?weight=100", "").await?.0, 200);
    assert_eq!(number(&mut client, "/f").await?, 3);
    assert_eq!(ask(admin, post.clone(), "/functions/f/canary?weight=50", "").await?.0, 409);

    // A new name gets the default settings.
    assert_eq!(ask(admin, put.clone(), "/functions/new", module(4)).await?.0, 200);
    let answer = client.request(&Request::post("/new").body("ab")?).await?;
    assert_eq!(answer.headers()["x-number"], "4");
    let (status, removed) = ask(admin, Method::DELETE, "/functions/new", "").await?;
    assert_eq!((status, removed["versions"].as_array().map(Vec::len)), (200, Some(1)));
    assert_eq!(client.get("/new").await?.status(), 404);

    for (method, path, expected) in [
        (Method::DELETE, "/functions/new", 404),
        (Method::GET, "/functions/new/versions", 404),
        (post.clone(), "/functions/new/rollback", 404),
        (post.clone(), "/functions/f/rollback?version=0", 404),
        (post.clone(), "/functions/f/canary", 400),
        (put.clone(), "/functions/.f", 400),
        (put.clone(), "/functions/f?weight=101", 400),
        (put.clone(), "/functions/f?wieght=10", 400),
        (post.clone(), "/functions/f", 405),
        (Method::GET, "/functions/f/rollback", 405),
        (post, "/reload", 404),
    ] {
        let (status, problem) = ask(admin, method.clone(), path, module(9)).await?;
        assert_eq!((status, &problem["status"]), (expected, &json!(expected)), "{method} {path}");
    }
    assert_eq!(number(&mut client, "/f").await?, 3);
    Ok(())
}

/// One deploy of a function at a time, and few in all. Each waits for its module.
#[tokio::test(flavor = "multi_thread")]
async fn deploys_at_once_are_bounded() -> Result<()> {
    let host = Host::serve([]).await?;
    let admin = admin(&host.runtime, None).await?;
    let body = module(1);
    let begin = async |name: &str| -> Result<Client> {
        let mut client = Client::connect(admin).await?;
        let head = format!(
            "PUT /functions/{name} HTTP/1.1\r\nhost: {admin}\r\ncontent-length: {}\r\n\
             expect: 100-continue\r\n\r\n",
            body.len()
        );
        client.send(head).await?;
        // The server waits for the module.
        assert_eq!(client.interim().await?, 100);
        Ok(client)
    };
    let (mut a, mut b) = (begin("a").await?, begin("b").await?);
    assert_eq!(ask(admin, Method::PUT, "/functions/a", &body).await?.0, 409);
    assert_eq!(ask(admin, Method::PUT, "/functions/c", &body).await?.0, 503);
    a.send(&body).await?;
    assert_eq!(a.answer(&Method::PUT).await?.status(), 200);
    assert_eq!(ask(admin, Method::PUT, "/functions/c", &body).await?.0, 200);
    // One whose module breaks off deploys nothing, and makes room.
    b.send(&body[..10]).await?;
    drop(b);
    let deployed = async || ask(admin, Method::PUT, "/functions/b", &body).await;
    while deployed().await?.0 == 409 {}
    assert_eq!(host.runtime.functions().len(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_too_long_is_refused() -> Result<()> {
    let host = Host::serve([]).await?;
    let admin = admin(&host.runtime, None).await?;
    let mut client = Client::connect(admin).await?;
    client
        .send(format!(
            "PUT /functions/f HTTP/1.1\r\nhost: {admin}\r\ncontent-length: 67108865\r\n\r\n"
        ))
        .await?;
    let piece = vec![0; 1 << 20];
    for _ in 0..64 {
        client.send(&piece).await?;
    }
    client.send([0]).await?;
    assert_eq!(client.answer(&Method::PUT).await?.status(), 413);
    Ok(())
}

/// Deploys and rolls back while clients send requests. Each response has to be that of a version that
/// served at some moment of its request.
async fn under_load(changes: usize) -> Result<()> {
    let runtime = host::with(
        host::cached(Runtime::builder().max_in_flight(64)).retained_versions(4),
        [numbered("f", 0)?],
    );
    let host = Host::start(runtime, |server| server).await?;
    let admin = admin(&host.runtime, None).await?;
    // The versions that served, in order. The one of a change that has begun counts, too.
    let served = Arc::new(std::sync::Mutex::new(vec![0]));
    // How many of them are certainly in place.
    let settled = Arc::new(AtomicUsize::new(1));
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut client, served, settled, stop) =
            (host.client().await?, served.clone(), settled.clone(), stop.clone());
        load.spawn(async move {
            let mut requests = 0_u64;
            while !stop.load(Ordering::SeqCst) {
                let first = settled.load(Ordering::SeqCst) - 1;
                let seen = number(&mut client, "/f").await?;
                let possible = served.lock().unwrap()[first..].to_vec();
                ensure!(possible.contains(&seen), "version {seen} is not one of {possible:?}");
                requests += 1;
            }
            Ok(requests)
        });
    }
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for change in 1..=changes {
        // Two deploys, and a rollback to the first of them.
        let target = if change % 3 == 0 { change - 2 } else { change };
        served.lock().unwrap().push(target);
        let started = Instant::now();
        let (status, answer) = match change % 3 {
            0 => ask(admin, Method::POST, "/functions/f/rollback", "").await?,
            _ => ask(admin, Method::PUT, "/functions/f", module(target)).await?,
        };
        ensure!(status == 200, "{answer}");
        slowest = slowest.max(started.elapsed());
        settled.fetch_add(1, Ordering::SeqCst);
    }
    let took = begun.elapsed();
    stop.store(true, Ordering::SeqCst);
    let mut requests = 0;
    while let Some(ended) = load.join_next().await {
        requests += ended??;
    }
    ensure!(requests > changes as u64, "{requests} requests are no load");
    println!(
        "{changes} deploys and rollbacks in {took:.1?}, the slowest in {slowest:.1?}; \
         {requests} requests, none failed, none of another version"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_during_deploys_and_rollbacks() -> Result<()> {
    under_load(CHANGES).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a longer run of the test above, some ten seconds"]
async fn no_request_fails_during_a_thousand_deploys_and_rollbacks() -> Result<()> {
    under_load(ALL_CHANGES).await
}

/// Runs a command without blocking the executor, and returns its exit code and output.
async fn say(arguments: &[&str], access: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = hourglass(&[arguments, access].concat());
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await??;
    Ok((status.code(), String::from_utf8([stdout, stderr].concat())?))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_deploy_list_roll_back_and_remove() -> Result<()> {
    let host = Host::serve([numbered("f", 1)?]).await?;
    let address = admin(&host.runtime, Some(TOKEN)).await?.to_string();
    let access = ["--admin", &address, "--token", TOKEN];
    let folder = tempfile::tempdir()?;
    let file = |number: usize| -> Result<String> {
        let file = folder.path().join(format!("{number}.wasm"));
        std::fs::write(&file, module(number))?;
        Ok(path(&file).to_owned())
    };
    // Each request has its own connection: an idle one would be closed while commands run.
    let served = async || -> Result<usize> { number(&mut host.client().await?, "/f").await };

    let (code, said) = say(&["deploy", "f", &file(2)?], &access).await?;
    assert!(code == Some(0) && said.starts_with("deployed f, version "), "{said}");
    assert_eq!(served().await?, 2);
    let (code, said) = say(&["versions", "f"], &access).await?;
    let states: Vec<_> = said.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!((code, &states[..]), (Some(0), &["STATE", "serving", "retained"][..]), "{said}");
    let (_, listed) = say(&["versions", "f", "--json"], &access).await?;
    let listed: Value = serde_json::from_str(&listed)?;
    assert_eq!(listed[0]["weight"], 100);

    let (code, said) = say(&["rollback", "f"], &access).await?;
    let first = listed[1]["version"].as_str().unwrap();
    assert_eq!((code, said), (Some(0), format!("f serves version {first}\n")));
    let (code, said) = say(&["deploy", "f", &file(3)?, "--weight", "10"], &access).await?;
    assert!(code == Some(0) && said.contains("for 10% of the invocations"), "{said}");
    let (code, said) = say(&["deploy", "f", "--weight", "100"], &access).await?;
    assert!(code == Some(0) && said.contains("100%"), "{said}");
    assert_eq!(served().await?, 3);

    // Errors say what is wrong, and change nothing.
    let text = folder.path().join("text.wasm");
    std::fs::write(&text, "no module")?;
    for (arguments, reason) in [
        (&["deploy", "f", path(&text)][..], "not a core WebAssembly module"),
        (&["deploy", "f", "missing.wasm"], "missing.wasm can't be read"),
        (&["deploy", "f"], "--weight"),
        (&["rollback", "f", "abc"], "the version abc of `f` is not retained"),
        (&["versions", "g"], "no function `g` is deployed"),
        (&["reload"], "no configuration that can be read again"),
    ] {
        let (code, said) = say(arguments, &access).await?;
        assert!(code == Some(1) && said.contains(reason), "{arguments:?}: {said}");
    }
    let (code, said) = say(&["deploy", "f", &file(4)?], &access[..2]).await?;
    assert!(code == Some(1) && said.contains("asks for its token"), "{said}");
    assert_eq!(served().await?, 3);

    let (code, said) = say(&["remove", "f"], &access).await?;
    assert_eq!((code, said), (Some(0), "removed f with 3 versions\n".to_owned()));
    assert_eq!(host.get("/f").await?.status(), 404);
    Ok(())
}
