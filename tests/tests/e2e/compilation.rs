//! Bounded compilation: a module can neither block its host nor exhaust its memory.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use hourglass::{
    CompileError, Compiler, Context, DeployError, Function, Runtime, RuntimeBuilder, mib,
};
use hourglass_tests::modules;
use hourglass_tests::process::{self, Holdings};
use http::Request;
use wasm_encoder::{BlockType, ValType};

use super::command::{PROGRAM, hourglass, path};

/// A runtime that compiles in processes and has no cache.
pub(super) fn with(compiler: Compiler) -> Runtime {
    small().compiler(compiler).build().unwrap()
}

pub(super) fn small() -> RuntimeBuilder {
    Runtime::builder().max_in_flight(2)
}

/// A module that takes seconds and hundreds of megabytes to compile.
pub(super) fn costly() -> Vec<u8> {
    modules::many_functions(20_000, |code| {
        for number in 0..60 {
            code.local_get(0).i32_const(number).i32_mul().i32_const(7).i32_xor().local_set(0);
        }
    })
}

pub(super) fn why(runtime: &Runtime, wasm: impl Into<Vec<u8>>) -> CompileError {
    match runtime.deploy(Function::from_bytes("f", wasm.into()).unwrap()).unwrap_err() {
        DeployError::Compile(error) => error,
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_million_functions_are_refused_before_compilation() -> Result<()> {
    if process::delegated("compilation::a_million_functions_are_refused_before_compilation") {
        return Ok(());
    }
    let runtime = small().build()?;
    let million = modules::many_functions(1_000_000, |_| ());
    let function = Function::from_bytes("million", million)?;
    let before = Holdings::now().memory;
    let error = runtime.deploy(function).unwrap_err();
    let grown = Holdings::now().memory.saturating_sub(before);
    assert!(
        matches!(error, DeployError::TooManyFunctions { count: 1_000_000, limit: 100_000 }),
        "{error:?}"
    );
    assert!(error.to_string().contains("raise `max_functions`"), "{error}");
    assert!(grown < mib(64), "the host grew by {grown} bytes");
    Ok(())
}

#[test]
fn max_functions_is_configurable() -> Result<()> {
    let three = Function::from_bytes("three", modules::many_functions(3, |_| ()))?;
    small().max_functions(3).build()?.deploy(three.clone())?;
    let error = small().max_functions(2).build()?.deploy(three).unwrap_err();
    assert!(matches!(error, DeployError::TooManyFunctions { count: 3, limit: 2 }), "{error:?}");
    Ok(())
}

#[test]
fn other_sections_have_limits() -> Result<()> {
    let runtime = small().build()?;
    let mut module = modules::Module::with_memory(1);
    module.code(0, |_| ());
    for _ in 0..100_001 {
        module.global(0);
    }
    let error = runtime.deploy(Function::from_bytes("f", module.finish())?).unwrap_err();
    assert!(matches!(error, DeployError::TooManyEntries { what: "globals", .. }), "{error:?}");
    Ok(())
}

/// The error of a deploy that is refused before compilation.
fn refused(write: impl FnOnce(&mut modules::Module)) -> DeployError {
    let mut module = modules::Module::with_memory(1_000);
    write(&mut module);
    let function = Function::from_bytes("f", module.finish()).unwrap();
    small().build().unwrap().deploy(function).unwrap_err()
}

fn is_too_many(error: &DeployError, of: &str) {
    assert!(
        matches!(error, DeployError::TooManyEntries { what, .. } if *what == of),
        "{of}: {error:?}"
    );
}

#[test]
fn the_size_of_an_instance_is_limited() {
    let imports = refused(|module| {
        for _ in 0..1_001 {
            module.import(modules::WASI, "sched_yield", modules::takes(0));
        }
        module.code(0, |_| ());
    });
    is_too_many(&imports, "imports");
    let globals = refused(|module| {
        (0..10_001).for_each(|first| {
            module.global(first);
        });
        module.code(0, |_| ());
    });
    is_too_many(&globals, "globals");
}

#[test]
fn the_initialization_of_an_instance_is_limited() -> Result<()> {
    let data = vec![1; 2 << 20];
    let scattered = |error: &DeployError| {
        let found = matches!(error, DeployError::ScatteredData { limit: 0x10_0000, .. });
        assert!(found, "{error:?}");
    };
    scattered(&refused(|module| {
        module.bytes_at_sum((1, 2), &data).code(0, |_| ());
    }));
    scattered(&refused(|module| {
        module.bytes(0, &data).bytes(60 << 20, b"far away").code(0, |_| ());
    }));
    // Instances share contiguous data, and a little data elsewhere is allowed.
    let mut module = modules::Module::with_memory(1_000);
    module.bytes(8, &data).bytes(10 << 20, b"near").code(0, |_| ());
    small().build()?.deploy(Function::from_bytes("f", module.finish())?)?;
    let mut module = modules::Module::with_memory(1_000);
    module.bytes_at_sum((1, 2), b"a").bytes(60 << 20, b"b").code(0, |_| ());
    small().build()?.deploy(Function::from_bytes("f", module.finish())?)?;

    let elements = refused(|module| {
        (0..4_096).for_each(|_| {
            module.passive_element(0);
        });
        module.code(0, |_| ());
    });
    is_too_many(&elements, "table elements in passive or computed segments");
    let mut module = modules::Module::with_memory(1);
    module.table(5_000);
    (0..5_000).for_each(|at| {
        module.element(at, 0);
    });
    module.code(0, |_| ());
    small().build()?.deploy(Function::from_bytes("f", module.finish())?)?;
    Ok(())
}

/// The host could not clear such a table between two invocations.
#[test]
fn a_table_of_non_nullable_references_is_refused() -> Result<()> {
    let mut module = modules::Module::with_memory(1);
    module.table_without_null(1_000, 0).code(0, |_| ());
    let error = why(&small().build()?, module.finish());
    assert!(matches!(error, CompileError::Invalid { .. }), "{error:?}");
    Ok(())
}

#[test]
fn code_that_is_slow_to_validate_is_refused_first() {
    const THOUSAND: &[ValType] = &[ValType::I32; 1_000];
    if process::delegated("compilation::code_that_is_slow_to_validate_is_refused_first") {
        return;
    }
    let before = Holdings::now().memory;
    // A call of two bytes pushes a thousand values.
    let calls = refused(|module| {
        let many = module.import(modules::WASI, "many", (&[], THOUSAND));
        module.code(0, |code| {
            (0..100_000).for_each(|_| {
                code.call(many);
            });
            code.unreachable();
        });
    });
    is_too_many(&calls, "steps to validate one of its functions");
    let branches = refused(|module| {
        module.import(modules::WASI, "many", (&[], THOUSAND));
        module.code(0, |code| {
            code.block(BlockType::FunctionType(1)).unreachable();
            code.br_table(vec![0; 50_000], 0).end().unreachable();
        });
    });
    is_too_many(&branches, "steps to validate one of its functions");
    let locals = refused(|module| {
        for _ in 0..5_000 {
            module.code(50_000, |_| ());
        }
    });
    is_too_many(&locals, "steps to validate its functions");
    let types = refused(|module| {
        for _ in 0..501 {
            module.import(modules::WASI, "many", (THOUSAND, THOUSAND));
        }
        module.code(0, |_| ());
    });
    is_too_many(&types, "parameters and results in its types");
    let grown = Holdings::now().memory.saturating_sub(before);
    assert!(grown < mib(128), "the host grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compilation_that_times_out_does_not_delay_requests() -> Result<()> {
    let limit = Duration::from_millis(500);
    let runtime = with(Compiler::process(PROGRAM).timeout(limit));
    let ready = Function::from_bytes("ready", modules::silent())?;
    // It compiles within the limit, unless the machine is very busy.
    while runtime.deploy(ready.clone()).is_err() {}
    let compiling = tokio::task::spawn_blocking({
        let (runtime, wasm) = (runtime.clone(), costly());
        move || (why(&runtime, wasm), Instant::now())
    });
    let mut served = Vec::new();
    while !compiling.is_finished() {
        let _ = runtime.invoke(&Context::background(), "ready", Request::new("")).await;
        served.push(Instant::now());
    }
    let (error, ended) = compiling.await?;
    assert!(matches!(error, CompileError::TimedOut(named) if named == limit), "{error:?}");
    assert!(error.to_string().contains("raise `compile_timeout`"), "{error}");
    assert!(served.iter().any(|at| *at < ended), "no request was served during the compilation");
    Ok(())
}

#[test]
fn a_compilation_that_exceeds_its_memory_is_stopped() {
    let runtime = with(Compiler::process(PROGRAM).memory(mib(128)));
    let error = why(&runtime, costly());
    assert!(matches!(error, CompileError::OutOfMemory(limit) if limit == mib(128)), "{error:?}");
    assert!(error.to_string().contains("128 MiB"), "{error}");
}

#[test]
fn the_program_limits_compilation() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wasm = folder.path().join("costly.wasm");
    fs::write(&wasm, costly())?;
    for (flags, says) in [
        (["--compile-timeout", "100ms"], "raise `compile_timeout`"),
        (["--compile-memory", "128MiB"], "raise `compile_memory`"),
        (["--max-functions", "19999"], "20000 functions, the limit is 19999"),
    ] {
        let mut command = hourglass(&["check", "--no-cache", path(&wasm)]);
        let ended = command.args(flags).output()?;
        let said = String::from_utf8(ended.stdout)?;
        assert!(!ended.status.success() && said.contains(says), "{said}");
    }
    Ok(())
}
