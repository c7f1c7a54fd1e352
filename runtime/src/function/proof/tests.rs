//! Modules that the proof accepts, and modules that it refuses with a reason:
//! one sample for each kind of state that a module can have.

use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, HeapType, InstructionSink,
    MemArg, MemorySection, MemoryType, RefType, StartSection, TableSection, TableType, TypeSection,
    ValType,
};
use wasmparser::{ExternalKind, Parser, Payload};

use super::{Proof, prove};
use crate::error::DeployError;
use crate::function::module;

/// A module with one of everything that an instruction could refer to: a
/// memory, a table, a segment of data and one of functions.
struct Sample {
    memory: MemoryType,
    globals: GlobalSection,
    functions: Vec<Function>,
    exports: Vec<&'static str>,
    start: Option<u32>,
}

impl Default for Sample {
    fn default() -> Self {
        let memory = MemoryType {
            minimum: 1,
            maximum: Some(2),
            memory64: false,
            shared: false,
            page_size_log2: None,
        };
        Self {
            memory,
            globals: GlobalSection::new(),
            functions: Vec::new(),
            exports: vec!["_start"],
            start: None,
        }
    }
}

impl Sample {
    /// Adds a global.
    fn global(mut self, val_type: ValType, mutable: bool) -> Self {
        let first = match val_type {
            ValType::I32 => ConstExpr::i32_const(1),
            ValType::I64 => ConstExpr::i64_const(2),
            ValType::F32 => ConstExpr::f32_const(3.0.into()),
            ValType::F64 => ConstExpr::f64_const(4.0.into()),
            ValType::V128 => ConstExpr::v128_const(5),
            ValType::Ref(reference) => ConstExpr::ref_null(reference.heap_type),
        };
        self.globals.global(GlobalType { val_type, mutable, shared: false }, &first);
        self
    }

    /// Adds a function.
    fn code(mut self, write: impl FnOnce(&mut InstructionSink<'_>)) -> Self {
        let mut function = Function::new([]);
        write(&mut function.instructions());
        function.instructions().end();
        self.functions.push(function);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        if self.functions.is_empty() {
            self = self.code(|_| ());
        }
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        for function in &self.functions {
            functions.function(0);
            code.function(function);
        }
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            minimum: 2,
            maximum: None,
            table64: false,
            shared: false,
        });
        let mut memories = MemorySection::new();
        memories.memory(self.memory);
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        for name in self.exports {
            exports.export(name, ExportKind::Func, 0);
        }
        let mut elements = ElementSection::new();
        elements.passive(Elements::Functions(vec![0].into()));
        let mut data = DataSection::new();
        data.passive(*b"segment");
        let mut made = wasm_encoder::Module::new();
        made.section(&types)
            .section(&functions)
            .section(&tables)
            .section(&memories)
            .section(&self.globals)
            .section(&exports);
        if let Some(function_index) = self.start {
            made.section(&StartSection { function_index });
        }
        made.section(&elements).section(&DataCountSection { count: 1 });
        made.section(&code).section(&data);
        made.finish()
    }
}

/// The reason why the sample is refused.
fn refused(sample: Sample) -> String {
    prove(&sample.finish()).expect_err("it must not be proven")
}

#[test]
fn the_numbers_that_may_change_are_listed() {
    let sample = Sample::default()
        .global(ValType::I32, true)
        .global(ValType::I64, false)
        .global(ValType::I64, true)
        .global(ValType::V128, false)
        .global(ValType::F32, true)
        .global(ValType::F64, true)
        .global(ValType::I32, false)
        .global(ValType::V128, true)
        .global(ValType::FUNCREF, false);
    assert_eq!(prove(&sample.finish()), Ok(Proof { globals: vec![0, 2, 4, 5, 7] }));
    assert_eq!(prove(&Sample::default().finish()), Ok(Proof::default()));
}

/// An instruction that changes a table or a segment, with its name.
type Changes = (&'static str, fn(&mut InstructionSink<'_>));

const CHANGES: [Changes; 7] = [
    ("table.set", |code| {
        code.i32_const(0).ref_null(HeapType::FUNC).table_set(0);
    }),
    ("table.grow", |code| {
        code.ref_null(HeapType::FUNC).i32_const(1).table_grow(0).drop();
    }),
    ("table.fill", |code| {
        code.i32_const(0).ref_null(HeapType::FUNC).i32_const(1).table_fill(0);
    }),
    ("table.copy", |code| {
        code.i32_const(0).i32_const(1).i32_const(1).table_copy(0, 0);
    }),
    ("table.init", |code| {
        code.i32_const(0).i32_const(0).i32_const(1).table_init(0, 0);
    }),
    ("elem.drop", |code| {
        code.elem_drop(0);
    }),
    ("data.drop", |code| {
        code.data_drop(0);
    }),
];

#[test]
fn whatever_changes_a_table_or_a_segment_is_refused_by_name() {
    for (name, change) in CHANGES {
        let reason = refused(Sample::default().code(change));
        assert_eq!(reason, format!("its function 0 has the instruction `{name}`"));
        // The proof is about the module's code, not about what it executes.
        let reason = refused(Sample::default().code(|code| {
            code.i32_const(0).if_(wasm_encoder::BlockType::Empty);
            change(code);
            code.end();
        }));
        assert!(reason.contains(name), "never taken: {reason}");
        let reason = refused(Sample::default().code(|code| {
            code.return_();
            change(code);
        }));
        assert!(reason.contains(name), "never reached: {reason}");
        let reason = refused(Sample::default().code(|_| ()).code(|_| ()).code(change));
        assert_eq!(reason, format!("its function 2 has the instruction `{name}`"));
    }
}

#[test]
fn what_changes_nothing_but_the_memory_is_allowed() {
    let byte = MemArg { offset: 0, align: 0, memory_index: 0 };
    let sample = Sample::default().global(ValType::I32, true).code(|code| {
        code.i32_const(1).memory_grow(0).global_set(0);
        code.i32_const(0).i32_const(0).i32_const(4).memory_init(0, 0);
        code.i32_const(0).i32_const(9).i32_const(4).memory_fill(0);
        code.i32_const(0).i32_const(9).i32_const(4).memory_copy(0, 0);
        code.i32_const(0).i32_const(9).i32_store8(byte);
        code.i32_const(0).table_get(0).drop().table_size(0).drop();
        code.i32_const(0).call_indirect(0, 0);
    });
    assert_eq!(prove(&sample.finish()), Ok(Proof { globals: vec![0] }));
}

#[test]
fn a_reference_that_may_change_is_refused() {
    for kind in [ValType::FUNCREF, ValType::EXTERNREF] {
        let reason = refused(Sample::default().global(ValType::I32, true).global(kind, true));
        assert_eq!(reason, "its mutable global 1 holds a reference");
    }
}

#[test]
fn a_memory_of_another_kind_is_refused() {
    let plain = Sample::default().memory;
    for memory in [MemoryType { shared: true, ..plain }, MemoryType { memory64: true, ..plain }] {
        let reason = refused(Sample { memory, ..Sample::default() });
        assert!(reason.starts_with("it is not within WebAssembly 2.0: "), "{reason}");
    }
}

#[test]
fn as_many_globals_are_written_back_as_is_worth_it() {
    let with =
        |count| (0..count).fold(Sample::default(), |some, _| some.global(ValType::I64, true));
    // Immutable globals do not count.
    let most = with(64).global(ValType::I64, false);
    assert_eq!(prove(&most.finish()), Ok(Proof { globals: (0..64).collect() }));
    assert_eq!(refused(with(65)), "it has more than 64 mutable globals");
}

#[test]
fn what_is_no_valid_module_is_refused() {
    let whole = Sample::default().finish();
    let cut = whole.split_last().map(|(_, cut)| cut).unwrap_or_default();
    assert_eq!(prove(&whole), Ok(Proof::default()));
    assert!(prove(cut).is_err());
    // Only the types are wrong.
    let reason =
        refused(Sample::default().code(|code| _ = code.i64_const(0).memory_grow(0).drop()));
    assert!(reason.contains("type mismatch"), "{reason}");
}

/// The exports of a module, in order.
fn exports(wasm: &[u8]) -> Vec<(String, ExternalKind, u32)> {
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ExportSection(section) = payload.expect("it can be read") {
            let all = section.into_iter().map(|export| export.expect("it can be read"));
            exports.extend(all.map(|each| (each.name.to_owned(), each.kind, each.index)));
        }
    }
    exports
}

#[test]
fn an_export_under_the_hosts_own_name_is_refused() {
    for taken in ["hourglass:", "hourglass:start", "hourglass:global-0", "hourglass:anything"] {
        let sample = Sample { exports: vec!["_start", taken], ..Sample::default() };
        let wasm = sample.finish();
        let Err(error) = module::check(&wasm, u32::MAX) else { panic!("`{taken}` is taken") };
        let named = matches!(&error, DeployError::PrivateExport(name) if name == taken);
        assert!(named, "{taken}: {error:?}");
    }
    let near = Sample { exports: vec!["_start", "hourglass"], ..Sample::default() };
    assert!(module::check(&near.finish(), u32::MAX).is_ok());
}

#[test]
fn a_proven_modules_globals_become_exports() {
    let sample = || {
        let sample = Sample { start: Some(0), ..Sample::default() };
        let sample = sample.global(ValType::I32, false).global(ValType::F64, true);
        sample.global(ValType::V128, true)
    };
    let wasm = sample().finish();
    let checked = module::check(&wasm, u32::MAX).expect("it can be a function");
    let added = [
        ("hourglass:start", ExternalKind::Func, 0),
        ("hourglass:global-1", ExternalKind::Global, 1),
        ("hourglass:global-2", ExternalKind::Global, 2),
    ];
    let added = added.map(|(name, kind, index)| (name.to_owned(), kind, index));
    assert_eq!(exports(&checked.wasm), [exports(&wasm), added.to_vec()].concat());
    // The result is still a module, with the same proof.
    assert_eq!(prove(&checked.wasm), checked.proof);

    let wasm = sample().code(|_| ()).code(|code| _ = code.data_drop(0)).finish();
    let checked = module::check(&wasm, u32::MAX).expect("it can be a function");
    assert!(checked.proof.is_err());
    assert_eq!(exports(&checked.wasm).len(), exports(&wasm).len() + 1, "the start alone");
}
