//! Memory of the host that guests can occupy: each import in a loop with the largest arguments, and
//! attacks by which one request once filled the host's memory.
//!
//! The allocator counts the memory, so the mapped memory of guests is excluded. This is a binary of
//! its own because it replaces the global allocator. The tests run one at a time, because each
//! measures the whole process.
//!
//! The same calls also show how long one of them blocks a thread: [`delays`].

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod clients;
mod counting;
mod delays;
mod failures;
mod heads;
mod imports;
mod remote;
mod stacks;

use hourglass::{Context, Function, InvokeError, Response, Runtime, mib};
use hourglass_tests::modules::Module;
use http::Request;
use wasm_encoder::{InstructionSink, ValType};

/// The memory of the guests here, in bytes.
const MEMORY: u64 = mib(8);

/// What the host may need in addition to a budget, in bytes.
const SLACK: u64 = mib(4);

/// A runtime without a cache, because each test has its own modules.
fn runtime() -> Runtime {
    Runtime::builder().max_in_flight(128).build().unwrap()
}

/// A function of a module.
fn function(name: &str, module: Vec<u8>) -> Function {
    Function::from_bytes(name, module).unwrap().memory(MEMORY)
}

/// Invokes a function with an empty request.
async fn invoke(runtime: &Runtime, name: &str) -> Result<Response, InvokeError> {
    runtime.invoke(&Context::background(), name, Request::new(())).await
}

/// The signature of an import: its module, its parameters and its results.
fn signature(name: &str) -> (&'static str, Vec<ValType>, Vec<ValType>) {
    let all = imports::SIGNATURES.iter();
    let mut all =
        all.flat_map(|(from, imports)| imports.iter().map(move |import| (*from, *import)));
    let found = all.find(|(_, (known, _))| *known == name);
    let (from, (_, signature)) = found.unwrap_or_else(|| panic!("`{name}` has no signature"));
    let (parameters, results) = signature.split_once('>').unwrap();
    let kind = |letter| if letter == 'I' { ValType::I64 } else { ValType::I32 };
    (from, parameters.chars().map(kind).collect(), results.chars().map(kind).collect())
}

/// Imports a function by its name.
fn import(module: &mut Module, name: &str) -> u32 {
    let (from, parameters, results) = signature(name);
    module.import(from, name, (&parameters, &results))
}

/// Runs code `count` times, with a local as the counter.
fn times(
    code: &mut InstructionSink<'_>,
    local: u32,
    count: i32,
    body: impl FnOnce(&mut InstructionSink<'_>),
) {
    code.loop_(wasm_encoder::BlockType::Empty);
    body(code);
    code.local_get(local).i32_const(1).i32_add().local_tee(local);
    code.i32_const(count).i32_lt_u().br_if(0).end();
}

/// The ABI encoding of fields, each preceded by its length.
fn fields<T: AsRef<[u8]>>(fields: impl IntoIterator<Item = T>) -> Vec<u8> {
    let field = |field: T| {
        let len = (field.as_ref().len() as u32).to_le_bytes();
        [&len, field.as_ref()].concat()
    };
    fields.into_iter().flat_map(field).collect()
}

/// The ABI encoding of headers with exactly `len` bytes.
fn headers(len: usize) -> Vec<u8> {
    let mut headers = 1_u32.to_le_bytes().to_vec();
    headers.extend(fields(["x-long".as_bytes(), &vec![b'v'; len - 18]]));
    headers
}

/// A response head of exactly `len` bytes.
fn response_head(len: usize) -> Vec<u8> {
    [200_u16.to_le_bytes().to_vec(), headers(len - 2)].concat()
}

/// A request head of exactly `len` bytes.
fn request_head(target: &str, len: usize) -> Vec<u8> {
    let line = fields(["GET", target]);
    let rest = headers(len - line.len());
    [line, rest].concat()
}

/// A guest that responds with a head and no body.
fn answering(head: &[u8]) -> Vec<u8> {
    let mut module = Module::with_memory(MEMORY >> 16);
    let respond = import(&mut module, "respond");
    module.bytes(0, head);
    module.code(0, |code| {
        code.i32_const(0).i32_const(head.len() as i32).i32_const(0).i32_const(0);
        code.call(respond).drop();
    });
    module.finish()
}
