//! Standard input is the request's body, as it arrives. Standard output is the
//! response, with or without a head.
//!
//! Output is held back until the guest is about to wait, has printed much, or
//! prints something a while after the first of it. A short program is therefore
//! answered in one go, with the status of its failure if it fails. A long one
//! streams, no faster than its client reads.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use wasmtime::Result;

use super::head::{self, HeadEnd, LONGEST, Search};
use crate::guest::code;
use crate::guest::memory::{self, PIECE, bytes, parts, write};
use crate::guest::state::response::{Allowance, Outgoing};
use crate::guest::state::run::Run;
use crate::guest::state::{Call, State};
use crate::guest::wasi::errno::{IO, PIPE, SUCCESS};
use crate::guest::wasi::{self, MAX_WRITE, files};

/// The most bytes held back.
const HELD: usize = 16 << 10;

/// How long output is held back while the guest continues to print.
const WHILE: Duration = Duration::from_millis(10);

/// Output that is not forwarded yet.
#[derive(Default)]
pub(crate) struct Stdout {
    held: BytesMut,
    /// The time of the first output in `held`.
    since: Option<Instant>,
    /// The search for the end of the head.
    search: Search,
    /// Whether output could not be forwarded or is not a valid response. Later
    /// output is discarded.
    broken: bool,
}

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

/// Waits for the next piece of the body. Forwards the output before it waits.
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

pub(crate) async fn fd_write(
    mut call: Call<'_>,
    (fd, list, count, written): (u32, u32, u32, u32),
) -> Result<i32> {
    if fd != 1 {
        return wasi::fd_write(call, fd, list, count, written);
    }
    let (memory, state) = parts(&mut call)?;
    let Some(cgi) = &mut state.run.cgi else { return Ok(PIPE) };
    let mut total = 0;
    for range in memory::ranges(memory, (list, count), MAX_WRITE) {
        let (ptr, len) = range?;
        let bytes = bytes(memory, ptr, len)?;
        if !cgi.stdout.broken {
            cgi.stdout.held.extend_from_slice(bytes);
        }
        total += len;
    }
    print(state).await;
    let (memory, state) = parts(&mut call)?;
    if state.run.cgi.as_ref().is_none_or(|cgi| cgi.stdout.broken) {
        return Ok(PIPE);
    }
    write(memory, written, &total.to_le_bytes())?;
    Ok(SUCCESS)
}

/// Forwards the output that is due.
async fn print(state: &mut State) {
    find(&mut state.run, false);
    let Some(cgi) = &mut state.run.cgi else { return };
    let Stdout { held, since, .. } = &mut cgi.stdout;
    let since = since.get_or_insert_with(Instant::now);
    if held.len() > HELD || since.elapsed() >= WHILE {
        flush(state).await;
    }
}

/// Forwards the output, if its head is complete.
pub(crate) async fn flush(state: &mut State) {
    let (most, kept) = (state.capabilities.limits.response_body, state.memory.limit);
    let Run { ctx, cgi, response, outgoing, sender, overflow, .. } = &mut state.run;
    let (Some(cgi), Some(response)) = (cgi, response) else { return };
    let Stdout { held, since, broken, .. } = &mut cgi.stdout;
    if *broken {
        return;
    }
    if let Outgoing::None = outgoing {
        *outgoing = Outgoing::begin(sender.take(), response, most, kept);
    }
    *since = None;
    if !held.is_empty() {
        *broken = outgoing.write(ctx, held.split().freeze(), overflow).await.is_err();
    }
}

/// Completes the response at the end of the output.
pub(crate) async fn finish(state: &mut State) {
    find(&mut state.run, true);
    if let Outgoing::None = state.run.outgoing {
        let mut allowance = Allowance::new(state.capabilities.limits.response_body);
        let Run { cgi: Some(cgi), response, overflow, .. } = &mut state.run else { return };
        let Some(head) = response else { return };
        let body = cgi.stdout.held.split().freeze();
        match allowance.take(body.len()) {
            Ok(()) => *head.body_mut() = body.into(),
            Err(outcome) => {
                *response = None;
                overflow.get_or_insert(outcome);
            }
        }
        return;
    }
    flush(state).await;
    let Run { cgi, response, malformed, .. } = &mut state.run;
    if cgi.as_ref().is_some_and(|cgi| cgi.stdout.broken) {
        *response = None;
        malformed.get_or_insert_with(|| "not all of it was accepted".into());
    }
}

/// Searches the output so far for the end of the head.
fn find(run: &mut Run, is_all: bool) {
    let Run { cgi: Some(cgi), response, malformed, .. } = run else { return };
    let Stdout { held, search, broken, .. } = &mut cgi.stdout;
    if response.is_some() || *broken {
        return;
    }
    let read = match search.find(held) {
        HeadEnd::Nothing if !is_all => return,
        HeadEnd::Nothing if held.is_empty() => {
            Err("it ended without a word on its standard output".into())
        }
        HeadEnd::Nothing | HeadEnd::Body => Ok(head::of_bare_body(held)),
        HeadEnd::Head(len) => head::read(&held.split_to(len)),
        HeadEnd::Endless => Err(format!("its head is longer than {LONGEST} bytes")),
    };
    match read {
        Ok(head) => *response = Some(head),
        Err(reason) => {
            *malformed = Some(reason);
            (*broken, *held) = (true, BytesMut::new());
        }
    }
}
