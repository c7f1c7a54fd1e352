//! Bounds the cost of validating a module's code, which the host does itself
//! before a compiler process sees it.
//!
//! Most instructions cost the validator a few steps. Some cost as many as the
//! types that they name have parameters and results, up to 2,000: two bytes of
//! a call can push a thousand values. A branch table does so for each of its
//! targets. The sum of these steps is the weight of the code.

use wasmparser::{BlockType, CompositeInnerType, FunctionBody, Operator, Payload, TypeRef};

use super::module::malformed;
use super::size::{MAX_ENTRIES, limited};
use crate::error::DeployError;

/// The maximum number of parameters and results of all types together. The
/// engine keeps each of them in up to 32 bytes.
const MAX_VALUES: u64 = 1_000_000;

/// The maximum weight of a function, which also bounds the values on the
/// validator's stack, and of all functions: about a second's work.
const MAX_FUNCTION: u64 = 8_000_000;
const MAX_MODULE: u64 = 200_000_000;

/// The weight of a module's code, as far as it has been read.
#[derive(Default)]
pub(super) struct Weight {
    /// The number of parameters and results, by type and by function.
    types: Vec<u64>,
    functions: Vec<u64>,
    imported: usize,
    read: usize,
    total: u64,
}

impl Weight {
    pub(super) fn add(&mut self, payload: &Payload<'_>) -> Result<(), DeployError> {
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
            limited("steps to validate one of its functions", weight, MAX_FUNCTION)?;
        }
        self.total += weight;
        limited("steps to validate its functions", self.total, MAX_MODULE)
    }
}

fn arity(arities: &[u64], index: u32) -> u64 {
    arities.get(index as usize).copied().unwrap_or_default()
}
