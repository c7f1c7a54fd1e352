//! A module that looks for state of other instances, and leaves as much state as it can.
//!
//! An instance grows its memory as far as it can, and exits with one of the codes below if memory,
//! global or table differ from their initial state. Then it writes to all of them, prints `dirty`,
//! and ends in one of several ways.

use wasm_encoder::{BlockType, InstructionSink, MemArg, ValType};

use super::{CONTEXT, Module, WASI, spin, takes};

/// The memory was not in its initial state.
pub const MEMORY: i32 = 77;
/// The global was not.
pub const GLOBAL: i32 = 78;
/// The table was not.
pub const TABLE: i32 = 79;
/// A function of another instance was in the table.
pub const STRANGER: i32 = 80;

/// The address of the only initial word that is not zero, and its value.
const PLACE: i32 = 1_024;
const FIRST: i64 = 0x1111_2222_3333_4444;
/// The value that it writes.
const PATTERN: i64 = 0x5ec2_e75e_c2e7_5ec2;

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With an empty response.
    Answer,
    /// With a trap.
    Trap,
    /// Never: it spins.
    Spin,
    /// Never: it waits for its context in a loop.
    Wait,
}

/// How much state it leaves.
#[derive(Clone, Copy, Debug)]
pub struct Dirt {
    /// The initial pages of memory.
    pub pages: u64,
    /// The distance of the words it writes in bytes, a multiple of 8.
    pub stride: i32,
    /// The size of its table, more than one entry.
    pub table: u64,
    /// How it ends.
    pub end: End,
}

impl Dirt {
    /// The module.
    pub fn module(self) -> Vec<u8> {
        let mut module = Module::with_memory(self.pages);
        let calls = Calls {
            respond: module.import(CONTEXT, "respond", takes(4)),
            sleep: module.import(
                CONTEXT,
                "context_sleep",
                (&[ValType::I32, ValType::I64], &[ValType::I32]),
            ),
            write: module.import(WASI, "fd_write", takes(4)),
            exit: module.import(WASI, "proc_exit", (&[ValType::I32], &[])),
        };
        let middle = self.table as i32 / 2;
        let (own, stranger) = (calls.exit + 2, calls.exit + 3);
        module.bytes(PLACE, &FIRST.to_le_bytes()).global(0).table(self.table);
        module.element(middle, own);
        module.code(2, |code| {
            check_memory(code, calls);
            check_table(code, calls, middle);
            code.i32_const(0);
            self.fill_memory(code);
            code.i32_const(0).ref_func(stranger).table_size(0).table_fill(0);
            print(code, calls);
            self.end(code, calls);
        });
        // The only function in the initial table. It counts its calls.
        module.code(0, |code| {
            code.global_get(0).i64_const(1).i64_add().global_set(0);
        });
        // The function that is added to the table later, which must never be called.
        module.code(0, |code| {
            code.i32_const(STRANGER).call(calls.exit);
        });
        // `ref.func` requires a declaration.
        module.declare(stranger);
        module.finish()
    }

    fn fill_memory(self, code: &mut InstructionSink<'_>) {
        code.local_set(AT).loop_(BlockType::Empty);
        code.local_get(AT).i64_const(PATTERN).i64_store(WORD);
        code.local_get(AT).i32_const(self.stride).i32_add().local_tee(AT);
        code.local_get(SIZE).i32_lt_u().br_if(0).end();
    }

    fn end(self, code: &mut InstructionSink<'_>, calls: Calls) {
        match self.end {
            End::Answer => {
                // The status 200, and no headers.
                code.i32_const(0).i64_const(200).i64_store(WORD);
                code.i32_const(0).i32_const(6).i32_const(0).i32_const(0);
                code.call(calls.respond).drop();
            }
            End::Trap => {
                code.unreachable();
            }
            End::Spin => spin(code),
            End::Wait => {
                code.loop_(BlockType::Empty);
                code.i32_const(0).i64_const(-1).call(calls.sleep).drop().br(0).end();
            }
        }
    }
}

/// The imported functions.
#[derive(Clone, Copy)]
struct Calls {
    respond: u32,
    sleep: u32,
    write: u32,
    exit: u32,
}

/// The locals.
const AT: u32 = 0;
const SIZE: u32 = 1;

const WORD: MemArg = MemArg { offset: 0, align: 3, memory_index: 0 };

/// Grows the memory to its limit, stores its size in [`SIZE`], and checks every word.
fn check_memory(code: &mut InstructionSink<'_>, calls: Calls) {
    code.loop_(BlockType::Empty);
    code.i32_const(1).memory_grow(0).i32_const(-1).i32_ne().br_if(0).end();
    code.memory_size(0).i32_const(16).i32_shl().local_set(SIZE);
    code.loop_(BlockType::Empty);
    code.local_get(AT).i64_load(WORD);
    code.i64_const(FIRST).i64_const(0).local_get(AT).i32_const(PLACE).i32_eq().select();
    code.i64_ne();
    exit_if(code, calls, MEMORY);
    code.local_get(AT).i32_const(8).i32_add().local_tee(AT);
    code.local_get(SIZE).i32_lt_u().br_if(0).end();
}

/// Checks every entry of the table, and calls the one in the middle.
fn check_table(code: &mut InstructionSink<'_>, calls: Calls, middle: i32) {
    code.i32_const(0).local_set(AT).loop_(BlockType::Empty);
    code.local_get(AT).table_get(0).ref_is_null();
    code.local_get(AT).i32_const(middle).i32_ne().i32_ne();
    exit_if(code, calls, TABLE);
    code.local_get(AT).i32_const(1).i32_add().local_tee(AT);
    code.table_size(0).i32_lt_u().br_if(0).end();
    code.i32_const(middle).call_indirect(0, 0);
    code.global_get(0).i64_const(1).i64_ne();
    exit_if(code, calls, GLOBAL);
}

/// Exits with a code if the top of the stack is not zero.
fn exit_if(code: &mut InstructionSink<'_>, calls: Calls, with: i32) {
    code.if_(BlockType::Empty).i32_const(with).call(calls.exit).end();
}

/// Prints `dirty`, using the first bytes of the memory.
fn print(code: &mut InstructionSink<'_>, calls: Calls) {
    let text = i64::from_le_bytes(*b"dirty\n\0\0");
    code.i32_const(0).i64_const(16 | (6 << 32)).i64_store(WORD);
    code.i32_const(16).i64_const(text).i64_store(WORD);
    code.i32_const(1).i32_const(0).i32_const(1).i32_const(8).call(calls.write).drop();
}

/// Calls the last entry of its table, which is null unless an instance of another module has set
/// it.
pub fn calling_null(table: u64) -> Vec<u8> {
    let mut module = Module::with_memory(1);
    module.table(table);
    module.code(0, |code| {
        code.i32_const(table as i32 - 1).call_indirect(0, 0);
    });
    module.finish()
}
