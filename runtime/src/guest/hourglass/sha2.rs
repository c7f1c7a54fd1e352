//! Digests. Processors have instructions for them and WebAssembly does not.
//!
//! The intermediate hash stays in the guest's memory, so the host holds no
//! state to bound or release.

use sha2::block_api::compress256;
use wasmtime::{Linker, Result, Trap};

use crate::guest::MODULE;
use crate::guest::memory::{bytes, parts, range};
use crate::guest::state::{Call, State};

/// The most blocks of 64 bytes per call. Nothing interrupts the call, so the
/// bound keeps it well below a millisecond, even without those instructions.
const MAX_BLOCKS: u32 = 1 << 10;

pub(crate) fn add_to(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(MODULE, "sha256", sha256)?;
    Ok(())
}

/// Hashes as many of a guest's blocks as one call may.
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
