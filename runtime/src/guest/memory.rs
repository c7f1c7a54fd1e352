//! Ranges of guest memory, checked before they are touched, and the time that
//! one host call may occupy its thread.
//!
//! Nothing interrupts a host call: the epoch only stops guest code. If a guest
//! can make the work of a call long, the call does it in pieces. Between two
//! pieces it checks the context and yields to the executor.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::{Result, Trap};

use super::Misuse;
use super::state::{Call, State};
use super::wire::Answer;
use crate::limits::bytes::{Bulk, Reservation};

/// The maximum number of ranges of a list that one call processes.
const MAX_RANGES: u32 = 1_024;

/// How long a host call runs before it yields: half a tick.
const TURN: Duration = Duration::from_micros(500);

/// The bytes copied between two checks of the context. With a page fault for
/// each page on both sides that takes about 0.1 ms.
pub(crate) const PIECE: usize = 256 << 10;

/// When a host call's turn on the thread began.
pub(crate) struct Turn(Instant);

impl Turn {
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Checks the context, and yields if half a tick has passed. Call it
    /// between two pieces of work.
    ///
    /// # Errors
    /// A trap if the guest's grace period is over.
    pub(crate) async fn pass(&mut self, call: &mut Call<'_>) -> wasmtime::Result<()> {
        if call.data().overdue() {
            return Err(Trap::Interrupt.into());
        }
        if self.0.elapsed() >= TURN {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
        Ok(())
    }
}

/// The caller's memory and its state.
///
/// # Errors
/// A trap if the guest has no memory. Deploying a function rules that out.
pub(crate) fn parts<'a>(call: &'a mut Call<'_>) -> Result<(&'a mut [u8], &'a mut State)> {
    let Some(memory) = call.data().linear else {
        return Err(Trap::MemoryOutOfBounds.into());
    };
    Ok(memory.data_and_store_mut(call))
}

/// The range that a guest named.
///
/// # Errors
/// A trap if it is not inside the memory.
pub(crate) fn range(memory: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8]> {
    memory.get_mut(places(ptr, len)?).ok_or_else(|| Trap::MemoryOutOfBounds.into())
}

/// The range that a guest named, for reading.
///
/// # Errors
/// As [`range`].
pub(crate) fn bytes(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8]> {
    memory.get(places(ptr, len)?).ok_or_else(|| Trap::MemoryOutOfBounds.into())
}

fn places(ptr: u32, len: u32) -> Result<Range<usize>> {
    let (start, len) = (ptr as usize, len as usize);
    let end = start.checked_add(len).ok_or(Trap::MemoryOutOfBounds)?;
    Ok(start..end)
}

/// The pointers and lengths of a list of ranges (WASI's `iovec`), which has a
/// pointer and a length of its own. The lengths add up to `most` bytes or less.
/// The ranges themselves are not checked.
pub(crate) fn ranges(
    memory: &[u8],
    (list, count): (u32, u32),
    most: u32,
) -> impl Iterator<Item = Result<(u32, u32)>> {
    let mut left = most;
    (0..count.min(MAX_RANGES)).map(move |index| {
        let listed = bytes(memory, list.saturating_add(index.saturating_mul(8)), 8)?;
        let ([ptr, len], _) = listed.as_chunks() else {
            return Err(Trap::MemoryOutOfBounds.into());
        };
        let len = u32::from_le_bytes(*len).min(left);
        left -= len;
        Ok((u32::from_le_bytes(*ptr), len))
    })
}

/// Writes `bytes` at `ptr`.
pub(crate) fn write(memory: &mut [u8], ptr: u32, bytes: &[u8]) -> Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| Trap::MemoryOutOfBounds)?;
    range(memory, ptr, len)?.copy_from_slice(bytes);
    Ok(())
}

/// Whether a range is short enough to be copied at once.
pub(crate) fn is_short(len: u32) -> bool {
    len as usize <= PIECE
}

/// Copies a short range. The copy keeps its reservation.
pub(crate) fn copy_short(range: &[u8], reservation: Option<Reservation>) -> Bytes {
    if range.is_empty() {
        return Bytes::new();
    }
    Bulk { bytes: range.to_vec(), reservation }.freeze()
}

/// Copies a range out of the guest's memory, whatever its length. Long ranges
/// are copied in pieces, and the call yields between them. The copy keeps its
/// reservation.
///
/// # Errors
/// A trap if the range is not inside the memory, or if the grace period is
/// over.
pub(crate) async fn copy(
    call: &mut Call<'_>,
    ptr: u32,
    len: u32,
    reservation: Option<Reservation>,
) -> Result<Bytes> {
    let whole = bytes(parts(call)?.0, ptr, len)?;
    if is_short(len) {
        return Ok(copy_short(whole, reservation));
    }
    let mut copied = Bulk { bytes: Vec::with_capacity(whole.len()), reservation };
    let mut turn = Turn::begin();
    loop {
        // The guest's memory does not change while the guest waits for this
        // call.
        let whole = bytes(parts(call)?.0, ptr, len)?;
        let rest = whole.get(copied.bytes.len()..).unwrap_or_default();
        copied.bytes.extend_from_slice(rest.get(..PIECE).unwrap_or(rest));
        if copied.bytes.len() >= whole.len() {
            return Ok(copied.freeze());
        }
        turn.pass(call).await?;
    }
}

/// Writes `bytes` at `ptr`, whatever their length, in pieces as [`copy`] does.
///
/// # Errors
/// As [`copy`]. If not all bytes can be written, none are.
pub(crate) async fn paste(call: &mut Call<'_>, ptr: u32, bytes: &[u8]) -> Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| Trap::MemoryOutOfBounds)?;
    range(parts(call)?.0, ptr, len)?;
    let (mut turn, mut at) = (Turn::begin(), ptr);
    for piece in bytes.chunks(PIECE) {
        if at != ptr {
            turn.pass(call).await?;
        }
        write(parts(call)?.0, at, piece)?;
        at = at.saturating_add(piece.len() as u32);
    }
    Ok(())
}

/// The result of writing an answer.
pub(crate) struct Written {
    /// The answer's length.
    pub(crate) len: i32,
    /// Whether it fits into the buffer that the guest provided.
    pub(crate) fits: bool,
    /// The part not written yet, and its address.
    rest: Option<(u32, Bytes)>,
}

/// Writes the result of a call or a fetch, if it fits into the buffer that the
/// guest provided. [`Written::finish`] writes a long body.
///
/// # Errors
/// A trap if the buffer is not inside the memory, or if the answer is longer
/// than any memory.
pub(crate) fn write_answer(
    memory: &mut [u8],
    ptr: u32,
    cap: u32,
    answer: &Answer<'_>,
) -> Result<Written> {
    let (head, body) = (answer.head_len(), answer.body());
    let len = i32::try_from(head + body.len())
        .map_err(|_| Misuse("a response is longer than its memory".into()))?;
    let mut written = Written { len, fits: len.unsigned_abs() <= cap, rest: None };
    if written.fits {
        let room = range(memory, ptr, len.unsigned_abs())?;
        let (room, rest) = room.split_at_mut_checked(head).ok_or(Trap::MemoryOutOfBounds)?;
        answer.write_head(room);
        if body.len() <= PIECE {
            rest.copy_from_slice(body);
        } else {
            written.rest = Some((ptr.saturating_add(head as u32), body.clone()));
        }
    }
    Ok(written)
}

impl Written {
    /// Writes the remaining part.
    ///
    /// # Errors
    /// As [`copy`].
    pub(crate) async fn finish(&mut self, call: &mut Call<'_>) -> Result<()> {
        match self.rest.take() {
            Some((ptr, body)) => paste(call, ptr, &body).await,
            None => Ok(()),
        }
    }
}

/// Writes `bytes` if they fit into the buffer that the guest provided, and
/// returns their length.
pub(crate) fn write_if_fits(memory: &mut [u8], ptr: u32, cap: u32, bytes: &[u8]) -> Result<i32> {
    let len = i32::try_from(bytes.len()).map_err(|_| Trap::MemoryOutOfBounds)?;
    if bytes.len() <= cap as usize {
        write(memory, ptr, bytes)?;
    }
    Ok(len)
}
