//! Limits on a module's size, checked by its sections' own counts before any
//! section is read: the entries cost the compiler, the host that loads the
//! code, and each instance many times their length. And the [weight](Weight) of
//! its code: the cost of validating it, which the host does itself before a
//! compiler process sees it.

use wasmparser::{
    BlockType, CompositeInnerType, ConstExpr, Data, DataKind, Element, ElementItems, ElementKind,
    FunctionBody, Operator, Payload, TypeRef,
};

use super::module::malformed;
use crate::error::DeployError;

/// The maximum size of a module, in bytes.
pub(crate) const MAX_MODULE: u64 = 64 << 20;

/// The maximum number of entries of any section except those below. A table,
/// which element segments initialize, has fewer.
pub(super) const MAX_ENTRIES: u64 = 100_000;

/// The maximum numbers of imports and globals: each instance has space for all
/// of them, and sets their values before it runs, which nothing interrupts.
const MAX_IMPORTS: u64 = 1_000;
const MAX_GLOBALS: u64 = 10_000;

/// The maximum number of elements that are not in a table's initial content,
/// which is computed once: those of segments at computed offsets, of computed
/// references, or of passive segments. Each new instance evaluates them.
const MAX_COMPUTED: u64 = 4_096;

/// The maximum size of the data that is not in the memory's initial content, in
/// bytes. Instances share the initial content until they write; other data is
/// copied to each new instance.
const MAX_COPIED: u64 = 1 << 20;

/// The maximum range of the data for which the engine makes it a memory's
/// initial content, unless the data fills half of the range.
const MAX_RANGE: u64 = 16 << 20;

/// The size in an instance, in bytes, of an import, a global, a referenced
/// function, and an entry of its table.
const IMPORT: u64 = 32;
const GLOBAL: u64 = 16;
const REFERENCE: u64 = 32;
const ENTRY: u64 = 8;

/// The maximum number of parameters and results of all types together. The
/// engine keeps each of them in up to 32 bytes.
const MAX_VALUES: u64 = 1_000_000;

/// The maximum weight of a function's code, which also bounds the values on the
/// validator's stack, and of all functions: about a second's work.
const MAX_WEIGHT: u64 = 8_000_000;
const MAX_TOTAL_WEIGHT: u64 = 200_000_000;

/// The size of a module, as far as it has been read.
#[derive(Default)]
pub(super) struct Size {
    max_functions: u32,
    weight: Weight,
    imports: u64,
    globals: u64,
    functions: u64,
    /// The maximum number of references to functions.
    references: u64,
    /// The initial number of entries of the table.
    pub(super) table: u64,
    /// Whether there was a segment that is not in the table's initial content,
    /// and the number of elements in such segments.
    computes: bool,
    computed: u64,
    /// The memory's initial size in bytes.
    pub(super) memory: Option<u64>,
}

impl Size {
    pub(super) fn new(max_functions: u32) -> Self {
        Self { max_functions, ..Self::default() }
    }

    /// The size of an instance without its memory and its stack, in bytes.
    pub(super) fn instance(&self) -> u64 {
        let references = self.references.min(self.functions + self.imports);
        let table = self.table.saturating_mul(ENTRY);
        table.saturating_add(self.imports * IMPORT + self.globals * GLOBAL + references * REFERENCE)
    }

    /// Checks a section of the module, or a function. The compiler itself
    /// limits the length of a single function to 7.6 MB.
    pub(super) fn add(&mut self, payload: &Payload<'_>) -> Result<(), DeployError> {
        match payload {
            Payload::TypeSection(section) => entries("types", section.count())?,
            Payload::ImportSection(section) => {
                self.imports = section.count().into();
                limited("imports", self.imports, MAX_IMPORTS)?;
            }
            Payload::FunctionSection(section) => self.functions(section.count())?,
            Payload::CodeSectionStart { count, .. } => self.functions(*count)?,
            Payload::TableSection(section) => {
                entries("tables", section.count())?;
                if let Some(table) = section.clone().into_iter().next() {
                    self.table = table.map_err(malformed)?.ty.initial;
                }
            }
            Payload::MemorySection(section) => {
                if let Some(memory) = section.clone().into_iter().next() {
                    self.memory = Some(memory.map_err(malformed)?.initial.saturating_mul(1 << 16));
                }
            }
            Payload::GlobalSection(section) => {
                self.globals = section.count().into();
                limited("globals", self.globals, MAX_GLOBALS)?;
                self.references += self.globals;
            }
            Payload::ExportSection(section) => {
                entries("exports", section.count())?;
                self.references += u64::from(section.count());
            }
            Payload::TagSection(section) => entries("tags", section.count())?,
            Payload::ElementSection(section) => {
                entries("element segments", section.count())?;
                let mut elements = 0;
                for segment in section.clone() {
                    let segment = segment.map_err(malformed)?;
                    elements += u64::from(count(&segment.items));
                    limited("table elements", elements, MAX_ENTRIES)?;
                    self.element(&segment)?;
                }
                self.references += elements;
            }
            Payload::DataSection(section) => {
                entries("data segments", section.count())?;
                self.data(section.clone())?;
            }
            _ => {}
        }
        self.weight.add(payload)
    }

    fn functions(&mut self, count: u32) -> Result<(), DeployError> {
        self.functions = count.into();
        match self.max_functions {
            limit if count > limit => Err(DeployError::TooManyFunctions { count, limit }),
            _ => Ok(()),
        }
    }

    /// Counts a segment of elements that the engine does not add to a table's
    /// initial content. The engine stops adding segments at the first that it
    /// cannot add.
    fn element(&mut self, segment: &Element<'_>) -> Result<(), DeployError> {
        let len = u64::from(count(&segment.items));
        match &segment.kind {
            ElementKind::Declared => return Ok(()),
            ElementKind::Passive => {}
            ElementKind::Active { offset_expr, .. } => {
                let plain = matches!(segment.items, ElementItems::Functions(_));
                let end = constant(offset_expr).map(|at| u64::from(at) + len);
                self.computes |= !plain || end.is_none_or(|end| end > self.table);
                if !self.computes {
                    return Ok(());
                }
            }
        }
        // A segment costs about as much as an element.
        self.computed += len + 1;
        limited("table elements in passive or computed segments", self.computed, MAX_COMPUTED)
    }

    /// Checks the data that is copied to each new instance.
    fn data(&self, section: wasmparser::DataSectionReader<'_>) -> Result<(), DeployError> {
        let (mut bytes, mut start, mut end) = (0, u64::MAX, 0);
        let mut fixed = true;
        for segment in section {
            let Data { kind, data, .. } = segment.map_err(malformed)?;
            let DataKind::Active { offset_expr, .. } = kind else { continue };
            let len = data.len() as u64;
            bytes += len;
            match constant(&offset_expr).map(u64::from) {
                Some(at) if at + len > self.memory.unwrap_or_default() => fixed = false,
                Some(_) if len == 0 => {}
                Some(at) => (start, end) = (start.min(at), end.max(at + len)),
                None => fixed = false,
            }
        }
        let range = end.saturating_sub(start);
        let shared = fixed && (range < 2 * bytes || range < MAX_RANGE);
        if shared || bytes <= MAX_COPIED {
            return Ok(());
        }
        Err(DeployError::ScatteredData { bytes, limit: MAX_COPIED })
    }
}

/// The weight of a module's code, as far as it has been read.
///
/// Most instructions cost the validator a few steps. Some cost as many as the
/// types that they name have parameters and results, up to 2,000: two bytes of
/// a call can push a thousand values. A branch table does so for each of its
/// targets. The sum of these steps is the weight of the code.
#[derive(Default)]
struct Weight {
    /// The number of parameters and results, by type and by function.
    types: Vec<u64>,
    functions: Vec<u64>,
    imported: usize,
    read: usize,
    total: u64,
}

impl Weight {
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), DeployError> {
        match payload {
            Payload::TypeSection(section) => {
                let mut values = 0;
                for group in section.clone() {
                    for kind in group.map_err(malformed)?.into_types() {
                        let arity = match &kind.composite_type.inner {
                            CompositeInnerType::Func(kind) => {
                                (kind.params().len() + kind.results().len()) as u64
                            }
                            _ => 0,
                        };
                        values += arity;
                        limited("parameters and results in its types", values, MAX_VALUES)?;
                        self.types.push(arity);
                        limited("types", self.types.len() as u64, MAX_ENTRIES)?;
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    if let TypeRef::Func(kind) = import.map_err(malformed)?.ty {
                        self.functions.push(arity(&self.types, kind));
                    }
                }
                self.imported = self.functions.len();
            }
            Payload::FunctionSection(section) => {
                for kind in section.clone() {
                    self.functions.push(arity(&self.types, kind.map_err(malformed)?));
                }
            }
            Payload::CodeSectionEntry(body) => {
                let own = self.functions.get(self.imported + self.read).copied();
                self.read += 1;
                self.weigh(body, own.unwrap_or_default())?;
            }
            _ => {}
        }
        Ok(())
    }

    fn weigh(&mut self, body: &FunctionBody<'_>, own: u64) -> Result<(), DeployError> {
        let mut weight = 0_u64;
        for locals in body.get_locals_reader().map_err(malformed)? {
            weight += u64::from(locals.map_err(malformed)?.0);
        }
        // The maximum number of values of a branch: it leaves a block that
        // began before.
        let mut label = own;
        for operator in body.get_operators_reader().map_err(malformed)? {
            weight += match operator.map_err(malformed)? {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    arity(&self.functions, function_index)
                }
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. } => arity(&self.types, type_index),
                Operator::Block { blockty: BlockType::FuncType(kind) }
                | Operator::Loop { blockty: BlockType::FuncType(kind) }
                | Operator::If { blockty: BlockType::FuncType(kind) } => {
                    let arity = arity(&self.types, kind);
                    label = label.max(arity);
                    arity
                }
                Operator::Br { .. }
                | Operator::BrIf { .. }
                | Operator::Return
                | Operator::Else
                | Operator::End => label,
                Operator::BrTable { targets } => (u64::from(targets.len()) + 1) * label.max(1),
                _ => 0,
            };
            limited("steps to validate one of its functions", weight, MAX_WEIGHT)?;
        }
        self.total += weight;
        limited("steps to validate its functions", self.total, MAX_TOTAL_WEIGHT)
    }
}

fn arity(arities: &[u64], index: u32) -> u64 {
    arities.get(index as usize).copied().unwrap_or_default()
}

fn count(items: &ElementItems<'_>) -> u32 {
    match items {
        ElementItems::Functions(items) => items.count(),
        ElementItems::Expressions(_, items) => items.count(),
    }
}

/// The value of an expression that consists of a single constant.
fn constant(expression: &ConstExpr<'_>) -> Option<u32> {
    let mut operators = expression.get_operators_reader().into_iter();
    match (operators.next()?, operators.next()?, operators.next()) {
        (Ok(Operator::I32Const { value }), Ok(Operator::End), None) => Some(value as u32),
        _ => None,
    }
}

fn entries(what: &'static str, count: u32) -> Result<(), DeployError> {
    limited(what, count.into(), MAX_ENTRIES)
}

pub(super) fn limited(what: &'static str, count: u64, limit: u64) -> Result<(), DeployError> {
    if count > limit { Err(DeployError::TooManyEntries { what, count, limit }) } else { Ok(()) }
}
