//! The cost of an invocation in process, compared with the least work the
//! engine can do: instantiate and call in a loop, on a pool with the same
//! settings.
//!
//! Both run the example `hello` on one thread, in turns; the figures are
//! medians of the rounds. The floor answers the guest's host calls with fixed
//! bytes. It has no deadline, no limits and no accounting, and leaves the reset
//! to the pool.
//!
//! The benchmark also measures the cost of a call from function to function,
//! compared with an invocation of the callee by the host: both respond
//! immediately.

mod common;

use std::time::Duration;

use hourglass::{Body, Context, Function, InstancePolicy, Runtime};
use wasmtime::{Caller, Config, Enabled, Engine, Extern, Linker, Module, Store};
use wasmtime::{InstanceAllocationStrategy, InstancePre, PoolingAllocationConfig};

const ROUNDS: usize = 21;
const CALLS: u32 = 5_000;

fn main() {
    let wasm = common::guest("hello");
    let floor = Floor::new(&wasm);
    let (reset, new) = (
        Ours::new(&wasm, InstancePolicy::ResetInPlace),
        Ours::new(&wasm, InstancePolicy::NewEachTime),
    );
    for _ in 0..CALLS {
        floor.call();
        reset.call();
        new.call();
    }
    let (mut floors, mut resets, mut news) = (Vec::new(), Row::default(), Row::default());
    for _ in 0..ROUNDS {
        let bare = common::per_call(CALLS, || floor.call());
        resets.measure(bare, || reset.call());
        news.measure(bare, || new.call());
        floors.push(bare);
    }
    println!("hello, one thread, medians of {ROUNDS} alternating rounds of {CALLS}");
    println!("  floor (instantiate and call)  {:8.2} us", common::median(floors));
    resets.print("reset in place");
    news.print("a new instance each time");
    two_threads(&wasm);
    calls(&wasm);
}

/// The cost of a call: a guest that makes many calls, minus one that makes
/// none.
fn calls(wasm: &[u8]) {
    const MANY: u32 = 1_000;
    let runtime = Runtime::builder().build().expect("a runtime");
    let patient = |name, wasm: &[u8]| {
        let function = Function::from_bytes(name, wasm).expect("a function");
        function.timeout(Duration::from_secs(600))
    };
    let caller = patient("caller", &common::guest("caller")).calls(["hello"]);
    runtime.deploy(caller.max_calls(u32::MAX)).expect("it deploys");
    runtime.deploy(patient("hello", wasm)).expect("it deploys");
    let (mut invokes, mut calls, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let none = common::per_call(20, || invoke(&runtime, "caller", "/caller/loop/hello/0"));
        let path = format!("/caller/loop/hello/{MANY}/world");
        let many = common::per_call(5, || invoke(&runtime, "caller", &path));
        let call = (many - none) / f64::from(MANY);
        let bare = common::per_call(5 * MANY, || invoke(&runtime, "hello", "/hello/world"));
        // The first round warms up.
        if round > 0 {
            ratios.push(call / bare);
            calls.push(call);
            invokes.push(bare);
        }
    }
    println!("a function that calls hello, medians of {ROUNDS} alternating rounds");
    println!("  Runtime::invoke               {:8.2} us", common::median(invokes));
    println!("  Context::call in a guest      {:8.2} us", common::median(calls));
    println!("  ratio                         {:8.2}", common::median(ratios));
}

/// One invocation, up to its response.
fn invoke(runtime: &Runtime, name: &str, path: &str) {
    let request = http::Request::get(path).body(Body::empty()).expect("a request");
    let ctx = Context::background();
    TOKIO.with(|tokio| tokio.block_on(runtime.invoke(&ctx, name, request))).expect("an answer");
}

/// The measurements of all rounds of one way to invoke.
#[derive(Default)]
struct Row {
    times: Vec<f64>,
    ratios: Vec<f64>,
    faults: u64,
}

impl Row {
    fn measure(&mut self, floor: f64, call: impl FnMut()) {
        let before = common::page_faults();
        let time = common::per_call(CALLS, call);
        self.faults += common::page_faults() - before;
        self.times.push(time);
        self.ratios.push(time / floor);
    }

    fn print(self, name: &str) {
        let calls = f64::from(CALLS) * self.times.len() as f64;
        println!("  Runtime::invoke, {name}");
        println!("    time                        {:8.2} us", common::median(self.times));
        println!("    ratio to the floor          {:8.2}", common::median(self.ratios));
        println!("    page faults per invocation  {:8.4}", self.faults as f64 / calls);
    }
}

/// How throughput scales from one thread to two.
fn two_threads(wasm: &[u8]) {
    let (floor, ours) = (Floor::new(wasm), Ours::new(wasm, InstancePolicy::ResetInPlace));
    let mut ratios = [Vec::new(), Vec::new()];
    for _ in 0..7 {
        ratios[0].push(scaling(&|| floor.call()));
        ratios[1].push(scaling(&|| ours.call()));
    }
    let [floor, ours] = ratios.map(common::median);
    println!("throughput of two threads together against one alone");
    println!("  floor                         {floor:8.2}");
    println!("  Runtime::invoke               {ours:8.2}");
}

fn scaling(call: &(dyn Fn() + Sync)) -> f64 {
    let alone = common::per_call(CALLS, call);
    let together = std::thread::scope(|scope| {
        let other = scope.spawn(|| common::per_call(CALLS, call));
        let mine = common::per_call(CALLS, call);
        mine.max(other.join().expect("the other thread ends"))
    });
    2.0 * alone / together
}

struct Ours {
    runtime: Runtime,
}

thread_local! {
    static TOKIO: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a tokio runtime");
}

impl Ours {
    fn new(wasm: &[u8], instances: InstancePolicy) -> Self {
        let runtime = Runtime::builder().build().expect("a runtime");
        let hello = Function::from_bytes("hello", wasm).expect("a function").instances(instances);
        runtime.deploy(hello.timeout(Duration::from_secs(10))).expect("it deploys");
        Self { runtime }
    }

    fn call(&self) {
        invoke(&self.runtime, "hello", "/hello/world");
    }
}

/// The bare engine.
struct Floor {
    engine: Engine,
    pre: InstancePre<()>,
}

impl Floor {
    fn new(wasm: &[u8]) -> Self {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(1_000)
            .total_memories(1_000)
            .total_tables(1_000)
            .total_stacks(1_000)
            .linear_memory_keep_resident(2 << 20)
            .table_keep_resident(4 << 10);
        if PoolingAllocationConfig::is_pagemap_scan_available() {
            pool.pagemap_scan(Enabled::Yes);
        }
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).expect("an engine");
        let module = Module::from_binary(&engine, wasm).expect("a module");
        let pre = linker(&engine, &module).instantiate_pre(&module).expect("it links");
        Self { engine, pre }
    }

    fn call(&self) {
        let mut store = Store::new(&self.engine, ());
        store.set_epoch_deadline(1 << 40);
        let instance = self.pre.instantiate(&mut store).expect("an instance");
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").expect("a program");
        start.call(&mut store, ()).expect("it runs");
    }
}

/// Answers the guest's host calls with fixed bytes.
fn linker(engine: &Engine, module: &Module) -> Linker<()> {
    let mut linker = Linker::new(engine);
    linker
        .func_wrap("hourglass_v1", "request", |mut caller: Caller<'_, ()>, ptr: u32, _cap: u32| {
            let mut head = 0u64.to_le_bytes().to_vec();
            for part in ["GET", "/hello/world"] {
                head.extend((part.len() as u32).to_le_bytes());
                head.extend(part.as_bytes());
            }
            head.extend(0u32.to_le_bytes());
            write(&mut caller, ptr, &head);
            head.len() as i32
        })
        .and_then(|linker| {
            linker.func_wrap("hourglass_v1", "respond", |_: u32, _: u32, _: u32, _: u32| 0i32)
        })
        .and_then(|linker| {
            linker.func_wrap("hourglass_v1", "context_remaining", |_: u32| 10_000_000_000i64)
        })
        .and_then(|linker| {
            linker.func_wrap(
                "wasi_snapshot_preview1",
                "args_sizes_get",
                |mut caller: Caller<'_, ()>, count: u32, size: u32| {
                    write(&mut caller, count, &[0; 4]);
                    write(&mut caller, size, &[0; 4]);
                    0i32
                },
            )
        })
        .and_then(|linker| {
            linker.func_wrap("wasi_snapshot_preview1", "args_get", |_: u32, _: u32| 0i32)
        })
        .expect("names are used once");
    linker.define_unknown_imports_as_traps(module).expect("the rest is not called");
    linker
}

fn write(caller: &mut Caller<'_, ()>, ptr: u32, bytes: &[u8]) {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        panic!("the guest has no memory");
    };
    memory.write(caller, ptr as usize, bytes).expect("inside its memory");
}
