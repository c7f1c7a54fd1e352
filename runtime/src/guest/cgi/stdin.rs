//! Standard input: the request's body, as it arrives.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use wasmtime::Result;

use crate::guest::code;
use crate::guest::memory::{self, bytes, parts, write};
use crate::guest::state::run::Run;
use crate::guest::state::{Call, State};
use crate::guest::turn::PIECE;
use crate::guest::wasi::errno::{IO, SUCCESS};
use crate::guest::wasi::files;

pub(crate) async fn fd_read(
    mut call: Call<'_>,
    (fd, list, count, read): (u32, u32, u32, u32),
) -> Result<i32> {
    if fd != 0 {
        // Other descriptors work as for every other guest.
        return files::answer(files::fd_read(call, (fd, list, count, read)).await);
    }
    let (memory, state) = parts(&mut call)?;
    // Only the first range that is not empty: programs handle reads that return
    // less than they asked for.
    let first =
        memory::ranges(memory, (list, count), u32::MAX).find(|range| !matches!(range, Ok((_, 0))));
    let (ptr, cap) = first.unwrap_or(Ok((0, 0)))?;
    // Checked before the wait, so that a bad range traps in every case.
    bytes(memory, ptr, cap)?;
    let ended = if cap == 0 { Ok(()) } else { fill(state).await };
    let (memory, state) = parts(&mut call)?;
    let Run { body, cgi, .. } = &mut state.run;
    match ended {
        Ok(()) => {}
        Err(code::BODY_FAILED) => return Ok(IO),
        // An end of input, so that a loop which reads to the end terminates.
        Err(_done) => cgi.get_or_insert_default().cut = true,
    }
    let len = body.piece.len().min(cap as usize).min(PIECE);
    let piece = body.piece.split_to(len);
    write(memory, ptr, &piece)?;
    write(memory, read, &(len as u32).to_le_bytes())?;
    Ok(SUCCESS)
}

/// Waits for the next piece. Forwards the output before it waits.
async fn fill(state: &mut State) -> Result<(), i32> {
    let Run { body, ctx, .. } = &state.run;
    if body.piece.is_empty() && body.body.is_empty() {
        // The end is known before its source reports it, which may take a
        // moment.
        return Ok(());
    }
    let ctx = ctx.clone();
    let at_once = {
        let mut filling = pin!(state.run.body.fill(&ctx));
        poll_fn(|cx| Poll::Ready(filling.as_mut().poll(cx))).await
    };
    match at_once {
        Poll::Ready(filled) => filled,
        Poll::Pending => {
            state.flush().await;
            state.run.body.fill(&ctx).await
        }
    }
}
