//! No invocation sees a byte of another one, however that one ended.
//!
//! Every runtime here has one slot, so that each invocation gets the slot of the previous one.

use std::time::Duration;

use anyhow::Result;
use hourglass::{Context, Done, Function, InvokeError, Outcome, Response, Runtime, mib};
use hourglass_tests::guests::function;
use hourglass_tests::modules::dirty::{self, Dirt, End};
use hourglass_tests::{LONG, host, lines};
use http::Request;

async fn get(runtime: &Runtime, name: &str, path: &str) -> Result<Response, InvokeError> {
    let request = Request::get(path).body(()).unwrap();
    runtime.invoke(&Context::background(), name, request).await
}

/// How a guest ends after it has filled its memory.
#[derive(Clone, Copy, Debug)]
enum Way {
    Return,
    Panic,
    Cancel,
    Drop,
}

/// A compiled guest fills its stack, its statics and its heap.
#[tokio::test]
async fn a_compiled_guest_leaves_nothing_behind() -> Result<()> {
    let limits = |name| function(name, "memory").memory(mib(4)).timeout(LONG).grace(Duration::ZERO);
    let runtime = host::with(
        host::builder().max_in_flight(1),
        ["fills", "searches"].map(limits).into_iter().chain([stranger()]),
    );
    for round in 0..8_u64 {
        for (number, way) in
            [Way::Return, Way::Panic, Way::Cancel, Way::Drop].into_iter().enumerate()
        {
            // Words that no program contains by itself, and different ones in every round.
            let pattern =
                0xa5c3_96f0_5a3c_690f ^ ((round << 8) + number as u64).wrapping_mul(0x9e37_79b9);
            fill(&runtime, pattern, way).await?;
            for name in ["fills", "searches"] {
                let path = format!("/{name}/search/{pattern:x}");
                let answer = get(&runtime, name, &path).await?.into_body().bytes().await.unwrap();
                assert_eq!(answer, format!("searched {}: 0 left over", mib(4)), "{round} {way:?}");
                fill(&runtime, pattern, way).await?;
            }
            // A module of another kind finds only zeros.
            assert_eq!(get(&runtime, "stranger", "/").await?.status(), 200, "{round} {way:?}");
        }
    }
    Ok(())
}

async fn fill(runtime: &Runtime, pattern: u64, way: Way) -> Result<()> {
    let (ctx, cancel) = Context::background().with_cancel();
    let end = match way {
        Way::Return => "return",
        Way::Panic => "panic",
        Way::Cancel | Way::Drop => "spin",
    };
    let filled = lines::count("fills", "filled");
    let request = Request::get(format!("/fills/fill/{pattern:x}/{end}")).body(())?;
    let mut running = Box::pin(runtime.invoke(&ctx, "fills", request));
    match way {
        Way::Return => {
            let heap: u64 = text(running.await?).await.parse()?;
            // The rest is a megabyte of stack, the statics, and the guest's own data.
            assert!((mib(2)..mib(3)).contains(&heap), "{heap}");
        }
        Way::Panic => {
            let error = running.await.unwrap_err();
            assert!(crashed(&error), "{error}");
        }
        Way::Cancel | Way::Drop => {
            tokio::select! {
                ended = &mut running => panic!("{ended:?}"),
                () = lines::told_times("fills", "filled", filled + 1) => {}
            }
            if matches!(way, Way::Cancel) {
                cancel.cancel();
                let error = running.await.unwrap_err();
                assert!(matches!(error.outcome(), Outcome::Done(Done::Canceled, _)), "{error}");
            }
        }
    }
    Ok(())
}

/// A crash after a refused memory growth is reported as out of memory.
fn crashed(error: &InvokeError) -> bool {
    matches!(error.outcome(), Outcome::Trap(_) | Outcome::OutOfMemory { .. })
}

async fn text(answer: Response) -> String {
    String::from_utf8(answer.into_body().bytes().await.unwrap().to_vec()).unwrap()
}

/// A module whose memory is initially zero.
fn stranger() -> Function {
    let dirt = Dirt { pages: 1, stride: 65_536, table: 2, end: End::Answer };
    Function::from_bytes("stranger", dirt.module()).unwrap().memory(mib(4))
}

/// Modules that check all their state and then change it, in turn in the same slots.
#[tokio::test]
async fn no_instance_finds_state_of_another() -> Result<()> {
    let mut functions = Vec::new();
    // Every word, a word on every page, and a word on every other page; little memory, and more
    // than stays resident; tables around the size above which the host clears them itself.
    for (stride, pages, table) in
        [(8, 40, 10), (4_096, 4, 512), (8_192, 40, 513), (12_288, 1, 5_000), (65_528, 17, 65_536)]
    {
        for end in [End::Answer, End::Trap, End::Spin, End::Wait] {
            let name = format!("dirt-{stride}-{end:?}");
            let module = Dirt { pages, stride, table, end }.module();
            let memory = if stride == 4_096 { mib(1) } else { mib(5) };
            let limits = |function: Function| function.memory(memory).timeout(LONG);
            functions.push((end, name.clone(), limits(Function::from_bytes(name, module)?)));
        }
    }
    let grace = Duration::ZERO;
    let runtime = host::with(
        host::builder().max_in_flight(1),
        functions.iter().map(|(_, _, function)| function.clone().grace(grace)),
    );
    for round in 0..10 {
        for (end, name, _) in &functions {
            // Twice, so that it follows itself as well as others.
            for _ in 0..2 {
                run_dirty(&runtime, *end, name, round % 2 == 0).await;
            }
        }
    }
    Ok(())
}

/// Runs one, and checks that it found nothing. Otherwise it would have exited.
async fn run_dirty(runtime: &Runtime, end: End, name: &str, cancel_it: bool) {
    let (ctx, cancel) = Context::background().with_cancel();
    let dirty = lines::count(name, "dirty");
    let mut running = Box::pin(runtime.invoke(&ctx, name, Request::new("")));
    match end {
        End::Answer => assert_eq!(running.await.unwrap().status(), 200, "{name}"),
        End::Trap => {
            let error = running.await.unwrap_err();
            assert!(crashed(&error), "{name}: {error}");
        }
        End::Spin | End::Wait => {
            tokio::select! {
                ended = &mut running => panic!("{name}: {ended:?}"),
                () = lines::told_times(name, "dirty", dirty + 1) => {}
            }
            if cancel_it {
                cancel.cancel();
                let error = running.await.unwrap_err();
                assert!(matches!(error.outcome(), Outcome::Done(Done::Canceled, _)), "{error}");
            }
        }
    }
    assert_eq!(lines::count(name, "dirty"), dirty + 1, "{name}");
}

/// A module cannot call a function reference of another module.
#[tokio::test]
async fn null_table_entries_stay_null() -> Result<()> {
    let sizes = [2, 512, 513, 2_000, 65_536];
    let mut functions = Vec::new();
    for table in sizes {
        let dirt = Dirt { pages: 1, stride: 65_536, table, end: End::Answer };
        let sets = Function::from_bytes(format!("sets-{table}"), dirt.module())?;
        functions.push(sets.memory(mib(1)));
        functions.push(Function::from_bytes(format!("calls-{table}"), dirty::calling_null(table))?);
    }
    let runtime = host::with(host::builder().max_in_flight(1), functions);
    for _ in 0..20 {
        for table in sizes {
            assert_eq!(get(&runtime, &format!("sets-{table}"), "/").await?.status(), 200);
            let error = get(&runtime, &format!("calls-{table}"), "/").await.unwrap_err();
            let Outcome::Trap(trap) = error.outcome() else { panic!("{table}: {error}") };
            assert!(trap.reason.contains("uninitialized element"), "{trap}");
        }
    }
    Ok(())
}
