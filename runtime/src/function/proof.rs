//! Proves of a module that an instance of it can be reset to its initial state,
//! so that it is indistinguishable from a new one, for the guest and for the
//! host.
//!
//! The state that an instance keeps between two calls is a short list. The
//! proof goes through it:
//!
//! - **The memory's content** is restored from the pages that were touched.
//! - **The memory's size** cannot shrink, so an instance with a memory that
//!   grew is dropped. That is checked after each run, not proven here.
//! - **Mutable globals** that hold numbers get exports of the host's own and
//!   are written back. One that holds a reference cannot be: no proof.
//! - **Tables**, and **segments** of data and elements that a guest may drop,
//!   are proven never to change: no instruction of the module changes one.
//! - **Imports** are only functions, which is checked for every module before.
//! - **The host's state** for an instance is created again for every
//!   invocation.
//!
//! The list is complete for the language below and for no other, so a module
//! must be valid in it: a later proposal may add new state, and the proof must
//! not succeed because it does not know that state.

use wasmparser::{FuncValidatorAllocations, FunctionBody, GlobalType, Operator, Parser, Payload};
use wasmparser::{ValidPayload, Validator, WasmFeatures};

/// The language that the proof covers: WebAssembly 2.0 and proposals that add
/// instructions to it but no state.
const LANGUAGE: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL);

/// The maximum number of mutable globals that are written back; a compiler's
/// module has one or two.
const MAX_GLOBALS: usize = 64;

/// The state that must be restored in addition to the memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The indices of the mutable globals.
    pub(super) globals: Vec<u32>,
}

/// Proves that a module can be reset, or returns the reason why it cannot.
pub(super) fn prove(wasm: &[u8]) -> Result<Proof, String> {
    let mut validator = Validator::new_with_features(LANGUAGE);
    let mut allocations = FuncValidatorAllocations::default();
    let mut proof = Proof::default();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(foreign)?;
        if let Payload::GlobalSection(globals) = &payload {
            for (index, global) in (0..).zip(globals.clone()) {
                proof.add(index, global.map_err(foreign)?.ty)?;
            }
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload).map_err(foreign)? {
            let index = function.index;
            let mut function = function.into_validator(allocations);
            function.validate(&body).map_err(foreign)?;
            allocations = function.into_allocations();
            keeps_tables_and_segments(&body, index)?;
        }
    }
    Ok(proof)
}

impl Proof {
    fn add(&mut self, index: u32, global: GlobalType) -> Result<(), String> {
        if !global.mutable {
            return Ok(());
        }
        if global.content_type.is_reference_type() {
            return Err(format!("its mutable global {index} holds a reference"));
        }
        if self.globals.len() >= MAX_GLOBALS {
            return Err(format!("it has more than {MAX_GLOBALS} mutable globals"));
        }
        self.globals.push(index);
        Ok(())
    }
}

fn keeps_tables_and_segments(body: &FunctionBody<'_>, function: u32) -> Result<(), String> {
    for operator in body.get_operators_reader().map_err(foreign)? {
        let name = match operator.map_err(foreign)? {
            Operator::TableSet { .. } => "table.set",
            Operator::TableGrow { .. } => "table.grow",
            Operator::TableFill { .. } => "table.fill",
            Operator::TableCopy { .. } => "table.copy",
            Operator::TableInit { .. } => "table.init",
            Operator::ElemDrop { .. } => "elem.drop",
            Operator::DataDrop { .. } => "data.drop",
            _ => continue,
        };
        return Err(format!("its function {function} has the instruction `{name}`"));
    }
    Ok(())
}

/// Describes the part that is not valid in the proof's language.
fn foreign(error: wasmparser::BinaryReaderError) -> String {
    format!("it is not within WebAssembly 2.0: {error}")
}

#[cfg(test)]
mod tests;
