//! The resident memory of guest stacks.

use std::time::Duration;

use anyhow::{Context as _, Result};
use hourglass::{Context, Function, InstancePolicy, Runtime, mib};
use hourglass_tests::modules::{self, Module};
use http::Request;
use tokio::task::JoinSet;
use wasm_encoder::{BlockType, MemArg};

use crate::counting::Growth;
use crate::{function, import, runtime};

/// How many guests run at once.
const GUESTS: u64 = 64;

/// The recursion depth of a guest: a quarter of a megabyte of stack, or more.
const DEPTH: i32 = 9_000;

/// A recursion depth that overflows the stack.
const TOO_DEEP: i32 = i32::MAX;

/// A module that recurses `depth` times, sleeps, and responds.
fn recursing(depth: i32, sleep: Duration) -> Vec<u8> {
    let counter = MemArg { offset: 1_024, align: 2, memory_index: 0 };
    let mut module = Module::with_memory(1);
    let [sleeping, respond] = ["context_sleep", "respond"].map(|name| import(&mut module, name));
    module.bytes(0, &modules::head(200, &[]));
    let dive = respond + 2;
    module.code(0, |code| {
        code.i32_const(0).i32_const(depth).i32_store(counter).call(dive);
        code.i32_const(0).i32_const(6).i32_const(0).i32_const(0).call(respond).drop();
    });
    module.code(1, |code| {
        code.i32_const(0).i32_load(counter).local_tee(0).if_(BlockType::Empty);
        code.i32_const(0).local_get(0).i32_const(1).i32_sub().i32_store(counter).call(dive);
        code.else_();
        code.i32_const(0).i64_const(sleep.as_nanos() as i64).call(sleeping).drop().end();
    });
    module.finish()
}

/// Runs many invocations at once, each for at most `patience`, and returns how many responded.
async fn invoke_all(runtime: &Runtime, patience: Duration) -> usize {
    let mut all = JoinSet::new();
    for _ in 0..GUESTS {
        let runtime = runtime.clone();
        all.spawn(async move {
            let ctx = Context::background();
            let invocation = runtime.invoke(&ctx, "dives", Request::new(()));
            matches!(tokio::time::timeout(patience, invocation).await, Ok(Ok(_)))
        });
    }
    all.join_all().await.into_iter().filter(|responded| *responded).count()
}

/// This process's resident memory in bytes.
fn resident() -> Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).context("no second field")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// Runs guests, and returns the growth of the resident memory and how many responded.
async fn growth(
    module: Vec<u8>,
    instances: InstancePolicy,
    patience: Duration,
) -> Result<(u64, usize)> {
    let runtime = runtime();
    let dives = |module| -> Function { function("dives", module).instances(instances) };
    // The same with a flat stack: what the guests need besides their stacks.
    runtime.deploy(dives(recursing(0, Duration::from_millis(50))))?;
    assert_eq!(invoke_all(&runtime, PATIENT).await, GUESTS as usize);
    runtime.deploy(dives(module))?;
    let before = resident()?;
    let responded = invoke_all(&runtime, patience).await;
    Ok((resident()?.saturating_sub(before), responded))
}

/// Longer than any of the guests takes.
const PATIENT: Duration = Duration::from_secs(30);

/// What may stay resident per guest: some stack, and some other memory.
const BOUND: u64 = GUESTS * (96 << 10) + mib(4);

#[tokio::test(flavor = "multi_thread")]
async fn deep_stacks_return_to_the_system() -> Result<()> {
    let _turn = Growth::count().await;
    let sleep = Duration::from_millis(50);
    let all = GUESTS as usize;
    let forever = Duration::from_secs(600);
    for instances in [InstancePolicy::NewEachTime, InstancePolicy::ResetInPlace] {
        for (ending, module, patience, responses) in [
            ("returns", recursing(DEPTH, sleep), PATIENT, all),
            ("traps", recursing(TOO_DEEP, sleep), PATIENT, 0),
            ("is dropped", recursing(DEPTH, forever), Duration::from_millis(200), 0),
        ] {
            let (grown, responded) = growth(module, instances, patience).await?;
            assert_eq!(responded, responses, "{ending}");
            assert!(grown < BOUND, "a guest that {ending}, {instances:?}: {grown} bytes");
        }
    }
    Ok(())
}
