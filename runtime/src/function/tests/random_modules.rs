//! Random modules that change all of their state: memory, variables of every
//! type, and occasionally state that prevents the proof.
//!
//! They are built from the constructs of real modules, rather than by a general
//! generator: most modules of such a generator trap at once or change nothing.
//! Nearly every expression here is well-typed, nearly every address is inside
//! of the memory, and a loop ends when it has used up the module's fuel, which
//! is a variable too.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    InstructionSink, MemArg, MemorySection, MemoryType, Module, RefType, TableSection, TableType,
    TypeSection, ValType,
};

const NUMBERS: [ValType; 5] =
    [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];

/// The number of functions of a module; each calls only those after it.
const FUNCTIONS: u32 = 5;
/// The type of a function that takes and returns a number; type 0 does neither.
const NUMERIC: u32 = 1;
/// The total number of iterations of all loops.
const FUEL: i32 = 500;
/// The first variable is the fuel, and the others follow, by their types.
const GLOBALS: u32 = 1 + 2 * NUMBERS.len() as u32;

pub(super) struct Generator {
    dice: u64,
    /// The memory's size in bytes.
    memory: u32,
}

/// A pseudo-random module, always the same for a seed.
pub(super) fn module(seed: u64) -> Vec<u8> {
    let mut generator =
        Generator { dice: (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), memory: 0 };
    generator.memory = (1 + generator.below(3)) << 16;
    generator.module()
}

impl Generator {
    fn next(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u32) -> u32 {
        (self.next() >> 33) as u32 % end
    }

    fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    fn number(&mut self) -> ValType {
        let at = self.below(NUMBERS.len() as u32) as usize;
        NUMBERS.get(at).copied().unwrap_or(ValType::I32)
    }

    fn module(&mut self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([ValType::I64], [ValType::I64]);
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        for function in 0..FUNCTIONS {
            functions.function(kind(function));
            code.function(&self.function(function));
        }
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            minimum: 4,
            maximum: None,
            table64: false,
            shared: false,
        });
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: u64::from(self.memory >> 16),
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0).export("_start", ExportKind::Func, 0);
        if self.once_in(2) {
            exports.export("variable", ExportKind::Global, 1 + self.below(GLOBALS - 1));
        }
        let mut elements = ElementSection::new();
        let last = [FUNCTIONS - 1, FUNCTIONS - 2];
        elements.active(None, &ConstExpr::i32_const(0), Elements::Functions((&last).into()));
        elements.passive(Elements::Functions((&last).into()));
        let data = self.data();
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&tables).section(&memories);
        module.section(&self.globals()).section(&exports).section(&elements);
        module.section(&DataCountSection { count: data.len() }).section(&code).section(&data);
        module.finish()
    }

    /// The fuel, and two of each type.
    fn globals(&mut self) -> GlobalSection {
        let mut globals = GlobalSection::new();
        let fuel = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(fuel, &ConstExpr::i32_const(FUEL));
        for val_type in NUMBERS.into_iter().flat_map(|number| [number; 2]) {
            let bits = self.next();
            let first = match val_type {
                ValType::I32 => ConstExpr::i32_const(bits as i32),
                ValType::I64 => ConstExpr::i64_const(bits as i64),
                ValType::F32 => ConstExpr::f32_const(f32::from_bits(bits as u32).into()),
                ValType::F64 => ConstExpr::f64_const(f64::from_bits(bits).into()),
                _ => ConstExpr::v128_const(i128::from(bits) << 40),
            };
            globals.global(GlobalType { val_type, mutable: true, shared: false }, &first);
        }
        globals
    }

    /// A segment that code may copy, and some that are active from the start.
    fn data(&mut self) -> DataSection {
        let mut data = DataSection::new();
        data.passive(self.next().to_le_bytes());
        for _ in 0..self.below(4) {
            let (at, len) = (self.below(self.memory - 8_192), self.below(8_192));
            let byte = self.next() as u8;
            data.active(0, &ConstExpr::i32_const(at as i32), (0..len).map(|_| byte));
        }
        data
    }

    fn function(&mut self, index: u32) -> Function {
        // One local of each number type, after the parameter if there is one.
        let mut function = Function::new(NUMBERS.map(|number| (1, number)));
        let mut body =
            Body { generator: self, function: index, code: &mut function.instructions() };
        for _ in 0..4 + body.generator.below(8) {
            body.statement(3);
        }
        if kind(index) == NUMERIC {
            body.value(ValType::I64, 2);
        }
        function.instructions().end();
        function
    }
}

/// The type of a function.
fn kind(function: u32) -> u32 {
    if function == 0 || function == FUNCTIONS - 1 { 0 } else { NUMERIC }
}

/// A function under construction.
struct Body<'a, 'b> {
    generator: &'a mut Generator,
    function: u32,
    code: &'a mut InstructionSink<'b>,
}

impl Body<'_, '_> {
    fn local(&self, number: ValType) -> u32 {
        let at = NUMBERS.iter().position(|each| *each == number).unwrap_or(0) as u32;
        at + kind(self.function)
    }

    fn global(&mut self, number: ValType) -> u32 {
        let at = NUMBERS.iter().position(|each| *each == number).unwrap_or(0) as u32;
        1 + 2 * at + self.generator.below(2)
    }

    /// Changes some state, and leaves the stack as it was.
    fn statement(&mut self, depth: u32) {
        let number = self.generator.number();
        match self.generator.below(if depth > 0 { 15 } else { 10 }) {
            0..=2 => {
                self.value(number, depth);
                let global = self.global(number);
                self.code.global_set(global);
            }
            3 => {
                self.value(number, depth);
                let local = self.local(number);
                self.code.local_set(local);
            }
            4..=7 => self.store(number, depth),
            8 => self.bulk(),
            9 => self.rarity(),
            10 | 11 => self.repeat(depth - 1),
            12 => self.choice(depth - 1),
            _ => self.call(depth - 1),
        }
    }

    fn store(&mut self, number: ValType, depth: u32) {
        self.address();
        self.value(number, depth);
        match number {
            ValType::I32 if self.generator.once_in(2) => self.code.i32_store8(AT),
            ValType::I32 => self.code.i32_store(AT),
            ValType::I64 if self.generator.once_in(2) => self.code.i64_store16(AT),
            ValType::I64 => self.code.i64_store(AT),
            ValType::F32 => self.code.f32_store(AT),
            ValType::F64 => self.code.f64_store(AT),
            _ => self.code.v128_store(AT),
        };
    }

    /// An address: constant or computed, and nearly always inside of the
    /// memory.
    fn address(&mut self) {
        if self.generator.once_in(2) {
            let at = self.generator.below(self.generator.memory - 16);
            self.code.i32_const(at as i32);
        } else {
            self.value(ValType::I32, 1);
            if !self.generator.once_in(200) {
                self.code.i32_const(self.generator.memory as i32 - 4_096).i32_rem_u();
            }
        }
    }

    fn bulk(&mut self) {
        self.address();
        match self.generator.below(3) {
            0 => {
                self.value(ValType::I32, 1);
                let len = self.generator.below(4_000);
                self.code.i32_const(len as i32).memory_fill(0);
            }
            1 => {
                self.address();
                self.code.i32_const(16).memory_copy(0, 0);
            }
            _ => _ = self.code.i32_const(0).i32_const(8).memory_init(0, 0),
        }
    }

    /// A rare action: grow, trap, or change state that is not restored.
    fn rarity(&mut self) {
        match self.generator.below(120) {
            0 => _ = self.code.i32_const(1).memory_grow(0).drop(),
            1 => _ = self.code.unreachable(),
            2 => _ = self.code.data_drop(0),
            3 => _ = self.code.elem_drop(1),
            4 => _ = self.code.i32_const(3).i32_const(0).table_get(0).table_set(0),
            5 => _ = self.code.i32_const(0).i32_const(0).i32_const(2).table_init(0, 1),
            6..=9 => _ = self.code.i32_const(0).memory_grow(0).drop(),
            _ => _ = self.code.i32_const(1).table_get(0).drop(),
        }
    }

    fn repeat(&mut self, depth: u32) {
        self.code.block(BlockType::Empty).loop_(BlockType::Empty);
        self.code.global_get(0).i32_eqz().br_if(1);
        self.code.global_get(0).i32_const(1).i32_sub().global_set(0);
        self.statement(depth);
        self.statement(depth);
        // Occasionally it ends before the fuel does.
        self.value(ValType::I32, 0);
        self.code.i32_const(15).i32_and().br_if(0).end().end();
    }

    fn choice(&mut self, depth: u32) {
        self.value(ValType::I32, 1);
        self.code.i32_const(1).i32_and().if_(BlockType::Empty);
        self.statement(depth);
        self.code.else_();
        self.statement(depth);
        self.code.end();
    }

    fn call(&mut self, depth: u32) {
        let others = FUNCTIONS - 1 - self.function;
        if others == 0 {
            return self.statement(depth);
        }
        let callee = self.function + 1 + self.generator.below(others);
        if kind(callee) == NUMERIC {
            self.value(ValType::I64, depth);
        }
        // The last two functions are in the table, at 0 and 1.
        let entry = FUNCTIONS - 1 - callee;
        if entry < 2 && self.generator.once_in(2) {
            self.code.i32_const(entry as i32).call_indirect(0, kind(callee));
        } else {
            self.code.call(callee);
        }
        if kind(callee) == NUMERIC {
            let global = self.global(ValType::I64);
            self.code.global_set(global);
        }
    }

    /// Leaves a number on the stack.
    fn value(&mut self, number: ValType, depth: u32) {
        match self.generator.below(if depth > 0 { 8 } else { 3 }) {
            0 => self.constant(number),
            1 => {
                let local = self.local(number);
                self.code.local_get(local);
            }
            2 => {
                let global = self.global(number);
                self.code.global_get(global);
            }
            3 | 4 => self.load(number),
            5 => self.converted(number, depth - 1),
            _ => self.combined(number, depth - 1),
        }
    }

    fn constant(&mut self, number: ValType) {
        let bits = self.generator.next();
        match number {
            ValType::I32 => self.code.i32_const(bits as i32),
            ValType::I64 => self.code.i64_const(bits as i64),
            ValType::F32 => self.code.f32_const((bits as i32 as f32).into()),
            ValType::F64 => self.code.f64_const((bits as i64 as f64).into()),
            _ => self.code.v128_const(i128::from(bits) * 0x1_0000_0001),
        };
    }

    fn load(&mut self, number: ValType) {
        let at = self.generator.below(self.generator.memory - 16);
        self.code.i32_const(at as i32);
        match number {
            ValType::I32 => self.code.i32_load(AT),
            ValType::I64 => self.code.i64_load(AT),
            ValType::F32 => self.code.f32_load(AT),
            ValType::F64 => self.code.f64_load(AT),
            _ => self.code.v128_load(AT),
        };
    }

    fn converted(&mut self, number: ValType, depth: u32) {
        match number {
            ValType::I32 if self.generator.once_in(3) => self.code.memory_size(0),
            ValType::I32 => {
                self.value(ValType::I64, depth);
                self.code.i32_wrap_i64()
            }
            ValType::I64 => {
                self.value(ValType::F64, depth);
                self.code.i64_trunc_sat_f64_s()
            }
            ValType::F32 => {
                self.value(ValType::I32, depth);
                self.code.f32_reinterpret_i32()
            }
            ValType::F64 => {
                self.value(ValType::I64, depth);
                self.code.f64_convert_i64_u()
            }
            _ => {
                self.value(ValType::I64, depth);
                self.code.i64x2_splat()
            }
        };
    }

    fn combined(&mut self, number: ValType, depth: u32) {
        self.value(number, depth);
        self.value(number, depth);
        let way = self.generator.below(4);
        match (number, way) {
            (ValType::I32, 0) => self.code.i32_mul(),
            (ValType::I32, 1) => self.code.i32_rotl(),
            (ValType::I32, 2) => self.code.i32_lt_s(),
            (ValType::I32, _) => self.code.i32_add(),
            (ValType::I64, 0) => self.code.i64_xor(),
            (ValType::I64, 1) => self.code.i64_shr_u(),
            (ValType::I64, 2) if self.generator.once_in(20) => self.code.i64_div_s(),
            (ValType::I64, _) => self.code.i64_sub(),
            (ValType::F32, 0) => self.code.f32_div(),
            (ValType::F32, _) => self.code.f32_add(),
            (ValType::F64, 0) => self.code.f64_max(),
            (ValType::F64, _) => self.code.f64_mul(),
            (_, 0) => self.code.i8x16_swizzle(),
            (_, _) => self.code.i32x4_add(),
        };
    }
}

const AT: MemArg = MemArg { offset: 0, align: 0, memory_index: 0 };
