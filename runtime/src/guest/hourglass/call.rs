//! Calls of other functions: how a guest starts them and waits for them.
//!
//! A callee runs under a child of the context that the guest names, so it ends
//! when that context is done, and with its caller at the latest. A call that
//! the guest waits for starts on the caller's thread, inside its host call.
//! Most calls end there, and need no further host call. A call that does not
//! becomes a task. A call that the guest does not wait for is a task from the
//! start.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use bytes::Bytes;
use http::Request;
use wasmtime::Result;

use crate::body::Body;
use crate::context::Cause;
use crate::error::InvokeError;
use crate::guest::capabilities::{CallerInfo, Capabilities};
use crate::guest::memory::{self, Written, bytes, parts, range, write_answer};
use crate::guest::state::calls::Pending;
use crate::guest::state::handles::Resource;
use crate::guest::state::{Call, State};
use crate::guest::{code, wire};
use crate::limits::bytes::{ByteBudget, Reservation};
use crate::limits::fixed::{self, NAME};
use crate::outcome::Outcome;

/// The arguments of a call: the context, then pointer and length of the
/// callee's name, of the request's head and of its body.
type StartArgs = (u32, u32, u32, u32, u32, u32, u32);

/// The same, then pointer and length of the buffer for the answer.
type CallArgs = (u32, u32, u32, u32, u32, u32, u32, u32, u32);

pub(super) async fn call(mut call: Call<'_>, args: CallArgs) -> Result<i64> {
    let (ctx, name_ptr, name_len, head_ptr, head_len, body_ptr, body_len, ptr, cap) = args;
    let args = (ctx, name_ptr, name_len, head_ptr, head_len, body_ptr, body_len);
    let Some(mut pending) = begin(&mut call, args, Target::Function).await? else {
        return Ok(code::INVALID.into());
    };
    if let Some(mut written) = answer_at_once(&mut call, &mut pending, ptr, cap)? {
        written.finish(&mut call).await?;
        return Ok(written.len.into());
    }
    Ok(i64::from(call.data_mut().run.calls.open.add(pending)?) << 32)
}

/// Writes the result of a call that ends at its first poll, if it fits into the
/// buffer that the guest provided.
fn answer_at_once(
    call: &mut Call<'_>,
    pending: &mut Pending,
    ptr: u32,
    cap: u32,
) -> Result<Option<Written>> {
    let (memory, state) = parts(call)?;
    // The waker does nothing. A call that has to wait becomes a task here, and
    // the wait for that task polls it again.
    let mut no_waker = TaskContext::from_waker(Waker::noop());
    if pending.poll(&mut no_waker, &state.capabilities).is_pending() {
        return Ok(None);
    }
    state.run.callee_cpu += pending.cpu();
    let Some(ended) = &pending.ended else { return Ok(None) };
    let written = write_answer(memory, ptr, cap, &wire::Answer::new(ended))?;
    Ok(written.fits.then_some(written))
}

pub(super) async fn call_start(mut call: Call<'_>, args: StartArgs) -> Result<i32> {
    let Some(mut pending) = begin(&mut call, args, Target::Function).await? else {
        return Ok(code::INVALID);
    };
    let state = call.data_mut();
    pending.spawn(&state.capabilities);
    Ok(state.run.calls.open.add(pending)?)
}

/// Submits a job. Its handle is that of a call whose response is the job's id.
pub(super) async fn enqueue(mut call: Call<'_>, args: StartArgs) -> Result<i32> {
    let Some(mut pending) = begin(&mut call, args, Target::Queue).await? else {
        return Ok(code::INVALID);
    };
    let state = call.data_mut();
    pending.spawn(&state.capabilities);
    Ok(state.run.calls.open.add(pending)?)
}

/// What answers a call.
#[derive(Clone, Copy)]
enum Target {
    /// The function.
    Function,
    /// The queue, which runs the function later.
    Queue,
}

/// A call that starts once its body is copied.
struct Admitted {
    callee: Arc<str>,
    request: Request<()>,
    budget: Arc<ByteBudget>,
    /// The reservation for its head.
    head: Reservation,
}

/// Starts or refuses a call; `None` if its arguments are invalid, or if its
/// name or its head is too long to be read.
async fn begin(call: &mut Call<'_>, args: StartArgs, target: Target) -> Result<Option<Pending>> {
    let (ctx, .., body_ptr, body_len) = args;
    let (admitted, reservation) = match admit(call, args)? {
        Ok(admitted) => admitted,
        Err(refused) => return Ok(refused),
    };
    let body = memory::copy(call, body_ptr, body_len, Some(reservation)).await?;
    dispatch(call, (ctx, target), admitted, body).map(Some)
}

/// Admits a call, and reserves the bytes of its body.
///
/// # Errors
/// A trap, or what [`begin`] returns for a call that is not admitted.
fn admit(
    call: &mut Call<'_>,
    args: StartArgs,
) -> Result<Result<(Admitted, Reservation), Option<Pending>>> {
    let (_, name_ptr, name_len, head_ptr, head_len, body_ptr, body_len) = args;
    let (memory, state) = parts(call)?;
    let name = bytes(memory, name_ptr, name_len)?;
    if name.len() > NAME {
        return Ok(Err(None));
    }
    let Ok(name) = str::from_utf8(name) else { return Ok(Err(None)) };
    let Some(request) = wire::read_request(bytes(memory, head_ptr, head_len)?) else {
        return Ok(Err(None));
    };
    bytes(memory, body_ptr, body_len)?;
    let budget = state.run.calls.budget(state.memory.limit);
    let known = state.capabilities.calls.iter().find(|allowed| ***allowed == *name);
    let callee = known.map_or_else(|| name.into(), Arc::clone);
    let head_len = u64::from(head_len) + fixed::entries(request.headers());
    Ok(match reserve(state, known.is_some(), &budget, (head_len, body_len.into())) {
        Ok((head, body)) => Ok((Admitted { callee, request, budget, head }, body)),
        Err(outcome) => {
            if let Some(dispatcher) = state.capabilities.dispatcher.upgrade() {
                dispatcher.refused(&outcome);
            }
            let error = InvokeError::refused(callee.clone(), outcome);
            Err(Some(Pending::refused(callee, budget, &error)))
        }
    })
}

/// Hands an admitted call to the dispatcher.
fn dispatch(
    call: &mut Call<'_>,
    (ctx, target): (u32, Target),
    admitted: Admitted,
    body: Bytes,
) -> Result<Pending> {
    let Admitted { callee, request, budget, head } = admitted;
    let Capabilities { dispatcher, .. } = &*call.data().capabilities;
    let Some(dispatcher) = dispatcher.upgrade() else {
        let error = InvokeError::refused(callee.clone(), Outcome::Draining);
        return Ok(Pending::refused(callee, budget, &error));
    };
    let run = &mut call.data_mut().run;
    let (trace, tree, held) = (run.trace(), run.tree(), budget.clone());
    let spans = run.spans.buffer().cloned();
    let (id, depth) = (run.id, run.depth);
    let caller = CallerInfo { id, depth, trace, tree, spans, budget: held, head };
    let (free, request) = (run.is_free(ctx), request.map(|()| Body::from(body)));
    let ctx = run.context(ctx)?;
    let started = match target {
        Target::Function => dispatcher.call(caller, ctx, &callee, request),
        Target::Queue => dispatcher.enqueue(caller, ctx, &callee, request),
    };
    Ok(match started {
        Ok(called) => Pending::new(called, budget, free),
        Err(error) => Pending::refused(callee, budget, &error),
    })
}

/// Counts a call, and reserves the bytes of its head and its body. They are
/// held until the callee has ended.
///
/// # Errors
/// The call is refused.
fn reserve(
    state: &mut State,
    is_known: bool,
    budget: &Arc<ByteBudget>,
    (head, body): (u64, u64),
) -> Result<(Reservation, Reservation), Outcome> {
    let (limit, calls) = (state.capabilities.limits.max_calls, &mut state.run.calls);
    if calls.made >= limit {
        return Err(Outcome::CallsExceeded { limit });
    }
    calls.made += 1;
    if !is_known {
        return Err(Outcome::Forbidden);
    }
    let limit = budget.limit;
    match (budget.reserve(head), budget.reserve(body)) {
        (Some(head), Some(body)) => Ok((head, body)),
        _ if body > limit => Err(Outcome::BodyTooLarge { limit }),
        _ => Err(Outcome::BadRequest(format!(
            "with its head it does not fit beside the caller's other calls, which share {limit} \
             bytes, its memory limit; make fewer calls at once"
        ))),
    }
}

pub(super) async fn call_wait(
    mut call: Call<'_>,
    (ctx, ptr, count): (u32, u32, u32),
) -> Result<i32> {
    if count == 0 || count as usize > Pending::MAX {
        return Ok(code::INVALID);
    }
    let (memory, state) = parts(&mut call)?;
    let (words, _) = range(memory, ptr, count * 4)?.as_chunks();
    let list: Vec<_> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    for handle in &list {
        state.run.check(*handle)?;
    }
    state.flush().await;
    let (ctx, capabilities) = (state.run.context(ctx)?.clone(), state.capabilities.clone());
    let run = &mut state.run;
    let first = poll_fn(|cx| {
        let ready = list.iter().position(|handle| run.poll(*handle, cx, &capabilities).is_ready());
        ready.map_or(Poll::Pending, Poll::Ready)
    });
    Ok(tokio::select! {
        biased;
        place = first => place as i32,
        done = ctx.done() => code::done(done),
    })
}

pub(super) async fn call_result(
    mut call: Call<'_>,
    (handle, ptr, cap): (u32, u32, u32),
) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let Some(ended) = &state.run.calls.open.get(handle)?.ended else { return Ok(code::INVALID) };
    let mut written = write_answer(memory, ptr, cap, &wire::Answer::new(ended))?;
    written.finish(&mut call).await?;
    if written.fits {
        call.data_mut().run.calls.open.remove(handle);
    }
    Ok(written.len)
}

pub(super) fn call_drop(mut call: Call<'_>, handle: u32) {
    if let Some(pending) = call.data_mut().run.calls.open.remove(handle) {
        pending.cancel(Cause::Canceled);
    }
}

pub(super) fn call_detach(mut call: Call<'_>, handle: u32) {
    call.data_mut().run.calls.detach(handle);
}
