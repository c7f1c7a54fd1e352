//! How late the interruption is for each kind of stuck guest, and whether it is
//! ever early.
//!
//! The functions have no grace period, so an invocation is due to end when its
//! context is done: 5 ms after the start by timeout, or when it is canceled.

mod common;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hourglass::{Body, Cause, Context, Function, Outcome, Runtime};
use http_body::Frame;
use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, FunctionSection, Instruction, MemorySection,
    MemoryType, Module, StartSection, TypeSection,
};

const RUNS: usize = 1_000;
const TIMEOUT: Duration = Duration::from_millis(5);
const TICK: Duration = Duration::from_millis(1);

fn main() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio");
    let runtime = Runtime::builder().tick(TICK).build().expect("a runtime");
    for (name, wasm) in [("stuck", common::guest("stuck")), ("start", spin_in_start())] {
        let patient = Function::from_bytes(format!("{name}-cancel"), wasm.clone());
        let patient = patient.expect("a function").grace(Duration::ZERO);
        runtime.deploy(patient).expect("it deploys");
        let function = Function::from_bytes(name, wasm).expect("a function");
        runtime.deploy(function.timeout(TIMEOUT).grace(Duration::ZERO)).expect("it deploys");
    }
    println!(
        "lateness of the end in ms over {RUNS} runs, tick {TICK:?} (aim: never early, p99 < 2)"
    );
    println!("{:<42}{:>8}{:>8}{:>8}{:>8}", "", "p50", "p99", "max", "early");
    for (label, function, path) in [
        ("spins", "stuck", "/spin"),
        ("spins in its start function", "start", "/"),
        ("sleeps in the SDK", "stuck", "/sleep"),
        ("sleeps again whatever it is told", "stuck", "/sleep-again"),
        ("sleeps in std::thread", "stuck", "/thread-sleep"),
        ("waits for input", "stuck", "/input"),
    ] {
        let by_deadline = (0..RUNS).map(|_| tokio.block_on(deadline(&runtime, function, path)));
        report(&format!("{label}, deadline"), by_deadline.collect());
        let function = format!("{function}-cancel");
        let by_cancel = (0..RUNS).map(|_| tokio.block_on(cancel(&runtime, &function, path)));
        report(&format!("{label}, cancel"), by_cancel.collect());
    }
}

/// Nanoseconds from when the end was due to when it happened.
async fn deadline(runtime: &Runtime, function: &str, path: &str) -> i64 {
    let started = Instant::now();
    let ended = runtime.invoke(&Context::background(), function, request(path)).await;
    let took = started.elapsed();
    assert!(matches!(ended.expect_err("it is stuck").outcome(), Outcome::Done(..)));
    took.as_nanos() as i64 - TIMEOUT.as_nanos() as i64
}

async fn cancel(runtime: &Runtime, function: &str, path: &str) -> i64 {
    let (ctx, cancel) = Context::background().with_cancel();
    let canceler = tokio::spawn(async move {
        tokio::time::sleep(TIMEOUT).await;
        cancel.cancel_with(Cause::Operator);
        Instant::now()
    });
    let ended = runtime.invoke(&ctx, function, request(path)).await;
    let ended_at = Instant::now();
    assert!(matches!(ended.expect_err("it is stuck").outcome(), Outcome::Done(..)));
    let due = ctx.done_since().expect("it was canceled");
    canceler.await.expect("it cancels");
    match ended_at.checked_duration_since(due) {
        Some(late) => late.as_nanos() as i64,
        None => -(due.duration_since(ended_at).as_nanos() as i64),
    }
}

fn report(label: &str, mut late: Vec<i64>) {
    late.sort_unstable();
    let at = |share: f64| late[((late.len() as f64 * share) as usize).min(late.len() - 1)] as f64;
    let early = late.iter().filter(|&&late| late < 0).count();
    let [p50, p99, max] = [at(0.5), at(0.99), at(1.0)].map(|nanos| nanos / 1e6);
    println!("{label:<42}{p50:>8.2}{p99:>8.2}{max:>8.2}{early:>8}");
}

fn request(path: &str) -> http::Request<Body> {
    let body = if path == "/input" { Body::stream(Never) } else { Body::empty() };
    let mut request = http::Request::new(body);
    *request.uri_mut() = path.parse().expect("a path");
    request
}

/// A body that never yields anything.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// A module whose start section loops. No compiler of a high-level language
/// produces one.
fn spin_in_start() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0).function(0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("_start", ExportKind::Func, 1);
    let mut code = CodeSection::new();
    let mut spin = wasm_encoder::Function::new([]);
    spin.instruction(&Instruction::Loop(BlockType::Empty))
        .instruction(&Instruction::Br(0))
        .instruction(&Instruction::End)
        .instruction(&Instruction::End);
    let mut nothing = wasm_encoder::Function::new([]);
    nothing.instruction(&Instruction::End);
    code.function(&spin).function(&nothing);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&StartSection { function_index: 0 })
        .section(&code);
    module.finish()
}
