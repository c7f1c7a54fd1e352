//! The exchange: a guest reads the request and writes the response.

use std::future::ready;

use bytes::Bytes;
use wasmtime::Result;

use crate::body::{Body, Response};
use crate::context::Context;
use crate::guest::memory::{self, bytes, parts, range};
use crate::guest::state::response::{Allowance, Outgoing, PIECE};
use crate::guest::state::run::{Incoming, Run};
use crate::guest::state::{Call, HostFuture};
use crate::guest::{code, wire};
use crate::outcome::Outcome;

/// The functions of the exchange. A guest that imports none of them receives
/// its request and sends its response as a CGI program: see
/// [`crate::guest::cgi`].
pub(crate) const FUNCTIONS: [&str; 5] =
    ["request", "respond", "respond_begin", "respond_write", "body_read"];

pub(super) fn request(mut call: Call<'_>, ptr: u32, cap: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let len = wire::request_len(&state.run.head);
    if let Ok(len) = u32::try_from(len)
        && len <= cap
    {
        let room = range(memory, ptr, len)?;
        wire::write_request(room, &state.run.head, state.run.body.body.len());
    }
    // The front bounds heads far below this; a longer head is truncated here.
    Ok(i32::try_from(len).unwrap_or(i32::MAX))
}

/// Takes a whole response. Nearly every invocation calls it once, so a short
/// response must not pay for the state of a long copy.
pub(super) fn respond(mut call: Call<'_>, args: (u32, u32, u32, u32)) -> HostFuture<'_, i32> {
    let (head_ptr, head_len, body_ptr, body_len) = args;
    let mut response = match read_whole(&mut call, (head_ptr, head_len), (body_ptr, body_len)) {
        Ok(Ok(response)) => response,
        Ok(Err(code)) => return Box::new(ready(Ok(code))),
        Err(trap) => return Box::new(ready(Err(trap))),
    };
    if memory::is_short(body_len) {
        call.data_mut().run.response = Some(response);
        return Box::new(ready(Ok(code::OK)));
    }
    Box::new(async move {
        *response.body_mut() = memory::copy(&mut call, body_ptr, body_len, None).await?.into();
        call.data_mut().run.response = Some(response);
        Ok(code::OK)
    })
}

/// Reads a response, and its body if that is short.
///
/// # Errors
/// A trap, or the code that the guest receives.
fn read_whole(
    call: &mut Call<'_>,
    (head_ptr, head_len): (u32, u32),
    (body_ptr, body_len): (u32, u32),
) -> Result<Result<Response, i32>> {
    let (memory, state) = parts(call)?;
    if let Err(outcome) =
        Allowance::new(state.capabilities.limits.response_body).take(body_len as usize)
    {
        state.run.overflow.get_or_insert(outcome);
        return Ok(Err(code::BODY_FAILED));
    }
    let Some(mut response) = read_head(memory, &mut state.run, head_ptr, head_len)? else {
        return Ok(Err(code::INVALID));
    };
    let body = bytes(memory, body_ptr, body_len)?;
    if memory::is_short(body_len) {
        *response.body_mut() = memory::copy_short(body, None).into();
    }
    Ok(Ok(response))
}

/// Parses the guest's response head, without a body; `None` if the guest has
/// sent one before, or if it is malformed.
fn read_head(memory: &mut [u8], run: &mut Run, ptr: u32, len: u32) -> Result<Option<Response>> {
    if run.response.is_some() || run.malformed.is_some() {
        return Ok(None);
    }
    Ok(match wire::read_response(bytes(memory, ptr, len)?) {
        Ok((status, headers)) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Some(response)
        }
        Err(reason) => {
            run.malformed = Some(reason);
            None
        }
    })
}

pub(super) fn respond_begin(mut call: Call<'_>, head_ptr: u32, head_len: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let Some(response) = read_head(memory, &mut state.run, head_ptr, head_len)? else {
        return Ok(code::INVALID);
    };
    let sender = state.run.sender.take();
    let (most, held) = (state.capabilities.limits.response_body, state.memory.limit);
    state.run.outgoing = Outgoing::begin(sender, &response, most, held);
    state.run.response = Some(response);
    Ok(code::OK)
}

pub(super) async fn respond_write(mut call: Call<'_>, (ptr, len): (u32, u32)) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let len = len.min(PIECE);
    let piece = Bytes::copy_from_slice(range(memory, ptr, len)?);
    let Run { ctx, outgoing, overflow, .. } = &mut state.run;
    let written = outgoing.write(ctx, piece, overflow).await;
    Ok(written.map_or_else(|code| code, |()| len as i32))
}

pub(super) async fn body_read(mut call: Call<'_>, (ptr, cap): (u32, u32)) -> Result<i32> {
    // Checked before the wait, so that a bad range traps in every case.
    let (memory, state) = parts(&mut call)?;
    range(memory, ptr, cap)?;
    if cap == 0 {
        return Ok(code::INVALID);
    }
    let ctx = state.run.ctx.clone();
    if let Err(code) = state.run.body.fill(&ctx).await {
        return Ok(code);
    }
    let (memory, state) = parts(&mut call)?;
    // A whole body may have arrived as one piece. The guest calls again for the
    // rest.
    let len = state.run.body.piece.len().min(cap as usize).min(memory::PIECE);
    let piece = state.run.body.piece.split_to(len);
    range(memory, ptr, len as u32)?.copy_from_slice(&piece);
    Ok(len as i32)
}

impl Incoming {
    /// Waits for a piece. It stays empty at the end of the body.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// The code for the guest: the context is done, or the body failed.
    pub(crate) async fn fill(&mut self, ctx: &Context) -> Result<(), i32> {
        if self.failure.is_some() {
            return Err(code::BODY_FAILED);
        }
        if !self.piece.is_empty() {
            return Ok(());
        }
        let next = tokio::select! {
            biased;
            next = self.body.next() => next,
            done = ctx.done() => return Err(code::done(done)),
        };
        match next {
            None => Ok(()),
            Some(Ok(piece)) => match self.left.checked_sub(piece.len() as u64) {
                Some(left) => {
                    (self.left, self.piece) = (left, piece);
                    Ok(())
                }
                None => Err(self.fail(Outcome::BodyTooLarge { limit: self.limit })),
            },
            Some(Err(error)) => Err(self.fail(Outcome::BadRequest(error.to_string()))),
        }
    }

    fn fail(&mut self, outcome: Outcome) -> i32 {
        self.failure = Some(outcome);
        self.body = Body::empty();
        code::BODY_FAILED
    }
}
