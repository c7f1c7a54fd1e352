//! A module that changes all state that a reset restores, and first looks for changes of an earlier
//! run.
//!
//! It exits with one of the codes below if it finds any. Otherwise it changes the state, and ends
//! as the context value [`WAY`] says.

use hourglass::Key;
use wasm_encoder::{BlockType, InstructionSink, MemArg, ValType};

use super::{CONTEXT, Module, WASI, spin, takes};

/// The global that is not exported was not in its initial state.
pub const HIDDEN: i32 = 61;
/// The exported global was not.
pub const EXPORTED: i32 = 62;
/// The global that is decremented and restored, as a stack pointer is, was not.
pub const STACK: i32 = 63;
/// The global that counts calls was not.
pub const COUNTER: i32 = 64;
/// The memory was not.
pub const MEMORY: i32 = 65;

/// The code of an exit on request, if it has found nothing.
pub const CODE: i32 = 9;

/// The size of its memory, in bytes.
pub const SIZE: u64 = 3 << 16;

/// The context value that selects how it ends.
pub const WAY: Key<char> = Key::new("way");

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// With a response.
    Answer,
    /// With a response, after it has read the request body.
    Read,
    /// With a response, after a short sleep.
    Pause,
    /// With a response, once its context is done. It prints `dirty` before.
    Late,
    /// With a response, after it has grown its memory by a page.
    Grow,
    /// With a response, followed by an exit with 0.
    ExitZero,
    /// By exiting with [`CODE`].
    Exit,
    /// With a trap.
    Trap,
    /// With a malformed response.
    Malformed,
    /// Without a response.
    Silent,
    /// Never: it prints `dirty` and spins.
    Spin,
    /// Never: it prints `dirty` and waits for its context in a loop.
    Wait,
}

impl Way {
    /// Its value of [`WAY`].
    pub fn letter(self) -> char {
        char::from(b'a' + self as u8)
    }
}

/// The module, which responds with a status.
pub fn module(status: u16) -> Vec<u8> {
    let mut module = Module::with_memory(SIZE >> 16);
    let calls = Calls {
        respond: module.import(CONTEXT, "respond", takes(4)),
        value: module.import(CONTEXT, "context_value", takes(5)),
        sleep: module.import(
            CONTEXT,
            "context_sleep",
            (&[ValType::I32, ValType::I64], &[ValType::I32]),
        ),
        read: module.import(CONTEXT, "body_read", takes(2)),
        random: module.import(WASI, "random_get", takes(2)),
        write: module.import(WASI, "fd_write", takes(4)),
        exit: module.import(WASI, "proc_exit", (&[ValType::I32], &[])),
    };
    let first =
        [(HEAD, i64::from(status)), (NAME, i64::from_le_bytes(*b"way\0\0\0\0\0")), (FAR, WORD)];
    for (at, word) in first {
        module.bytes(at, &word.to_le_bytes());
    }
    for (first, _) in GLOBALS {
        module.global(first);
    }
    module.export_global("exported", 1).table(2).element(1, calls.exit + 2);
    module.code(2, |code| {
        for (global, (first, with)) in (0..).zip(GLOBALS) {
            code.global_get(global).i64_const(first).i64_ne();
            exit_if(code, calls, with);
        }
        check_memory(code, calls, &first);
        code.i32_const(1).call_indirect(0, 0);
        code.global_get(COUNTER_AT).i64_const(1).i64_ne();
        exit_if(code, calls, COUNTER);
        code.i32_const(0).i32_const(NAME).i32_const(3);
        code.i32_const(TOLD).i32_const(1).call(calls.value).drop();
        code.i32_const(TOLD).i32_load8_u(ANY).local_set(AT);
        change(code, calls);
        end(code, calls);
        code.global_get(STACK_AT).i64_const(64).i64_add().global_set(STACK_AT);
    });
    module.code(0, |code| {
        code.global_get(COUNTER_AT).i64_const(1).i64_add().global_set(COUNTER_AT);
    });
    module.finish()
}

/// The globals: their initial values, and the exit codes if they differ.
const GLOBALS: [(i64, i32); 4] = [(11, HIDDEN), (-5, EXPORTED), (1 << 16, STACK), (0, COUNTER)];
const STACK_AT: u32 = 2;
const COUNTER_AT: u32 = 3;

/// The memory layout. The response head, the name of the context value, and a word on another page
/// are initial data.
const HEAD: i32 = 1_024;
const NAME: i32 = 32;
const FAR: i32 = (1 << 16) + 8_192;
const TOLD: i32 = 16;
const RANDOM: i32 = 24;
const RANGE: i32 = 48;
const TEXT: i32 = 64;
const ROOM: i32 = 128;

const WORD: i64 = 0x1111_2222_3333_4444;
/// The value that it writes.
const PATTERN: i64 = 0x5ec2_e75e_c2e7_5ec2;

/// The locals: an address, later the value of [`WAY`], and another address.
const AT: u32 = 0;
const PLACE: u32 = 1;

/// The imported functions.
#[derive(Clone, Copy)]
struct Calls {
    respond: u32,
    value: u32,
    sleep: u32,
    read: u32,
    random: u32,
    write: u32,
    exit: u32,
}

/// An unaligned access.
const ANY: MemArg = MemArg { offset: 0, align: 0, memory_index: 0 };

/// Checks that every word of the memory is zero, except for the initial data.
fn check_memory(code: &mut InstructionSink<'_>, calls: Calls, first: &[(i32, i64)]) {
    code.loop_(BlockType::Empty);
    for (_, word) in first.iter().rev() {
        code.i64_const(*word);
    }
    code.i64_const(0);
    for (at, _) in first {
        code.local_get(AT).i32_const(*at).i32_eq().select();
    }
    code.local_get(AT).i64_load(ANY).i64_ne();
    exit_if(code, calls, MEMORY);
    code.local_get(AT).i32_const(8).i32_add().local_tee(AT);
    code.i32_const(SIZE as i32).i32_lt_u().br_if(0).end();
}

/// Changes everything but the response head: on the first page, across a boundary of the machine's
/// pages, beside the initial word, in the last word of the memory, and at a random place.
fn change(code: &mut InstructionSink<'_>, calls: Calls) {
    code.i64_const(PATTERN).global_set(0).i64_const(PATTERN).global_set(1);
    code.global_get(STACK_AT).i64_const(64).i64_sub().global_set(STACK_AT);
    for at in [0, NAME, 4_092, FAR, FAR + 16, SIZE as i32 - 8] {
        code.i32_const(at).i64_const(PATTERN).i64_store(ANY);
    }
    code.i32_const(RANDOM).i32_const(4).call(calls.random).drop();
    code.i32_const(RANDOM).i32_load(ANY).i32_const(SIZE as i32 - 4_096).i32_rem_u();
    // After everything that is still needed.
    code.i32_const(4_088).i32_add().local_tee(PLACE);
    code.i64_const(PATTERN).i64_store(ANY);
}

fn end(code: &mut InstructionSink<'_>, calls: Calls) {
    on(code, Way::Read, |code| {
        code.loop_(BlockType::Empty).i32_const(ROOM).i32_const(64).call(calls.read);
        code.i32_const(0).i32_gt_s().br_if(0).end();
    });
    on(code, Way::Pause, |code| _ = code.i32_const(0).i64_const(1).call(calls.sleep).drop());
    on(code, Way::Late, |code| {
        tell(code, calls);
        code.i32_const(0).i64_const(-1).call(calls.sleep).drop();
    });
    on(code, Way::Grow, |code| _ = code.i32_const(1).memory_grow(0).drop());
    on(code, Way::Exit, |code| _ = code.i32_const(CODE).call(calls.exit));
    on(code, Way::Trap, |code| _ = code.unreachable());
    on(code, Way::Malformed, |code| respond(code, calls, 1));
    on(code, Way::Spin, |code| {
        tell(code, calls);
        spin(code);
    });
    on(code, Way::Wait, |code| {
        tell(code, calls);
        code.loop_(BlockType::Empty)
            .i32_const(0)
            .i64_const(-1)
            .call(calls.sleep)
            .drop()
            .br(0)
            .end();
    });
    code.local_get(AT).i32_const(Way::Silent.letter() as i32).i32_ne();
    code.if_(BlockType::Empty);
    respond(code, calls, 6);
    code.end();
    code.i32_const(HEAD).i64_const(PATTERN).i64_store(ANY);
    on(code, Way::ExitZero, |code| _ = code.i32_const(0).call(calls.exit));
}

/// Runs code if this way of ending was selected.
fn on(code: &mut InstructionSink<'_>, way: Way, what: impl FnOnce(&mut InstructionSink<'_>)) {
    code.local_get(AT).i32_const(way.letter() as i32).i32_eq().if_(BlockType::Empty);
    what(code);
    code.end();
}

/// Responds. A head of 6 bytes is a status without headers; any other length is malformed.
fn respond(code: &mut InstructionSink<'_>, calls: Calls, head: i32) {
    code.i32_const(HEAD).i32_const(head).i32_const(0).i32_const(0).call(calls.respond).drop();
}

/// Exits with a code if the top of the stack is not zero.
fn exit_if(code: &mut InstructionSink<'_>, calls: Calls, with: i32) {
    code.if_(BlockType::Empty).i32_const(with).call(calls.exit).end();
}

/// Prints `dirty`.
fn tell(code: &mut InstructionSink<'_>, calls: Calls) {
    let text = i64::from_le_bytes(*b"dirty\n\0\0");
    code.i32_const(RANGE).i64_const(i64::from(TEXT) | (6 << 32)).i64_store(ANY);
    code.i32_const(TEXT).i64_const(text).i64_store(ANY);
    code.i32_const(1).i32_const(RANGE).i32_const(1).i32_const(RANGE + 8).call(calls.write).drop();
}
