//! Compares instances that were reset with new ones, over random modules: a
//! module with a proof does after a reset what it does on a new instance.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Trap;

use super::random_modules;
use crate::engine::compile::Compiler;
use crate::engine::faults::FaultWatch;
use crate::engine::{Engine, Settings};
use crate::function::blueprint::Blueprint;
use crate::function::instance::{Instance, ReadyInstance};
use crate::function::module::{self, ValidModule};
use crate::function::{DeployContext, Evictor, Function, IdleLimits};
use crate::guest::{Capabilities, Inputs, Linkers};
use crate::limits::{Limits, mib};

/// The number of modules.
const SEEDS: u64 = 300;

struct Bench {
    engine: Arc<Engine>,
    linkers: Linkers,
    evictor: Evictor,
}

/// The results for the modules.
#[derive(Debug, Default)]
struct Counts {
    refused: u32,
    trapped: u32,
    dropped: u32,
    compared: u32,
    /// The number of compared modules that changed something in their first
    /// run.
    changed: u32,
}

/// A memory, and the variables as text, in which no two bit patterns look the
/// same.
type Contents = (Vec<u8>, Vec<String>);

impl Instance {
    /// Its memory, and its mutable globals as text.
    fn contents(&mut self) -> (Vec<u8>, Vec<String>) {
        let memory = self.exports.memory.data(&self.store).to_vec();
        let globals = self.exports.globals.iter();
        let globals = globals.map(|global| format!("{:?}", global.get(&mut self.store)));
        (memory, globals.collect())
    }
}

impl Bench {
    fn new() -> Self {
        let engine = Engine::new(&Settings {
            max_in_flight: 4,
            max_idle: 4,
            tick: Duration::from_millis(1),
            cache: None,
            compiler: Compiler::default(),
            max_functions: u32::MAX,
        });
        let mut engine = engine.expect("the machine allows a small engine");
        let pages = Arc::get_mut(&mut engine).and_then(|engine| engine.pages.as_mut());
        pages.expect("this machine tells which pages were touched").believe_in_faults();
        let linkers = Linkers::new(&engine.wasm).expect("the host's own functions can be linked");
        let evictor = Evictor::start(IdleLimits::default()).expect("the machine allows a thread");
        Self { engine, linkers, evictor }
    }

    fn blueprint(&self, checked: &ValidModule<'_>) -> Arc<Blueprint> {
        let function = Function::from_bytes("generated", []).expect("a good name").memory(mib(1));
        let Self { engine, linkers, evictor } = self;
        let dispatcher = Capabilities::none(Limits::default()).dispatcher.clone();
        let context = DeployContext { engine, linkers, evictor, dispatcher };
        Blueprint::new(&context, &function, checked).expect("it compiles")
    }

    /// Runs a module on new instances and on one that is reset, and compares.
    async fn compare(&self, seed: u64, counts: &mut Counts) {
        let wasm = random_modules::module(seed);
        let checked = module::check(&wasm, u32::MAX).expect("a generated module is valid");
        if checked.proof.is_err() {
            counts.refused += 1;
            return;
        }
        let blueprint = self.blueprint(&checked);
        let mut new = made(&blueprint);
        let first = new.contents();
        let Ok(after) = run(&mut new).await else {
            // A second run also traps, which is all that can be checked.
            assert!(run(&mut made(&blueprint)).await.is_err(), "seed {seed}");
            counts.trapped += 1;
            return;
        };
        drop(new);
        let mut again = made(&blueprint);
        for round in 1..=4 {
            assert!(again.contents() == first, "seed {seed}, before run {round}");
            let mut faults = FaultWatch::default();
            faults.begin();
            let ended = run(&mut again).await.unwrap_or_else(|trap| panic!("seed {seed}: {trap}"));
            assert!(ended == after, "seed {seed}, after run {round}");
            let Ok(clean) = again.reset(&mut faults) else {
                // Its memory grew, or was touched too much.
                assert_eq!(round, 1, "seed {seed}");
                counts.dropped += 1;
                return;
            };
            again = clean.begin(Inputs::empty());
        }
        counts.compared += 1;
        counts.changed += u32::from(first != after);
    }
}

fn made(blueprint: &Arc<Blueprint>) -> Box<Instance> {
    ReadyInstance::new(blueprint, true).expect("there is a slot").begin(Inputs::empty())
}

/// The state of an instance after a run, or the trap of that run.
async fn run(instance: &mut Instance) -> Result<Contents, Trap> {
    match instance.run().await {
        Ok(()) => Ok(instance.contents()),
        Err(error) => Err(*error.downcast_ref().expect("nothing but a trap can go wrong")),
    }
}

#[tokio::test]
async fn an_instance_that_was_reset_is_like_a_new_one() {
    let bench = Bench::new();
    let mut counts = Counts::default();
    for seed in 0..SEEDS {
        bench.compare(seed, &mut counts).await;
    }
    println!("{counts:?}");
    // Otherwise this would compare almost nothing, or only easy cases.
    assert!(counts.compared >= SEEDS as u32 / 3, "{counts:?}");
    assert!(counts.changed >= counts.compared * 9 / 10, "{counts:?}");
    assert!(counts.refused > 0 && counts.trapped > 0 && counts.dropped > 0, "{counts:?}");
}

#[test]
fn an_instance_is_made_without_being_preempted() {
    let bench = Bench::new();
    for seed in 0..SEEDS / 10 {
        let wasm = random_modules::module(seed);
        let checked = module::check(&wasm, u32::MAX).expect("a generated module is valid");
        let blueprint = bench.blueprint(&checked);
        let mut store = blueprint.store();
        // A run that is older than a tick yields when it notices that the epoch
        // has advanced. Creating an instance must not wait, but the engine's
        // own code that sets it up checks the epoch too.
        while store.data().is_young() {
            std::hint::spin_loop();
        }
        bench.engine.wasm.increment_epoch();
        assert!(blueprint.instantiate(&mut store).is_ok(), "seed {seed}");
    }
}
