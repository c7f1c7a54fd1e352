//! Compiler processes: their results, their failures, and their end.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;
use hourglass::{CompileError, Compiler, Context};
use hourglass_tests::guests::function;
use hourglass_tests::{host, modules, poll, process};
use http::Request;

use super::command::{PROGRAM, hourglass, path};
use super::compilation::{costly, small, why, with};

/// A script that replaces the compiler.
struct Script {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Script {
    fn new(text: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("compiler");
        process::script(&path, &format!("#!/bin/sh\n{text}\n"))?;
        Ok(Self { path, _folder: folder })
    }

    fn compiler(&self) -> Compiler {
        Compiler::process(&self.path)
    }
}

#[tokio::test]
async fn a_compiler_process_gives_the_same_result_as_the_host() -> Result<()> {
    let runtime = with(Compiler::process(PROGRAM));
    runtime.deploy(function("hello", "hello"))?;
    let request = Request::get("/hello/world").body("")?;
    let answer = runtime.invoke(&Context::background(), "hello", request).await?;
    assert_eq!(answer.status(), 200);
    // Errors of the compiler have the same text.
    let broken = modules::many_functions(1, |code| {
        code.i32_const(1);
    });
    let here = why(&small().build()?, broken.clone());
    let there = why(&runtime, broken);
    assert!(matches!(there, CompileError::Invalid { .. }), "{there:?}");
    assert_eq!(here.to_string(), there.to_string());
    Ok(())
}

#[test]
fn failures_of_a_compiler_process_are_reported() -> Result<()> {
    let fails = |text: &str, timeout| -> Result<CompileError> {
        let script = Script::new(text)?;
        Ok(why(&with(script.compiler().timeout(timeout)), modules::silent()))
    };
    let (long, short) = (Duration::from_secs(60), Duration::from_millis(200));
    let error = fails("kill -KILL $$", long)?;
    assert!(matches!(error, CompileError::Killed), "{error:?}");

    let error = fails("printf 'bad \\033[2J\\nword' >&2; exit 3", long)?;
    let CompileError::Crashed { how, said } = &error else { panic!("{error:?}") };
    assert_eq!((&**how, &**said), ("exit status: 3", "bad \\u{1b}[2J\\nword"));
    assert!(!error.to_string().contains(char::is_control), "{error:?}");

    let error = fails("kill -SEGV $$", long)?;
    let CompileError::Crashed { how, .. } = &error else { panic!("{error:?}") };
    assert!(how.contains("signal: 11"), "{how}");

    // The output of a panic that runs out of memory.
    for said in ["Cannot allocate memory (os error 12)", "failed to initiate panic, error 5"] {
        let error = fails(&format!("echo '{said}' >&2; kill -ABRT $$"), long)?;
        assert!(matches!(error, CompileError::OutOfMemory { .. }), "{said}: {error:?}");
    }

    // No output, output that is not code, and truncated code.
    for answer in ["exit 0", "echo code"] {
        let error = fails(answer, long)?;
        assert!(matches!(error, CompileError::Crashed { .. }), "{answer}: {error:?}");
    }
    // It floods its output, closes it and continues, or leaves it open in another process.
    for stubborn in ["yes >&2", "exec >&- 2>&-; sleep 600", "sleep 600 & exit 0", "exec sleep 600"]
    {
        let error = fails(stubborn, short)?;
        assert!(matches!(error, CompileError::TimedOut { .. }), "{stubborn}: {error:?}");
    }
    let error = why(&with(Compiler::process("/no/such/program")), modules::silent());
    assert!(matches!(error, CompileError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    Ok(())
}

#[test]
fn a_compiler_process_gets_no_environment() -> Result<()> {
    let script = Script::new("env | cut -d= -f1 | sort | tr '\\n' ' ' >&2; exit 3")?;
    let error = why(&with(script.compiler()), modules::silent());
    let CompileError::Crashed { said, .. } = &error else { panic!("{error:?}") };
    // The shell sets these itself.
    let is_shells = |word: &&str| ["PWD", "_", "OLDPWD", "SHLVL"].contains(word);
    let said: Vec<_> = said.split_whitespace().filter(|word| !is_shells(word)).collect();
    assert_eq!(said, ["MIMALLOC_ARENA_EAGER_COMMIT", "RAYON_NUM_THREADS"]);
    Ok(())
}

#[test]
fn a_compiler_process_ends_with_its_host() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wasm = folder.path().join("costly.wasm");
    fs::write(&wasm, costly())?;
    let mut command = hourglass(&["check", "--no-cache", path(&wasm)]);
    let mut host = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let compiler = poll::until_blocking(|| {
        let child = process::children(host.id()).first().copied();
        // The compiler has applied its limits once it has adjusted this.
        let is_limited = child.is_some_and(|id| {
            let adjusted = fs::read_to_string(format!("/proc/{id}/oom_score_adj"));
            adjusted.is_ok_and(|value| value.trim() == "1000")
        });
        child.filter(|_| is_limited).ok_or("no compiler process has started")
    });
    // Besides the three standard streams, only the result may be open.
    let open = fs::read_dir(format!("/proc/{compiler}/fd"))?;
    let open: Vec<_> =
        open.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(open.iter().all(|fd| ["0", "1", "2", "3"].contains(&&**fd)), "{open:?}");
    host.kill()?;
    host.wait()?;
    poll::until_blocking(|| match process::is_running(compiler) {
        true => Err("the compiler process goes on"),
        false => Ok(()),
    });
    Ok(())
}

#[test]
fn the_compiler_command_refuses_to_run_by_hand() -> Result<()> {
    let ended = hourglass(&["compile-module"]).stdin(Stdio::null()).output()?;
    assert!(!ended.status.success());
    assert!(String::from_utf8(ended.stderr)?.contains("not to be typed"));
    let mut command = hourglass(&["compile-module", "1", "1000000000", "9"]);
    let ended = command.stdin(Stdio::null()).output()?;
    assert!(String::from_utf8(ended.stderr)?.contains("the host has ended"));
    Ok(())
}

#[test]
fn code_from_a_compiler_process_is_cached() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let builder = |program: &str| {
        let builder = small().compiler(Compiler::process(program));
        builder.cache_dir(folder.path().join("cache")).state_dir(folder.path().join("state"))
    };
    host::with(builder(PROGRAM), [function("hello", "hello")]);
    // Without the cached code, this deploy would fail.
    host::with(builder("/no/such/program"), [function("hello", "hello")]);
    Ok(())
}
