//! Hand-written modules that no compiler would emit.
//!
//! # Layout
//! - [`Module`]: a module builder. Functions here build the simple modules.
//! - [`dirty`]: looks for state of other instances, and leaves as much of its own as it can.
//! - [`keeps`]: changes all state that a reset restores, and looks for such changes.
//! - [`lax`]: change state that a reset does not restore, in ways that are easy to overlook.

pub mod dirty;
pub mod keeps;
pub mod lax;

use std::borrow::Cow;

use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, HeapType,
    ImportSection, InstructionSink, MemorySection, MemoryType, RefType, StartSection, TableSection,
    TableType, TypeSection, ValType,
};

/// The import module of the context ABI.
pub const CONTEXT: &str = "hourglass_v1";
/// That of WASI.
pub const WASI: &str = "wasi_snapshot_preview1";

/// The parameters and results of an imported function.
pub type Signature<'a> = (&'a [ValType], &'a [ValType]);

/// `i32`s in, an `i32` out: the signature of most calls of both ABIs.
pub const fn takes(parameters: usize) -> Signature<'static> {
    const ALL: &[ValType] = &[ValType::I32; 8];
    (ALL.split_at(parameters).0, &[ValType::I32])
}

/// A module builder. In the function index space imports come first, then the module's functions,
/// which have no parameters or results. The first of them is `_start`.
#[derive(Default)]
pub struct Module {
    types: TypeSection,
    imports: ImportSection,
    imported: u32,
    memories: MemorySection,
    tables: TableSection,
    globals: GlobalSection,
    elements: ElementSection,
    data: DataSection,
    functions: Vec<Function>,
    exported: Vec<(&'static str, u32)>,
    entry: Option<&'static str>,
    start: Option<u32>,
}

impl Module {
    /// A module with a growable memory of `pages` pages.
    pub fn with_memory(pages: u64) -> Self {
        let mut module = Self::without_memory();
        module.memory(pages);
        module
    }

    /// A module without a memory.
    pub fn without_memory() -> Self {
        let mut module = Self { entry: Some("_start"), ..Self::default() };
        module.types.ty().function([], []);
        module
    }

    /// Adds a memory.
    pub fn memory(&mut self, pages: u64) -> &mut Self {
        self.memories.memory(MemoryType {
            minimum: pages,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        self
    }

    /// Adds a table of functions.
    pub fn table(&mut self, entries: u64) -> &mut Self {
        self.tables.table(TableType {
            element_type: RefType::FUNCREF,
            minimum: entries,
            maximum: None,
            table64: false,
            shared: false,
        });
        self
    }

    /// Adds a table of non-nullable references, filled with this function.
    pub fn table_without_null(&mut self, entries: u64, function: u32) -> &mut Self {
        let element_type = RefType { nullable: false, heap_type: HeapType::FUNC };
        let minimum = entries;
        let kind =
            TableType { element_type, minimum, maximum: None, table64: false, shared: false };
        self.tables.table_with_init(kind, &ConstExpr::ref_func(function));
        self
    }

    /// Adds a mutable `i64` global.
    pub fn global(&mut self, first: i64) -> &mut Self {
        let kind = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
        self.globals.global(kind, &ConstExpr::i64_const(first));
        self
    }

    /// Exports a global.
    pub fn export_global(&mut self, name: &'static str, index: u32) -> &mut Self {
        self.exported.push((name, index));
        self
    }

    /// Adds a function to the initial table.
    pub fn element(&mut self, at: i32, function: u32) -> &mut Self {
        let functions = Elements::Functions(Cow::Owned(vec![function]));
        self.elements.active(None, &ConstExpr::i32_const(at), functions);
        self
    }

    /// Declares a function for `ref.func`, which Wasm requires.
    pub fn declare(&mut self, function: u32) -> &mut Self {
        self.elements.declared(Elements::Functions(Cow::Owned(vec![function])));
        self
    }

    /// Adds bytes to the initial memory.
    pub fn bytes(&mut self, at: i32, bytes: &[u8]) -> &mut Self {
        self.data.active(0, &ConstExpr::i32_const(at), bytes.iter().copied());
        self
    }

    /// Adds bytes to the initial memory, at an offset that is a sum.
    pub fn bytes_at_sum(&mut self, at: (i32, i32), bytes: &[u8]) -> &mut Self {
        let sum = ConstExpr::i32_const(at.0).with_i32_const(at.1).with_i32_add();
        self.data.active(0, &sum, bytes.iter().copied());
        self
    }

    /// Adds a passive data segment.
    pub fn passive_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.data.passive(bytes.iter().copied());
        self
    }

    /// Adds a passive element segment.
    pub fn passive_element(&mut self, function: u32) -> &mut Self {
        self.elements.passive(Elements::Functions(Cow::Owned(vec![function])));
        self
    }

    /// Imports a function. All imports come before the first [`code`](Self::code).
    pub fn import(&mut self, module: &str, name: &str, signature: Signature<'_>) -> u32 {
        let (parameters, results) = signature;
        self.types.ty().function(parameters.iter().copied(), results.iter().copied());
        self.imports.import(module, name, EntityType::Function(self.types.len() - 1));
        self.imported += 1;
        self.imported - 1
    }

    /// Adds a function with `locals` locals of type `i32`. The final `end` is added.
    pub fn code(&mut self, locals: u32, write: impl FnOnce(&mut InstructionSink<'_>)) -> u32 {
        let mut function = Function::new([(locals, ValType::I32)]);
        write(&mut function.instructions());
        function.instructions().end();
        self.functions.push(function);
        self.imported + self.functions.len() as u32 - 1
    }

    /// Sets the start function, which runs during instantiation.
    pub fn start(&mut self, function: u32) -> &mut Self {
        self.start = Some(function);
        self
    }

    /// Exports the first function under another name than `_start`.
    pub fn entry(&mut self, name: &'static str) -> &mut Self {
        self.entry = Some(name);
        self
    }

    /// The module.
    pub fn finish(&self) -> Vec<u8> {
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for function in &self.functions {
            functions.function(0);
            code.function(function);
        }
        let mut exports = ExportSection::new();
        if !self.memories.is_empty() {
            exports.export("memory", ExportKind::Memory, 0);
        }
        if let Some(name) = self.entry {
            exports.export(name, ExportKind::Func, self.imported);
        }
        for &(name, index) in &self.exported {
            exports.export(name, ExportKind::Global, index);
        }
        let mut module = wasm_encoder::Module::new();
        module
            .section(&self.types)
            .section(&self.imports)
            .section(&functions)
            .section(&self.tables)
            .section(&self.memories)
            .section(&self.globals)
            .section(&exports);
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        // Code that names a data segment requires a preceding data count.
        let count = DataCountSection { count: self.data.len() };
        module.section(&self.elements).section(&count).section(&code).section(&self.data);
        module.finish()
    }
}

/// A module of `count` functions with this body. The first is `_start`.
pub fn many_functions(count: u32, write: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    let mut function = Function::new([(1, ValType::I32)]);
    write(&mut function.instructions());
    function.instructions().end();
    let body = function.into_raw_body();
    let module = Module::with_memory(1);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..count {
        functions.function(0);
        code.raw(&body);
    }
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("_start", ExportKind::Func, 0);
    let mut encoded = wasm_encoder::Module::new();
    encoded.section(&module.types).section(&functions).section(&module.memories);
    encoded.section(&exports).section(&code);
    encoded.finish()
}

/// Returns at once, and gives no response.
pub fn silent() -> Vec<u8> {
    let mut module = Module::with_memory(1);
    module.code(0, |_| ());
    module.finish()
}

/// Responds `times` times, and then runs more code.
pub fn responding(
    head: &[u8],
    times: usize,
    then: impl FnOnce(&mut InstructionSink<'_>),
) -> Vec<u8> {
    let mut module = Module::with_memory(1);
    let respond = module.import(CONTEXT, "respond", takes(4));
    module.bytes(0, head);
    module.code(0, |code| {
        for _ in 0..times {
            code.i32_const(0).i32_const(head.len() as i32).i32_const(0).i32_const(0);
            code.call(respond).drop();
        }
        then(code);
    });
    module.finish()
}

/// Responds with a head and a body.
pub fn answering(head: &[u8], body: &[u8]) -> Vec<u8> {
    let mut module = Module::with_memory(1);
    let respond = module.import(CONTEXT, "respond", takes(4));
    module.bytes(0, head).bytes(head.len() as i32, body);
    module.code(0, |code| {
        code.i32_const(0).i32_const(head.len() as i32);
        code.i32_const(head.len() as i32).i32_const(body.len() as i32);
        code.call(respond).drop();
    });
    module.finish()
}

/// The ABI encoding of a response head.
pub fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = status.to_le_bytes().to_vec();
    head.extend((headers.len() as u32).to_le_bytes());
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        head.extend((text.len() as u32).to_le_bytes());
        head.extend(text.bytes());
    }
    head
}

/// Prints `begun` to standard error in its start function and never leaves it.
pub fn spinning_in_start() -> Vec<u8> {
    let mut module = Module::with_memory(1);
    let fd_write = module.import(WASI, "fd_write", takes(4));
    print_from(&mut module, 0, "begun\n");
    module.code(0, |_| ());
    let spin = module.code(0, |code| {
        code.i32_const(2).i32_const(0).i32_const(1).i32_const(8).call(fd_write).drop();
        spin(code);
    });
    module.start(spin);
    module.finish()
}

/// Adds a string to the memory, preceded by the range that `fd_write` reads.
fn print_from(module: &mut Module, at: i32, text: &str) {
    let range = [at + 16, text.len() as i32].map(i32::to_le_bytes).concat();
    module.bytes(at, &range).bytes(at + 16, text.as_bytes());
}

/// Never ends.
pub fn spin(code: &mut InstructionSink<'_>) {
    code.loop_(wasm_encoder::BlockType::Empty).br(0).end();
}
