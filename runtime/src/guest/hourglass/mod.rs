//! The imports of the context ABI, by subject.
//!
//! # Layout
//! - [`exchange`]: the request and the response.
//! - [`context`]: the context, and contexts derived from it.
//! - [`call`]: calls of other functions, and jobs; `fetch`: requests to other hosts.
//! - Here: log records and digests.

mod call;
mod context;
mod exchange;
#[cfg(feature = "server")]
mod fetch;

use hourglass_abi::MODULE;
use sha2::block_api::compress256;
use tracing::Level;
use wasmtime::{Linker, Result, Trap};

use super::memory::{bytes, parts, range};
use super::state::{Call, State};
use super::{code, wire};
use crate::limits::fixed::HEAD;
use crate::log::{self, Fields, LogRecord, Origin};

/// The levels. The index of a level is its number less one.
const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

/// The most blocks of 64 bytes that one call hashes. Nothing interrupts the
/// call, so the bound keeps it well below a millisecond, even on a processor
/// without instructions for it.
const MAX_BLOCKS: u32 = 1 << 10;

/// Whether an import belongs to the exchange, by which a guest reads its
/// request and writes its response.
pub(crate) fn is_exchange(module: &str, name: &str) -> bool {
    module == MODULE && exchange::FUNCTIONS.contains(&name)
}

/// Adds all of them to a linker.
pub(super) fn add_to(linker: &mut Linker<State>) -> Result<()> {
    define!(
        linker, MODULE:
        exchange { request, respond_begin } { respond_write, body_read },
        context {
            context_err, context_remaining, context_cause, context_value, context_values,
            context_derive, context_with_value, context_without_cancel, context_cancel,
            context_drop
        } { context_sleep },
        call { call_drop, call_detach } { call, call_start, call_wait, call_result, enqueue },
        self { log, sha256 } {},
    );
    linker.func_wrap_async(MODULE, "respond", exchange::respond)?;
    #[cfg(feature = "server")]
    define!(
        linker, MODULE:
        fetch { fetch_head, fetch_drop } { fetch_start, fetch_write, fetch_read },
    );
    #[cfg(not(feature = "server"))]
    without_fetch(linker)?;
    Ok(())
}

/// Requests to other hosts, in a host built without an HTTP client. The
/// functions exist because guests import them whether they call them or not.
#[cfg(not(feature = "server"))]
fn without_fetch(linker: &mut Linker<State>) -> Result<()> {
    use wasmtime::{FuncType, ValType};

    let functions = [("fetch_start", 6), ("fetch_write", 3), ("fetch_head", 3), ("fetch_read", 3)];
    for (name, parameters) in functions {
        let parameters = std::iter::repeat_n(ValType::I32, parameters);
        let signature = FuncType::new(linker.engine(), parameters, [ValType::I32]);
        linker.func_new(MODULE, name, signature, |_, _, _| {
            let text = "the host has no HTTP client: build it with the feature `server`";
            Err(super::Misuse(text.into()).into())
        })?;
    }
    linker.func_wrap(MODULE, "fetch_drop", |_: Call<'_>, _fetch: u32| {})?;
    Ok(())
}

/// Logs a record of the guest: a level, a module, and its own names and values.
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

/// Hashes as many of a guest's blocks as one call may: processors have
/// instructions for that and WebAssembly does not. The intermediate hash stays in
/// the guest's memory, so the host holds no state to bound or release.
fn sha256(mut call: Call<'_>, hash: u32, blocks: u32, count: u32) -> Result<u32> {
    let (memory, _) = parts(&mut call)?;
    let count = count.min(MAX_BLOCKS);
    let (words, _) = bytes(memory, hash, 32)?.as_chunks();
    let words = <[[u8; 4]; 8]>::try_from(words).map_err(|_| Trap::MemoryOutOfBounds)?;
    let mut state = words.map(u32::from_le_bytes);
    let (blocks, _) = bytes(memory, blocks, count << 6)?.as_chunks();
    compress256(&mut state, blocks);
    let (words, _) = range(memory, hash, 32)?.as_chunks_mut();
    for (word, new) in words.iter_mut().zip(state) {
        *word = new.to_le_bytes();
    }
    Ok(count)
}
