//! How large a module may be, told from its sections' own counts before any of
//! them is read: what is in them costs the compiler, and the host that loads the
//! code, many times their length.

use wasmparser::{ElementItems, Payload};

use super::module::malformed;
use crate::error::DeployError;

/// The largest module that is compiled, in bytes.
const MAX_MODULE: usize = 64 << 20;

/// The most entries of any section but that of functions. A table, which
/// elements are for, has fewer.
const MAX_ENTRIES: u64 = 100_000;

/// Bounds a module's length.
pub(super) fn check_module(wasm: &[u8]) -> Result<(), DeployError> {
    match wasm.len() {
        size if size > MAX_MODULE => Err(DeployError::TooLarge { size, limit: MAX_MODULE }),
        _ => Ok(()),
    }
}

/// Bounds a section of the module. How long a single function may be is the
/// compiler's own limit: 7.6 MB.
pub(super) fn check_section(payload: &Payload<'_>, max_functions: u32) -> Result<(), DeployError> {
    let (what, count) = match payload {
        Payload::FunctionSection(section) => return functions(section.count(), max_functions),
        Payload::CodeSectionStart { count, .. } => return functions(*count, max_functions),
        Payload::TypeSection(section) => ("types", section.count()),
        Payload::ImportSection(section) => ("imports", section.count()),
        Payload::TableSection(section) => ("tables", section.count()),
        Payload::GlobalSection(section) => ("globals", section.count()),
        Payload::ExportSection(section) => ("exports", section.count()),
        Payload::TagSection(section) => ("tags", section.count()),
        Payload::DataSection(section) => ("data segments", section.count()),
        Payload::ElementSection(section) => {
            entries("element segments", section.count().into())?;
            let mut elements = 0;
            for segment in section.clone() {
                elements += u64::from(match segment.map_err(malformed)?.items {
                    ElementItems::Functions(items) => items.count(),
                    ElementItems::Expressions(_, items) => items.count(),
                });
                entries("table elements", elements)?;
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    entries(what, count.into())
}

fn functions(count: u32, limit: u32) -> Result<(), DeployError> {
    if count > limit { Err(DeployError::TooManyFunctions { count, limit }) } else { Ok(()) }
}

fn entries(what: &'static str, count: u64) -> Result<(), DeployError> {
    let limit = MAX_ENTRIES;
    if count > limit { Err(DeployError::TooManyEntries { what, count, limit }) } else { Ok(()) }
}
