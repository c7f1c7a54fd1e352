//! The library without the server: what an embedder can rely on.

use std::time::{Duration, Instant};

use anyhow::Result;
use hourglass::{
    BuildError, Context, DeployError, FinalUsage, Function, Key, REQUEST_ID, Runtime, Usage, mib,
};
use hourglass_tests::guests::{self, function};
use hourglass_tests::modules::{self, CONTEXT, Module, WASI, takes};
use hourglass_tests::{host, input, lines};
use http::Request;
use serde_json::Value;

async fn text(runtime: &Runtime, name: &str, path: &str) -> Result<String> {
    let request = Request::get(path).body(())?;
    let answer = runtime.invoke(&Context::background(), name, request).await?;
    Ok(String::from_utf8(answer.into_body().bytes().await.unwrap().to_vec())?)
}

#[tokio::test]
async fn values_are_read_by_their_wire_names() -> Result<()> {
    const TENANT: Key<u32> = Key::new("tenant");
    const REGION: Key<String> = Key::new("region");
    let runtime = host::runtime([function("shown", "metadata")]);
    let ctx = Context::background()
        .with_value(&TENANT, 1)
        .with_value(&REGION, "the moon".to_owned())
        .with_value(&REQUEST_ID, "id-7".to_owned())
        .with_value(&TENANT, 2);
    let answer = runtime.invoke(&ctx, "shown", Request::new("")).await?;
    let shown: Value = serde_json::from_slice(&answer.into_body().bytes().await.unwrap())?;
    assert_eq!(shown["context"]["request_id"], "id-7");
    let pair = |name: &str, value: &str| serde_json::json!({ "name": name, "value": value });
    let mut values = shown["context"]["values"].as_array().unwrap().clone();
    // No trace was given, so the invocation starts one.
    values.retain(|value| value["name"] != "traceparent");
    let expected = [
        pair("function", "shown"),
        pair("tenant", "2"),
        pair("request-id", "id-7"),
        pair("region", "the moon"),
    ];
    assert_eq!(values, expected);
    Ok(())
}

#[tokio::test]
async fn the_functions_timeout_applies_to_a_background_context() -> Result<()> {
    let runtime = host::runtime([function("shown", "metadata").timeout(Duration::from_secs(50))]);
    for (callers, most) in [(None, 50_000), (Some(30), 30_000), (Some(500), 50_000)] {
        let background = Context::background();
        let derived = callers.map(|seconds| background.with_timeout(Duration::from_secs(seconds)));
        let ctx = derived.as_ref().map_or(&background, |(ctx, _)| ctx);
        let answer = runtime.invoke(ctx, "shown", Request::new("")).await?;
        let shown: Value = serde_json::from_slice(&answer.into_body().bytes().await.unwrap())?;
        let remaining = shown["context"]["remaining_ms"].as_u64().unwrap();
        assert!((most - 15_000..=most).contains(&remaining), "{callers:?}: {remaining}");
        assert_eq!(ctx.children(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn usage_reports_time_and_memory() -> Result<()> {
    let timeout = Duration::from_millis(200);
    let runtime = host::runtime([
        function("hello", "hello"),
        function("sleeps", "stuck").timeout(timeout),
        function("spins", "spin").timeout(timeout).grace(Duration::ZERO),
    ]);
    let started = Instant::now();
    let answer = runtime.invoke(&Context::background(), "hello", Request::new("")).await?;
    let usage = *answer.extensions().get::<Usage>().unwrap();
    assert!(!usage.wall.is_zero() && usage.wall <= started.elapsed(), "{usage:?}");
    assert!(!usage.cpu.is_zero() && usage.cpu <= usage.wall, "{usage:?}");
    // A megabyte of stack, and some pages.
    assert!((mib(1)..mib(4)).contains(&usage.peak_memory), "{usage:?}");

    let request = Request::get("/sleep").body(())?;
    let error = runtime.invoke(&Context::background(), "sleeps", request).await.unwrap_err();
    let slept = error.usage();
    assert!(slept.wall >= timeout && slept.cpu < slept.wall / 2, "{slept:?}");

    let error =
        runtime.invoke(&Context::background(), "spins", Request::new("")).await.unwrap_err();
    let spun = error.usage();
    assert!(spun.wall >= timeout && spun.cpu <= spun.wall, "{spun:?}");
    assert!(spun.cpu > slept.cpu, "{spun:?} {slept:?}");
    Ok(())
}

#[tokio::test]
async fn a_new_version_replaces_the_old_one() -> Result<()> {
    let runtime = host::runtime([function("same-name", "echo")]);
    let (feed, body) = input::fed();
    let old = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.invoke(&Context::background(), "same-name", Request::new(body)).await }
    });
    feed.asked().await;
    runtime.deploy(function("same-name", "hello"))?;
    assert!(text(&runtime, "same-name", "/hello/new").await?.starts_with("hello new, "));
    // A failed deploy keeps the old version.
    assert!(runtime.deploy(Function::from_bytes("same-name", *b"no module")?).is_err());
    assert!(text(&runtime, "same-name", "/").await?.starts_with("hello world, "));
    // The old version finishes its invocations.
    feed.give("from the old one");
    drop(feed);
    let answer = old.await??;
    assert_eq!(answer.into_body().bytes().await.unwrap(), "from the old one");
    assert_eq!(runtime.functions().len(), 1);
    runtime.deploy(function("same-name", "echo"))?;
    assert_eq!(text(&runtime, "same-name", "/").await?, "");
    Ok(())
}

#[test]
fn an_oversized_runtime_is_an_error_with_a_remedy() {
    let error = Runtime::builder().max_in_flight(10_000_000).build().unwrap_err();
    assert!(error.to_string().contains("sysctl -w vm.max_map_count="), "{error}");
    assert!(matches!(error, BuildError::TooManyInFlight { asked: 10_000_000, .. }), "{error}");
}

/// The error of a deploy.
fn refused(wasm: impl Into<Vec<u8>>) -> DeployError {
    let runtime = host::runtime([]);
    let function = Function::from_bytes("refused", wasm.into()).unwrap();
    let checked = runtime.check(&function).unwrap_err();
    let error = runtime.deploy(function).unwrap_err();
    assert_eq!(checked.to_string(), error.to_string());
    assert!(runtime.functions().is_empty());
    error
}

#[test]
fn bytes_that_are_not_wasm_are_refused() {
    let component = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
    let whole = modules::silent();
    for (what, wasm) in [
        ("nothing", &b""[..]),
        ("text", b"(module)"),
        ("a program of this machine", b"\x7fELF\x02\x01\x01\0"),
        ("a component", &component),
        ("cut short", &whole[..whole.len() - 1]),
    ] {
        let error = refused(wasm);
        assert!(matches!(error, DeployError::NotWasm { .. }), "{what}: {error:?}");
        assert!(error.to_string().contains("cargo build --release --target wasm32-wasip1"));
    }
    assert!(refused(component).to_string().contains("component"));
}

#[test]
fn a_module_without_an_entry_point_is_refused() {
    let mut module = Module::with_memory(1);
    module.code(0, |_| ());
    let error = refused(module.entry("run").finish());
    assert!(matches!(error, DeployError::MissingExport("`_start`")), "{error:?}");
    let mut module = Module::without_memory();
    module.code(0, |_| ());
    let error = refused(module.finish());
    assert!(matches!(error, DeployError::MissingExport { .. }), "{error:?}");
}

/// A module that imports one function.
fn importing(module: &str, name: &str, signature: modules::Signature<'_>) -> Vec<u8> {
    let mut made = Module::with_memory(1);
    made.import(module, name, signature);
    made.code(0, |_| ());
    made.finish()
}

#[test]
fn unknown_imports_are_refused() {
    for (module, name) in [("env", "system"), (CONTEXT, "fork"), (WASI, "fd_teleport")] {
        let error = refused(importing(module, name, takes(0)));
        let DeployError::UnknownImport { module: found, name: found_name } = &error else {
            panic!("{error:?}")
        };
        assert_eq!((&**found, &**found_name), (module, name));
        assert!(error.to_string().contains(&format!("`{module}::{name}`")), "{error}");
    }
    // A known name with wrong parameters.
    let error = refused(importing(CONTEXT, "request", takes(4)));
    assert!(matches!(error, DeployError::Instantiate { .. }), "{error:?}");
}

#[test]
fn another_version_of_the_abi_is_refused() {
    for version in ["hourglass_v0", "hourglass_v2", "hourglass_v9"] {
        let error = refused(importing(version, "request", takes(2)));
        let DeployError::AbiVersion { found, spoken } = &error else { panic!("{error:?}") };
        assert_eq!((&**found, *spoken), (version, CONTEXT));
        assert!(error.to_string().contains("rebuild it"), "{error}");
    }
}

#[test]
fn memory_and_tables_have_limits() {
    let runtime = host::runtime([]);
    let deploy = |pages, limit| {
        let mut module = Module::with_memory(pages);
        module.code(0, |_| ());
        runtime.deploy(Function::from_bytes("f", module.finish()).unwrap().memory(limit))
    };
    assert!(deploy(16, mib(1)).is_ok());
    let error = deploy(17, mib(1)).unwrap_err();
    let expected = 17 << 16;
    assert!(
        matches!(error, DeployError::Memory { needed, limit } if (needed, limit) == (expected, mib(1))),
        "{error:?}"
    );
    assert!(error.to_string().contains("raise `memory`"), "{error}");

    let mut module = Module::with_memory(1);
    module.table(65_537).code(0, |_| ());
    assert!(matches!(refused(module.finish()), DeployError::Compile(_)));
    let mut module = Module::with_memory(1);
    module.memory(1).code(0, |_| ());
    let error = refused(module.finish());
    assert!(matches!(error, DeployError::Compile(_) | DeployError::NotWasm { .. }), "{error:?}");
    let error = refused(vec![0; (64 << 20) + 1]);
    assert!(matches!(error, DeployError::TooManyEntries { what: "bytes", .. }), "{error:?}");
}

#[test]
fn invalid_names_and_files_are_errors() {
    for name in ["", ".hidden", "a/b", "a b", "\u{e4}", &"x".repeat(65)] {
        let error = Function::from_bytes(name, modules::silent()).unwrap_err();
        assert!(matches!(&error, DeployError::Name(found) if found == name), "{error:?}");
    }
    let missing = guests::module("hello").with_file_name("missing.wasm");
    let error = Function::from_file("missing", &missing).unwrap_err();
    assert!(matches!(&error, DeployError::Read { path, .. } if *path == missing), "{error:?}");
}

#[tokio::test]
async fn a_runtime_survives_failed_deploys() -> Result<()> {
    let runtime = host::runtime([function("hello", "hello")]);
    for _ in 0..3 {
        let endless = Function::from_bytes("bad", modules::head(200, &[]))?;
        assert!(runtime.deploy(endless).is_err());
        assert!(text(&runtime, "hello", "/hello").await?.starts_with("hello world"));
    }
    Ok(())
}

/// A runtime with a streaming function of this name.
fn streaming(name: &str) -> Runtime {
    let long = Duration::from_secs(600);
    host::runtime([function(name, "stream").timeout(long).grace(long)])
}

#[tokio::test]
async fn a_response_is_streamed() -> Result<()> {
    let runtime = streaming("handed-out");
    let ctx = Context::background();
    let ask = |path: &str| Ok::<_, anyhow::Error>(Request::get(path.to_owned()).body(())?);
    let response = runtime.invoke_streaming(&ctx, "handed-out", ask("/handed-out/wait")?).await?;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "a line\n");
    assert_eq!(runtime.in_flight(), 1, "it goes on");
    drop(body);
    host::nothing_left(&runtime).await;

    let all = runtime.invoke_streaming(&ctx, "handed-out", ask("/handed-out/pieces/3")?).await?;
    let all = all.into_body().bytes().await.unwrap();
    assert_eq!(all, "piece 0\npiece 1\npiece 2\n");
    assert_eq!(ctx.children(), 0);
    Ok(())
}

#[tokio::test]
async fn a_whole_response_carries_its_usage() -> Result<()> {
    let runtime = host::runtime([function("whole-at-once", "hello")]);
    let ctx = Context::background();
    let answer = runtime.invoke_streaming(&ctx, "whole-at-once", Request::new("")).await?;
    assert!(answer.extensions().get::<Usage>().is_some());
    assert_eq!(answer.body().len(), Some(answer.into_body().bytes().await.unwrap().len() as u64));
    let error = runtime.invoke_streaming(&ctx, "none", Request::new("")).await.unwrap_err();
    assert!(matches!(error.outcome(), hourglass::Outcome::NotFound), "{error}");
    Ok(())
}

#[tokio::test]
async fn dropping_a_response_cancels_its_invocation() -> Result<()> {
    let name = "embedded-gone";
    let long = Duration::from_secs(600);
    let runtime = host::runtime([function(name, "stuck").timeout(long).grace(long)]);
    let asked = tokio::spawn({
        let runtime = runtime.clone();
        let request = Request::get(format!("/{name}/print")).body(())?;
        async move { runtime.invoke_streaming(&Context::background(), name, request).await }
    });
    lines::told(name, "begun").await;
    asked.abort();
    lines::told(name, "cause: client-disconnected").await;
    host::nothing_left(&runtime).await;
    Ok(())
}

#[tokio::test]
async fn a_stream_that_fails_midway_reports_the_failure() -> Result<()> {
    let runtime = streaming("half-way");
    let (feed, body) = input::fed();
    let request = Request::post("/half-way/trap").body(body)?;
    let response = runtime.invoke_streaming(&Context::background(), "half-way", request).await?;
    let mut body = response.into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "a line\n");
    drop(feed);
    let error = body.next().await.unwrap().unwrap_err();
    let error = error.downcast::<hourglass::InvokeError>().unwrap();
    assert!(matches!(error.outcome(), hourglass::Outcome::Trap(_)), "{error}");
    assert!(body.next().await.is_none());
    host::nothing_left(&runtime).await;
    Ok(())
}

/// A function is replaced and removed while others invoke it, buffered and streaming.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_deployed_and_removed_is_served_or_not_found() -> Result<()> {
    let name = "comes-and-goes";
    let runtime = host::runtime([function(name, "stream")]);
    let callers = (0..4).map(|caller| {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            let mut answered = 0;
            for _ in 0..100 {
                let request = Request::get(format!("/{name}/pieces/3")).body(()).unwrap();
                let ctx = Context::background();
                let asked = match caller % 2 {
                    0 => runtime.invoke(&ctx, name, request).await,
                    _ => runtime.invoke_streaming(&ctx, name, request).await,
                };
                match asked {
                    Ok(response) => {
                        let body = response.into_body().bytes().await.unwrap();
                        assert_eq!(body, "piece 0\npiece 1\npiece 2\n");
                        answered += 1;
                    }
                    Err(error) => assert_eq!(error.outcome().name(), "not-found", "{error}"),
                }
                tokio::task::yield_now().await;
            }
            answered
        })
    });
    let callers: Vec<_> = callers.collect();
    for turn in 0..40 {
        if turn % 2 == 0 {
            runtime.remove(name);
        }
        let runtime = runtime.clone();
        tokio::task::spawn_blocking(move || runtime.deploy(function(name, "stream"))).await??;
    }
    for caller in callers {
        caller.await?;
    }
    assert_eq!(text(&runtime, name, "/x/pieces/1").await?, "piece 0\n");
    host::nothing_left(&runtime).await;
    Ok(())
}

#[tokio::test]
async fn a_stream_outlives_its_function_and_runtime() -> Result<()> {
    let name = "outlived";
    let runtime = streaming(name);
    let request = Request::get(format!("/{name}/pieces/2000")).body(())?;
    let mut response = runtime.invoke_streaming(&Context::background(), name, request).await?;
    let used = response.extensions_mut().remove::<FinalUsage>().unwrap();
    assert!(runtime.remove(name));
    drop(runtime);
    let body = tokio::time::timeout(Duration::from_secs(60), response.into_body().bytes()).await?;
    assert!(body.unwrap().ends_with(b"piece 1999\n"));
    let used = tokio::time::timeout(Duration::from_secs(60), used.get()).await?;
    assert!(!format!("{used:?}").is_empty());
    Ok(())
}
