//! The memory and the log lines of failures.

use anyhow::Result;
use hourglass::Outcome;
use hourglass_tests::guests::code_cache;
use hourglass_tests::modules::{self, Module};
use hourglass_tests::program::{self, Serving};
use wasm_encoder::BlockType;

use crate::counting::Growth;
use crate::{MEMORY, SLACK, function, import, invoke, request_head, runtime, times};

/// Responds with a header whose name is 6 MB of invalid characters.
fn bad_name() -> Vec<u8> {
    const LENGTH: i32 = 6_000_000;
    let mut module = Module::with_memory(MEMORY >> 16);
    let respond = import(&mut module, "respond");
    let start = [&200_u16.to_le_bytes()[..], &1_u32.to_le_bytes(), &LENGTH.to_le_bytes()].concat();
    module.bytes(0, &start);
    module.code(0, |code| {
        code.i32_const(10).i32_const(27).i32_const(LENGTH).memory_fill(0);
        code.i32_const(0).i32_const(LENGTH + 10).i32_const(0).i32_const(0).call(respond).drop();
    });
    module.finish()
}

/// The same with a name that just fits in a head.
fn long_name() -> Vec<u8> {
    modules::responding(&modules::head(200, &[(&"\u{1b}".repeat(60_000), "")]), 1, |_| {})
}

/// Calls a function `calls` times, and keeps the handles.
fn calling(callee: &str, calls: i32) -> Vec<u8> {
    let mut module = Module::with_memory(1);
    let [start, sleep, respond] =
        ["call_start", "context_sleep", "respond"].map(|name| import(&mut module, name));
    let head = request_head("/", 60);
    module.bytes(0, callee.as_bytes()).bytes(64, &head).bytes(256, &modules::head(200, &[]));
    module.code(1, |code| {
        times(code, 0, calls, |code| {
            code.i32_const(0).i32_const(0).i32_const(callee.len() as i32);
            code.i32_const(64).i32_const(head.len() as i32).i32_const(0).i32_const(0);
            code.call(start).drop();
        });
        code.i32_const(0).i64_const(50_000_000).call(sleep).drop();
        code.i32_const(256).i32_const(6).i32_const(0).i32_const(0).call(respond).drop();
    });
    module.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn error_texts_held_for_callers_are_short() -> Result<()> {
    let mut growth = Growth::count().await;
    let runtime = runtime();
    for module in [bad_name(), long_name(), trapping(200_000)] {
        runtime.deploy(function("fails", module))?;
        runtime.deploy(function("calls", calling("fails", 60)).calls(["fails"]))?;
        let error = invoke(&runtime, "fails").await.unwrap_err();
        // A quoted text may be six times as long after escaping.
        assert!(error.to_string().len() < 2_048, "{error}");
        growth.restart();
        assert_eq!(invoke(&runtime, "calls").await?.status(), 200);
        assert!(growth.peak() < SLACK, "{} bytes", growth.peak());
    }
    Ok(())
}

/// Traps in a recursive function with a name of this many bytes.
fn trapping(name: usize) -> Vec<u8> {
    let mut module = Module::with_memory(1);
    module.code(1, |code| {
        // The module, followed by a name section.
        code.block(BlockType::Empty).end().unreachable();
    });
    let mut names = wasm_encoder::NameSection::new();
    let mut functions = wasm_encoder::NameMap::new();
    functions.append(0, &"n".repeat(name));
    names.functions(&functions);
    let mut module = module.finish();
    wasm_encoder::Section::append_to(&names, &mut module);
    module
}

#[tokio::test]
async fn names_in_a_trap_are_truncated() -> Result<()> {
    let _turn = Growth::count().await;
    let runtime = runtime();
    for (len, kept) in [(100, Some(100)), (2_000, Some(256)), (5_000_000, None)] {
        runtime.deploy(function("traps", trapping(len)))?;
        let error = invoke(&runtime, "traps").await.unwrap_err();
        let Outcome::Trap(trap) = error.outcome() else { panic!("{error}") };
        let name = trap.backtrace.first();
        // A module with such a long name runs without names.
        assert_eq!(name.map(String::len), kept);
        assert_eq!(name.is_some_and(|name| name.ends_with('…')), len == 2_000);
    }
    Ok(())
}

/// Serves a module with the program, and returns its log of `requests` requests.
async fn logged(name: &str, module: &[u8], requests: usize) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(format!("{name}.wasm"));
    std::fs::write(&path, module)?;
    let _ = code_cache();
    let arguments = ["serve", path.to_str().unwrap(), "--access-log", "off"];
    let program = env!("CARGO_BIN_EXE_hourglass-under-test");
    let serving = Serving::start(&mut program::command(program, &arguments))?;
    let mut client = hourglass_tests::client::Client::connect(serving.address).await?;
    for _ in 0..requests {
        assert!(client.get(&format!("/{name}")).await?.status().is_server_error());
    }
    serving.signal(rustix::process::Signal::TERM);
    Ok(serving.told("everything has ended").lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn a_failure_is_one_line_of_bounded_length() -> Result<()> {
    let _turn = Growth::count().await;
    for (name, module) in
        [("badname", bad_name()), ("longname", long_name()), ("traps", trapping(2_000))]
    {
        let lines = logged(name, &module, 3).await?;
        let failures: Vec<_> = lines.iter().filter(|line| line.contains("outcome=")).collect();
        assert_eq!(failures.len(), 3, "{name}");
        assert!(failures.iter().all(|line| line.len() < 8 << 10), "{name}");
    }
    Ok(())
}

/// A failing function fills no more of the log than a verbose one.
#[tokio::test]
async fn the_log_rate_of_failures_is_limited() -> Result<()> {
    let _turn = Growth::count().await;
    let lines = logged("fails", &long_name(), 2_000).await?;
    let bytes: usize = lines.iter().map(String::len).sum();
    let marks =
        lines.iter().filter(|line| line.contains("in the rest of this second are left out"));
    assert!(marks.count() > 0, "{} lines", lines.len());
    // The run takes some seconds, each with its own limit.
    assert!(bytes < 1 << 20, "{bytes} bytes");
    Ok(())
}
