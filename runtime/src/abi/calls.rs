//! Calls of other functions, as a guest makes them and waits for them.
//!
//! A callee runs under a child of the context that the guest names, so it ends
//! with that, and with its caller at the latest. A call that is waited for
//! begins on the caller's thread, in the middle of its host call: most end
//! there, and cost the guest no other call of the host. One that does not is a
//! task from then on, and any other is one from the start.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use http::Request;
use wasmtime::Linker;

use super::memory::{bytes, parts, range, write_answer};
use super::pending::{MOST, Pending};
use super::reach::Caller;
use super::state::{Call, State};
use super::{MODULE, code, wire};
use crate::bounds::{self, NAME};
use crate::context::Cause;
use crate::error::InvokeError;
use crate::message::Body;
use crate::outcome::Outcome;

/// What describes a call: the context, and where the callee's name, the
/// request's head and its body are, each with its length.
type Words = (u32, u32, u32, u32, u32, u32, u32);

pub(super) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker
        .func_wrap(MODULE, "call", call)?
        .func_wrap(MODULE, "call_start", start)?
        .func_wrap_async(MODULE, "call_wait", |call: Call<'_>, (ctx, ptr, count)| {
            Box::new(wait(call, ctx, ptr, count))
        })?
        .func_wrap(MODULE, "call_result", result)?
        .func_wrap(MODULE, "call_drop", |mut call: Call<'_>, handle: u32| {
            if let Some(pending) = call.data_mut().run.calls.remove(handle) {
                pending.cancel(Cause::Canceled);
            }
        })?
        .func_wrap(MODULE, "call_detach", |mut call: Call<'_>, handle: u32| {
            call.data_mut().run.calls.detach(handle);
        })?;
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "the ABI's functions take numbers, one by one")]
fn call(
    mut call: Call<'_>,
    ctx: u32,
    name_ptr: u32,
    name_len: u32,
    head_ptr: u32,
    head_len: u32,
    body_ptr: u32,
    body_len: u32,
    ptr: u32,
    cap: u32,
) -> wasmtime::Result<i64> {
    let words = (ctx, name_ptr, name_len, head_ptr, head_len, body_ptr, body_len);
    let Some(mut pending) = begin(&mut call, words)? else { return Ok(code::INVALID.into()) };
    let (memory, state) = parts(&mut call)?;
    // Nobody is woken by it: one that has to wait becomes a task here, and is
    // looked at again by whoever waits for that.
    let mut nobody = TaskContext::from_waker(Waker::noop());
    if pending.poll(&mut nobody, &state.reach).is_ready() {
        state.run.lent += pending.cpu();
        if let Some(ended) = pending.ended()
            && let (len, true) = write_answer(memory, ptr, cap, &wire::Answer::new(ended))?
        {
            return Ok(len.into());
        }
    }
    Ok(i64::from(state.run.calls.add(pending)?) << 32)
}

#[allow(clippy::too_many_arguments, reason = "the ABI's functions take numbers, one by one")]
fn start(
    mut call: Call<'_>,
    ctx: u32,
    name_ptr: u32,
    name_len: u32,
    head_ptr: u32,
    head_len: u32,
    body_ptr: u32,
    body_len: u32,
) -> wasmtime::Result<i32> {
    let words = (ctx, name_ptr, name_len, head_ptr, head_len, body_ptr, body_len);
    let Some(mut pending) = begin(&mut call, words)? else { return Ok(code::INVALID) };
    let state = call.data_mut();
    pending.spawn(&state.reach);
    Ok(state.run.calls.add(pending)?)
}

/// Lets a call in, or has it refused; `None` where its words make no sense, or
/// its name or its head is too long to be looked at.
fn begin(call: &mut Call<'_>, words: Words) -> wasmtime::Result<Option<Pending>> {
    let (ctx, name_ptr, name_len, head_ptr, head_len, body_ptr, body_len) = words;
    let (memory, state) = parts(call)?;
    let name = bytes(memory, name_ptr, name_len)?;
    if name.len() > NAME {
        return Ok(None);
    }
    let Ok(name) = str::from_utf8(name) else { return Ok(None) };
    let Some(request) = wire::read_request(bytes(memory, head_ptr, head_len)?) else {
        return Ok(None);
    };
    let body = bytes(memory, body_ptr, body_len)?;
    admit(state, ctx, name, (request, head_len), body).map(Some)
}

fn admit(
    state: &mut State,
    ctx: u32,
    name: &str,
    (request, head_len): (Request<()>, u32),
    body: &[u8],
) -> wasmtime::Result<Pending> {
    let (reach, run) = (&state.reach, &mut state.run);
    let room = run.calls.room(state.memory.limit);
    let known = reach.callee(name);
    let callee = || known.map_or_else(|| name.into(), Arc::clone);
    let refused = |outcome| {
        let error = InvokeError::refused(callee(), outcome);
        Ok(Pending::refused(callee(), room.clone(), &error))
    };
    if run.calls.made >= reach.max_calls {
        return refused(Outcome::CallsExceeded { limit: reach.max_calls });
    }
    run.calls.made += 1;
    if known.is_none() {
        return refused(Outcome::Forbidden);
    }
    let Some(callees) = reach.callees.upgrade() else { return refused(Outcome::Draining) };
    // Held until the callee has ended.
    let head = room.take(u64::from(head_len) + bounds::entries(request.headers()));
    let (Some(head), Some(body)) = (head, room.copy(body)) else {
        return refused(Outcome::BodyTooLarge { limit: room.limit });
    };
    let request = request.map(|()| Body::from(body));
    let (trace, tree, held) = (run.trace(), run.tree(), room.clone());
    let caller = Caller { id: run.id, depth: run.depth, trace, tree, room: held, head };
    let free = run.is_free(ctx);
    Ok(match callees.call(caller, run.context(ctx)?, name, request) {
        Ok(called) => Pending::new(called, room, free),
        Err(error) => Pending::refused(callee(), room, &error),
    })
}

async fn wait(mut call: Call<'_>, ctx: u32, ptr: u32, count: u32) -> wasmtime::Result<i32> {
    if count == 0 || count as usize > MOST {
        return Ok(code::INVALID);
    }
    let (memory, state) = parts(&mut call)?;
    let (words, _) = range(memory, ptr, count * 4)?.as_chunks();
    let list: Vec<_> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    for handle in &list {
        state.run.known(*handle)?;
    }
    state.flush().await;
    let (ctx, reach) = (state.run.context(ctx)?.clone(), state.reach.clone());
    let run = &mut state.run;
    let first = poll_fn(|cx| {
        let ready = list.iter().position(|handle| run.poll_one(*handle, cx, &reach).is_ready());
        ready.map_or(Poll::Pending, Poll::Ready)
    });
    Ok(tokio::select! {
        biased;
        place = first => place as i32,
        done = ctx.done() => code::done(done),
    })
}

fn result(mut call: Call<'_>, handle: u32, ptr: u32, cap: u32) -> wasmtime::Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let Some(ended) = state.run.calls.get(handle)?.ended() else { return Ok(code::INVALID) };
    let (len, taken) = write_answer(memory, ptr, cap, &wire::Answer::new(ended))?;
    if taken {
        state.run.calls.remove(handle);
    }
    Ok(len)
}
