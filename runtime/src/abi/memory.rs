//! Ranges of guest memory, checked before they are touched.

use std::ops::Range;

use wasmtime::Trap;

use super::Misuse;
use super::state::{Call, State};
use super::wire::Answer;

/// The caller's memory, and its state beside it.
///
/// # Errors
/// A trap where the guest has no memory, which deploying it has ruled out.
pub(super) fn parts<'a>(call: &'a mut Call<'_>) -> wasmtime::Result<(&'a mut [u8], &'a mut State)> {
    let Some(memory) = call.data().linear else {
        return Err(Trap::MemoryOutOfBounds.into());
    };
    Ok(memory.data_and_store_mut(call))
}

/// The range that a guest named.
///
/// # Errors
/// A trap where it is not inside the memory.
pub(super) fn range(memory: &mut [u8], ptr: u32, len: u32) -> wasmtime::Result<&mut [u8]> {
    memory.get_mut(places(ptr, len)?).ok_or_else(|| Trap::MemoryOutOfBounds.into())
}

/// The range that a guest named, to be read.
///
/// # Errors
/// As [`range`].
pub(super) fn bytes(memory: &[u8], ptr: u32, len: u32) -> wasmtime::Result<&[u8]> {
    memory.get(places(ptr, len)?).ok_or_else(|| Trap::MemoryOutOfBounds.into())
}

fn places(ptr: u32, len: u32) -> wasmtime::Result<Range<usize>> {
    let (start, len) = (ptr as usize, len as usize);
    let end = start.checked_add(len).ok_or(Trap::MemoryOutOfBounds)?;
    Ok(start..end)
}

/// A `u32` at `ptr`.
pub(super) fn read_u32(memory: &mut [u8], ptr: u32) -> wasmtime::Result<u32> {
    let bytes = range(memory, ptr, 4)?;
    let bytes = <[u8; 4]>::try_from(&*bytes).map_err(|_| Trap::MemoryOutOfBounds)?;
    Ok(u32::from_le_bytes(bytes))
}

/// Writes `bytes` at `ptr`.
pub(super) fn write(memory: &mut [u8], ptr: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| Trap::MemoryOutOfBounds)?;
    range(memory, ptr, len)?.copy_from_slice(bytes);
    Ok(())
}

/// Writes how a call or a fetch ended where that fits into the room that the
/// guest gave, and says how long it is, and whether it was written.
///
/// # Errors
/// A trap where the room is not inside the memory, or the answer is longer than
/// any memory.
pub(super) fn write_answer(
    memory: &mut [u8],
    ptr: u32,
    cap: u32,
    answer: &Answer<'_>,
) -> wasmtime::Result<(i32, bool)> {
    let len = i32::try_from(answer.len())
        .map_err(|_| Misuse("a response is longer than its memory".into()))?;
    let fits = len.unsigned_abs() <= cap;
    if fits {
        answer.write(range(memory, ptr, len.unsigned_abs())?);
    }
    Ok((len, fits))
}

/// Writes `bytes` where they fit into the room that the guest gave, and says
/// how long they are.
pub(super) fn write_if_fits(
    memory: &mut [u8],
    ptr: u32,
    cap: u32,
    bytes: &[u8],
) -> wasmtime::Result<i32> {
    let len = i32::try_from(bytes.len()).map_err(|_| Trap::MemoryOutOfBounds)?;
    if bytes.len() <= cap as usize {
        write(memory, ptr, bytes)?;
    }
    Ok(len)
}
