//! Reads a module before it is compiled: checks that it can be a function, and
//! rewrites it as the host needs it to stay in control.
//!
//! Four things are rewritten if a module has them, none visible to the guest:
//!
//! - A *start section* runs inside instantiation, beyond the control of the
//!   instance's owner. It becomes an export that is called like any other
//!   function, so that there is one way to run a guest and one to end it.
//! - A *table* larger than the pool clears by itself is exported, so that it
//!   can be cleared before its instance is dropped.
//! - *Mutable globals* are exported if the [proof](super::proof) holds, so that
//!   they can be written back.
//! - The *names* of functions are omitted if one is very long: the engine
//!   copies the name of every frame of a backtrace.

use std::borrow::Cow;

use wasm_encoder::{ExportKind, ExportSection, RawSection};
use wasmparser::{
    Encoding, ExternalKind, KnownCustom, Name, NameSectionReader, Parser, Payload, TypeRef,
};

use super::proof::{self, Proof};
use super::size::{self, Size};
use crate::engine::TABLE_PAGE;
use crate::error::DeployError;
use crate::guest::{self, Style};
use crate::limits::fixed;

/// The prefix of all exports that rewriting adds. A module that already has
/// such a name is refused, because the host would mistake it for its own.
const PRIVATE: &str = "hourglass:";

/// The exports that rewriting adds.
pub(super) const START: &str = "hourglass:start";
pub(super) const TABLE: &str = "hourglass:table";
pub(super) fn global(index: u32) -> String {
    format!("hourglass:global-{index}")
}

/// The maximum length of a function's name, in bytes.
const MAX_SYMBOL: usize = 2 << 10;

/// A module that can be a function.
pub(crate) struct ValidModule<'a> {
    /// The module to compile.
    pub(crate) wasm: Cow<'a, [u8]>,
    /// Its memory's initial size in bytes.
    pub(crate) memory: u64,
    /// The initial number of entries of its table.
    pub(crate) table: u64,
    /// The size of an instance without its memory and its stack, in bytes.
    pub(crate) instance: u64,
    /// How it receives its request and returns its response.
    pub(crate) style: Style,
    /// How its instances are reset in place, or why they cannot be.
    pub(crate) proof: Result<Proof, String>,
}

/// The result of the first pass over a module.
#[derive(Default)]
struct Totals {
    start: Option<u32>,
    /// Whether a function's name is very long.
    long_names: bool,
    exchange: bool,
    entry: bool,
    memory: bool,
}

/// Checks a module and rewrites it if needed.
pub(crate) fn check(wasm: &[u8], max_functions: u32) -> Result<ValidModule<'_>, DeployError> {
    size::limited("bytes", wasm.len() as u64, size::MAX_MODULE)?;
    if !wasm.starts_with(b"\0asm") {
        return Err(DeployError::NotWasm("it does not begin with `\\0asm`".into()));
    }
    let (mut found, mut size) = (Totals::default(), Size::new(max_functions));
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(malformed)?;
        size.add(&payload)?;
        found.read(payload)?;
    }
    if !found.entry {
        return Err(DeployError::MissingExport("`_start`"));
    }
    let Some(memory) = size.memory.filter(|_| found.memory) else {
        return Err(DeployError::MissingExport("its `memory`"));
    };
    let proof = proof::prove(wasm);
    let added = found.added(size.table, proof.as_ref().ok());
    let wasm = if added.is_empty() && !found.long_names {
        Cow::Borrowed(wasm)
    } else {
        Cow::Owned(rewrite(wasm, &added, found.long_names).map_err(malformed)?)
    };
    let style = if found.exchange { Style::Exchange } else { Style::Cgi };
    let instance = size.instance();
    Ok(ValidModule { wasm, memory, table: size.table, instance, style, proof })
}

impl Totals {
    fn read(&mut self, payload: Payload<'_>) -> Result<(), DeployError> {
        match payload {
            Payload::Version { encoding: Encoding::Component, .. } => {
                let reason = "it is a component, built for wasm32-wasip2".into();
                return Err(DeployError::NotWasm(reason));
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(malformed)?;
                    check_import(&import)?;
                    self.exchange |= guest::is_exchange(import.module, import.name);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.map_err(malformed)?;
                    if export.name.starts_with(PRIVATE) {
                        return Err(DeployError::PrivateExport(short(export.name)));
                    }
                    self.entry |= export.name == "_start" && export.kind == ExternalKind::Func;
                    self.memory |= export.name == "memory" && export.kind == ExternalKind::Memory;
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.long_names |= has_long(names);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The exports that the host needs.
    fn added(&self, table: u64, proof: Option<&Proof>) -> Vec<(String, ExportKind, u32)> {
        let mut added = Vec::new();
        if let Some(function) = self.start {
            added.push((START.to_owned(), ExportKind::Func, function));
        }
        if table > TABLE_PAGE {
            added.push((TABLE.to_owned(), ExportKind::Table, 0));
        }
        for &index in proof.map_or(&[][..], |proof| &proof.globals) {
            added.push((global(index), ExportKind::Global, index));
        }
        added
    }
}

/// A name from the module, shortened for an error.
pub(super) fn short(name: &str) -> String {
    fixed::cut(name, fixed::TEXT).into_owned()
}

fn check_import(import: &wasmparser::Import<'_>) -> Result<(), DeployError> {
    if import.module.starts_with(guest::MODULE_PREFIX) && import.module != guest::MODULE {
        return Err(DeployError::AbiVersion { found: short(import.module), spoken: guest::MODULE });
    }
    match import.ty {
        TypeRef::Func(_) => Ok(()),
        _ => Err(DeployError::UnknownImport {
            module: short(import.module),
            name: short(import.name),
        }),
    }
}

/// Whether a function's name is very long, or the names cannot be read.
fn has_long(names: NameSectionReader<'_>) -> bool {
    names.into_iter().any(|names| match names {
        Ok(Name::Function(names)) => {
            names.into_iter().any(|name| name.is_ok_and(|name| name.name.len() > MAX_SYMBOL))
        }
        names => names.is_err(),
    })
}

/// The module without its start section, and with the exports `added`; without
/// names if `strip_names` is set.
fn rewrite(
    wasm: &[u8],
    added: &[(String, ExportKind, u32)],
    strip_names: bool,
) -> wasmparser::Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::StartSection { .. } => {}
            Payload::CustomSection(section) if strip_names && section.name() == "name" => {}
            Payload::ExportSection(exports) => {
                module.section(&exports_with(exports.clone(), added)?);
            }
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    let data = wasm.get(range).unwrap_or_default();
                    module.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(module.finish())
}

fn exports_with(
    exports: wasmparser::ExportSectionReader<'_>,
    added: &[(String, ExportKind, u32)],
) -> wasmparser::Result<ExportSection> {
    let mut section = ExportSection::new();
    for export in exports {
        let export = export?;
        let kind = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
            ExternalKind::Table => ExportKind::Table,
            ExternalKind::Memory => ExportKind::Memory,
            ExternalKind::Global => ExportKind::Global,
            ExternalKind::Tag => ExportKind::Tag,
        };
        section.export(export.name, kind, export.index);
    }
    for (name, kind, index) in added {
        section.export(name, *kind, *index);
    }
    Ok(section)
}

pub(super) fn malformed(error: wasmparser::BinaryReaderError) -> DeployError {
    DeployError::NotWasm(error.to_string())
}
