//! Modules that change state that a reset does not restore, in ways that a careless analysis would
//! overlook. A reused instance would trap or respond with another status.

use wasm_encoder::{BlockType, HeapType, InstructionSink, MemArg};

use super::{CONTEXT, Module, head, takes};

/// The status of a new instance.
pub const FRESH: u16 = 200;
/// The status of a reused instance.
pub const USED: u16 = 500;

const HEAD: i32 = 64;
/// The offset of the other head from the first one.
const OTHER: i32 = 6;
const WORD: MemArg = MemArg { offset: 0, align: 0, memory_index: 0 };

/// The modules, each with the instruction that reveals the change.
pub fn all() -> [(&'static str, Vec<u8>); 4] {
    [
        ("table.set", sets_a_table_out_of_sight()),
        ("table.grow", grows_a_table()),
        ("data.drop", drops_data_behind_a_branch()),
        ("elem.drop", drops_elements()),
    ]
}

/// A module that responds. `write` leaves on the stack whether the instance was used before. The
/// second of two table entries is the function that `beside` writes.
fn answering(
    write: impl FnOnce(&mut InstructionSink<'_>),
    beside: impl FnOnce(&mut InstructionSink<'_>),
) -> Module {
    let mut module = Module::with_memory(1);
    let respond = module.import(CONTEXT, "respond", takes(4));
    module.bytes(HEAD, &[head(FRESH, &[]), head(USED, &[])].concat());
    module.table(2).element(1, respond + 2);
    module.code(1, |code| {
        write(code);
        code.i32_const(0).i32_ne().i32_const(OTHER).i32_mul().i32_const(HEAD).i32_add();
        code.i32_const(6).i32_const(0).i32_const(0).call(respond).drop();
    });
    module.code(0, beside);
    module
}

/// Checks whether an entry is null, and calls a function through the table that sets it.
fn sets_a_table_out_of_sight() -> Vec<u8> {
    let write = |code: &mut InstructionSink<'_>| {
        code.i32_const(0).table_get(0).ref_is_null().i32_eqz();
        code.i32_const(1).call_indirect(0, 0);
    };
    let beside = |code: &mut InstructionSink<'_>| {
        code.i32_const(0).i32_const(1).table_get(0).table_set(0);
    };
    answering(write, beside).finish()
}

/// Checks the size of the table, and grows it.
fn grows_a_table() -> Vec<u8> {
    let write = |code: &mut InstructionSink<'_>| {
        code.table_size(0).i32_const(2).i32_ne();
        code.ref_null(HeapType::FUNC).i32_const(1).table_grow(0).drop();
    };
    answering(write, |_| ()).finish()
}

/// Copies a data segment into memory, and drops the segment if that succeeds.
fn drops_data_behind_a_branch() -> Vec<u8> {
    let write = |code: &mut InstructionSink<'_>| {
        code.i32_const(0).i32_const(0).i32_const(4).memory_init(0, 1);
        code.i32_const(0).i32_load(WORD).if_(BlockType::Empty).data_drop(1).end();
        code.i32_const(0);
    };
    answering(write, |_| ()).passive_bytes(b"data").finish()
}

/// The same with an element segment, which another function copies.
fn drops_elements() -> Vec<u8> {
    let write = |code: &mut InstructionSink<'_>| {
        code.i32_const(1).call_indirect(0, 0);
        code.elem_drop(1).i32_const(0);
    };
    let beside = |code: &mut InstructionSink<'_>| {
        code.i32_const(0).i32_const(0).i32_const(1).table_init(0, 1);
    };
    answering(write, beside).passive_element(1).finish()
}
