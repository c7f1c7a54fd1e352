//! Bodies that arrive and bodies that are sent, piece by piece.

use std::io::{self, Read, Write};

use bytes::Bytes;

use super::fetch::Fetched;
use super::{done, length};
use crate::{Body, BodyError, Writer};

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    fn body_read(ptr: *mut u8, cap: usize) -> i32;
    fn respond_write(ptr: *const u8, len: usize) -> i32;
}

/// The number of bytes that are copied at once.
const COPY_BUFFER: usize = 64 << 10;
/// The most that is allocated because the sender announced it, in bytes. The buffer grows for a
/// larger body.
const ANNOUNCED: u64 = 16 << 20;
/// The smallest buffer for one read of a body of unknown length, in bytes.
const PIECE: usize = 16 << 10;

/// A body that arrives through the host.
pub(crate) enum Incoming {
    /// The body of the function's own request.
    Client,
    /// The body of a response to a fetch.
    Fetched(Fetched),
}

impl Incoming {
    /// Reads the next piece, and returns its length: 0 at the end.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize, BodyError> {
        match self {
            _ if buffer.is_empty() => Ok(0),
            Self::Client => {
                // SAFETY: the range is exclusively borrowed for the duration of the call.
                let code = unsafe { body_read(buffer.as_mut_ptr(), buffer.len()) };
                length(code).map_err(incomplete)
            }
            Self::Fetched(fetched) => fetched.read(buffer),
        }
    }

    /// Reads the whole body. The length is `None` if it is unknown.
    pub(crate) fn collect(self, length: Option<u64>) -> Result<Bytes, BodyError> {
        match self {
            Self::Client => collect(length, read_client).map_err(incomplete),
            Self::Fetched(fetched) => fetched.collect(length),
        }
    }
}

/// Makes the error for a read of the client's body that failed with this code.
fn incomplete(code: i32) -> BodyError {
    done(code).map_or(BodyError::Incomplete, BodyError::Done)
}

/// Reads a whole body. If the length is known, the buffer has exactly that size and nothing is read
/// past it. An error is the host's code.
pub(super) fn collect(
    length: Option<u64>,
    read: impl Fn(*mut u8, usize) -> i32,
) -> Result<Bytes, i32> {
    let buffer = length.map_or(PIECE, |length| length.min(ANNOUNCED) as usize);
    let mut body = Vec::with_capacity(buffer);
    while length != Some(body.len() as u64) {
        if body.len() == body.capacity() {
            body.reserve(PIECE);
        }
        if append(&mut body, &read)? == 0 {
            break;
        }
    }
    Ok(body.into())
}

/// Appends the next piece of the client's body to `body`, within its spare capacity, and returns
/// its length: 0 at the end. There must be spare capacity. An error is the host's code.
pub(super) fn append_client(body: &mut Vec<u8>) -> Result<usize, i32> {
    append(body, read_client)
}

/// Reads the next piece of the client's body. `ptr` points to `cap` bytes that may be written.
fn read_client(ptr: *mut u8, cap: usize) -> i32 {
    // SAFETY: `append`, which calls this, passes such a range.
    unsafe { body_read(ptr, cap) }
}

/// [`append_client`] for any body.
fn append(body: &mut Vec<u8>, read: impl Fn(*mut u8, usize) -> i32) -> Result<usize, i32> {
    let buffer = body.spare_capacity_mut();
    let read = length(read(buffer.as_mut_ptr().cast(), buffer.len()))?;
    // SAFETY: the host wrote `read` bytes there, and never more than the length that was passed.
    unsafe { body.set_len(body.len() + read) };
    Ok(read)
}

/// Copies a body piece by piece.
pub(super) fn copy(body: &mut Body, writer: &mut Writer<'_>) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BUFFER];
    while let read @ 1.. = body.read(&mut buffer)? {
        writer.write_all(buffer.get(..read).unwrap_or_default())?;
    }
    Ok(())
}

/// Sends a piece of the response, whose head must be committed, to the client.
pub(super) fn send_client(piece: &[u8]) -> io::Result<usize> {
    // SAFETY: the range is borrowed for the duration of the call, and only read.
    length(unsafe { respond_write(piece.as_ptr(), piece.len()) }).map_err(failed)
}

/// Makes the error for a write that failed with this code from the host.
pub(super) fn failed(code: i32) -> io::Error {
    match done(code) {
        Some(done) => io::Error::other(done),
        None => {
            io::Error::new(io::ErrorKind::ConnectionAborted, "the receiver of the body is gone")
        }
    }
}
