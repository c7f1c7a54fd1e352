//! One invocation: a guest's run, raced against its context.
//!
//! A guest that spins is never inside a host call, and one that waits is never
//! inside Wasm, so the race has two arms, and both end it at the same moment,
//! when the grace after *done* is over:
//!
//! - Every tick the engine's epoch stops a running guest for a moment. Past
//!   its time it is interrupted; before that it yields, so that other
//!   invocations, timers and connections go on beside it.
//! - Beside the call runs a wait for the context and then for the grace. When
//!   it ends first, the call is dropped, and what it waits for with it.
//!
//! The call is polled first: one that ends at once never registers a timer.

mod cpu;

use std::pin::pin;
use std::time::{Duration, Instant};

use wasmtime::{Trap as TrapCode, WasmBacktrace};

use self::cpu::Metered;
use crate::abi::{Exit, State, give_up_at};
use crate::context::{Cause, Context};
use crate::engine::Engine;
use crate::function::Deployed;
use crate::message::{Request, Response};
use crate::outcome::{Outcome, Trap, Usage};

/// Runs `function` once under `ctx`, to whichever end.
///
/// # Cancel safety
/// Dropping the future ends the guest at once, without grace.
pub(crate) async fn run(
    engine: &Engine,
    function: &Deployed,
    ctx: &Context,
    request: Request,
) -> (Result<Response, Outcome>, Usage) {
    let started = Instant::now();
    let _running = engine.ticker.keep_running();
    let (ctx, cancel) = ctx.with_timeout(function.limits.timeout);
    let state = State::new(ctx.clone(), function, request, started);
    let mut instance = match function.check_out(state) {
        Ok(instance) => instance,
        Err(error) => {
            let usage = Usage { wall: started.elapsed(), ..Usage::default() };
            return (Err(not_made(&error)), usage);
        }
    };
    let mut cpu = Duration::ZERO;
    let ended = tokio::select! {
        biased;
        ended = async { Metered::new(pin!(instance.run()), &mut cpu).await } => Some(ended),
        () = overrun(&ctx, function.limits.grace) => None,
    };
    let returned = matches!(ended, Some(Ok(()))) && instance.state().is_ordinary();
    let result = conclude(instance.state(), ended, function);
    // Everything that the guest started ends with it.
    cancel.cancel_with(Cause::ParentDone);
    let peak_memory = instance.state().memory.peak;
    if returned && result.is_ok() {
        function.give_back(instance);
    } else {
        drop(instance);
    }
    (result, Usage { wall: started.elapsed(), cpu, peak_memory })
}

/// Waits until the guest has had its grace.
async fn overrun(ctx: &Context, grace: Duration) {
    ctx.done().await;
    if let Some(at) = give_up_at(ctx, grace) {
        tokio::time::sleep_until(at.into()).await;
    }
}

/// Tells how the guest ended; `None` is one whose call was dropped.
fn conclude(
    state: &mut State,
    ended: Option<wasmtime::Result<()>>,
    function: &Deployed,
) -> Result<Response, Outcome> {
    state.stdio.finish(&function.name);
    let failure = match ended {
        Some(Ok(())) => None,
        Some(Err(error)) => match error.downcast_ref::<Exit>() {
            Some(Exit(0)) => None,
            _ => Some(error),
        },
        None => Some(wasmtime::Error::from(TrapCode::Interrupt)),
    };
    if failure.is_none()
        && let Some(response) = state.response.take()
    {
        return Ok(response);
    }
    // Once the context is done, whatever the guest made of it is how it took
    // the news; and a guest whose request broke off can't be blamed for it.
    if let (Some(done), Some(cause)) = (state.ctx.err(), state.ctx.cause()) {
        return Err(Outcome::Done(done, cause));
    }
    if let Some(outcome) = state.body_failure() {
        return Err(outcome);
    }
    if let Some(reason) = state.malformed.take() {
        return Err(Outcome::BadResponse(reason));
    }
    Err(match failure {
        Some(error) => failed(state, &error, function.limits.memory),
        None => Outcome::BadResponse("it ended without one".into()),
    })
}

fn not_made(error: &wasmtime::Error) -> Outcome {
    match error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>() {
        Some(_) => Outcome::Busy,
        None => Outcome::Host(format!("{error:#}")),
    }
}

fn failed(state: &State, error: &wasmtime::Error, limit: u64) -> Outcome {
    if let Some(Exit(code)) = error.downcast_ref() {
        return Outcome::Exit(*code);
    }
    let Some(code) = error.downcast_ref::<TrapCode>() else {
        return Outcome::Host(format!("{error:#}"));
    };
    // A guest that was refused memory gives up by way of `unreachable`.
    if *code == TrapCode::UnreachableCodeReached && state.memory.refused {
        return Outcome::OutOfMemory { limit };
    }
    Outcome::Trap(Trap {
        reason: code.to_string(),
        backtrace: backtrace(error),
        stderr: state.stdio.tail(),
    })
}

fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let frames = backtrace.frames().iter();
    frames
        .filter_map(|frame| frame.func_name())
        .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
        .collect()
}
