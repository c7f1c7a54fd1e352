//! Structured log records of a guest: a level, a module, and the guest's own
//! names and values.

use tracing::Level;
use wasmtime::{Linker, Result};

use crate::guest::memory::{bytes, parts};
use crate::guest::state::{Call, State};
use crate::guest::{MODULE, code, wire};
use crate::limits::fixed::HEAD;
use crate::log::{self, Fields, LogRecord, Origin};

/// The levels. The index of a level is its number less one.
const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

pub(crate) fn add_to(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(MODULE, "log", log)?;
    Ok(())
}

fn log(mut call: Call<'_>, level: u32, ptr: u32, len: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let (level, typed) = match level.checked_sub(code::TYPED) {
        Some(level) => (level, true),
        None => (level, false),
    };
    if let Some(place) = level.checked_sub(1) {
        let Some(&level) = LEVELS.get(place as usize) else { return Ok(code::INVALID) };
        let record = bytes(memory, ptr, len)?;
        if record.len() > HEAD {
            if log::is_record_logged(level) {
                let (stdio, source) = state.output();
                stdio.quota.leave_out(&source, record.len());
            }
            return Ok(verbosity());
        }
        let Some(record) = wire::read_record(record) else { return Ok(code::INVALID) };
        let (stdio, source) = state.output();
        if level == Level::ERROR {
            stdio.keep(record.message);
        }
        if log::is_record_logged(level) {
            let fields = Fields { pairs: &record.pairs, typed };
            let origin = Origin::Module(record.target, fields);
            stdio.quota.add(&source, &LogRecord { level, message: record.message, origin });
        }
    }
    Ok(verbosity())
}

/// The number of the most verbose level that is logged, 0 if none is.
fn verbosity() -> i32 {
    let silent = LEVELS.iter().rev().take_while(|level| !log::is_record_logged(**level)).count();
    LEVELS.len().saturating_sub(silent) as i32
}
