//! Modules that change what a reset does not put back, each in a way that a careless reader of it
//! would overlook. Used twice, an instance of them would trap, or answer with another status.

use wasm_encoder::{BlockType, HeapType, InstructionSink, MemArg};

use super::{CONTEXT, Module, head, takes};

/// The status of an instance that was not used before.
pub const FRESH: u16 = 200;
/// That of one that was.
pub const USED: u16 = 500;

const HEAD: i32 = 64;
/// Where the other head is, behind the first one.
const OTHER: i32 = 6;
const WORD: MemArg = MemArg { offset: 0, align: 0, memory_index: 0 };

/// The modules, each with the instruction that gives it away.
pub fn all() -> [(&'static str, Vec<u8>); 4] {
    [
        ("table.set", sets_a_table_out_of_sight()),
        ("table.grow", grows_a_table()),
        ("data.drop", drops_data_behind_a_branch()),
        ("elem.drop", drops_elements()),
    ]
}

/// A module that leaves on its stack whether it was used before, by way of `write`, and answers.
/// Its table has two entries, of which the second one is `_start`'s neighbour: the function that
/// `beside` writes.
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

/// Looks whether an entry is null, and has a function that only the table knows fill it.
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

/// Looks how large the table is, and makes it larger.
fn grows_a_table() -> Vec<u8> {
    let write = |code: &mut InstructionSink<'_>| {
        code.table_size(0).i32_const(2).i32_ne();
        code.ref_null(HeapType::FUNC).i32_const(1).table_grow(0).drop();
    };
    answering(write, |_| ()).finish()
}

/// Copies data out of the module, and then drops it where that has worked.
fn drops_data_behind_a_branch() -> Vec<u8> {
    let write = |code: &mut InstructionSink<'_>| {
        code.i32_const(0).i32_const(0).i32_const(4).memory_init(0, 1);
        code.i32_const(0).i32_load(WORD).if_(BlockType::Empty).data_drop(1).end();
        code.i32_const(0);
    };
    answering(write, |_| ()).passive_bytes(b"data").finish()
}

/// The same with a function, which another one copies out.
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
