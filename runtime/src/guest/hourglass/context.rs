//! The context: queries about it, and waits for it.

use std::time::Duration;

use hourglass_abi::key;
use wasmtime::Linker;

use crate::body::FUNCTION;
use crate::guest::memory::{bytes, parts, write_if_fits};
use crate::guest::state::{Call, State};
use crate::guest::{MODULE, code, wire};
use crate::limits::fixed::HEAD;
use crate::propagation::trace::TRACE;

pub(crate) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(
        linker, MODULE:
        context_err, context_remaining, context_cause, context_value, context_values;
        async context_sleep
    );
    Ok(())
}

fn context_err(mut call: Call<'_>, ctx: u32) -> wasmtime::Result<i32> {
    let run = &mut call.data_mut().run;
    let Some(done) = run.context(ctx)?.err() else { return Ok(code::OK) };
    if let Some(cgi) = &mut run.cgi
        && ctx == 0
    {
        cgi.knows();
    }
    Ok(code::done(done))
}

/// The time left in nanoseconds. The maximum, 292 years, stands for any longer
/// time.
fn context_remaining(call: Call<'_>, ctx: u32) -> wasmtime::Result<i64> {
    let remaining = call.data().run.context(ctx)?.remaining();
    Ok(remaining.map_or(-1, |left| i64::try_from(left.as_nanos()).unwrap_or(i64::MAX)))
}

fn context_cause(mut call: Call<'_>, ctx: u32, ptr: u32, cap: u32) -> wasmtime::Result<i32> {
    let (memory, state) = parts(&mut call)?;
    match state.run.context(ctx)?.cause() {
        Some(cause) => write_if_fits(memory, ptr, cap, cause.to_string().as_bytes()),
        None => Ok(code::ABSENT),
    }
}

fn context_value(
    mut call: Call<'_>,
    ctx: u32,
    name_ptr: u32,
    name_len: u32,
    ptr: u32,
    cap: u32,
) -> wasmtime::Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let name = bytes(memory, name_ptr, name_len)?;
    if name.len() > HEAD {
        return Ok(code::ABSENT);
    }
    let Ok(name) = str::from_utf8(name) else { return Ok(code::INVALID) };
    let found = match name {
        FUNCTION => Some(state.capabilities.function.to_string()),
        name if name == TRACE.name() => Some(state.run.trace().to_string()),
        name => state.run.context(ctx)?.value_text(name),
    };
    match found {
        Some(text) => write_if_fits(memory, ptr, cap, text.as_bytes()),
        None => Ok(code::ABSENT),
    }
}

fn context_values(mut call: Call<'_>, ctx: u32, ptr: u32, cap: u32) -> wasmtime::Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let trace = state.run.trace().to_string();
    let own = [(FUNCTION, state.capabilities.function.to_string()), (key::TRACEPARENT, trace)];
    let others = state.run.context(ctx)?.values();
    let others = others.filter(|(name, _)| own.iter().all(|(own, _)| own != name));
    write_if_fits(memory, ptr, cap, &wire::pairs(own.clone().into_iter().chain(others)))
}

async fn context_sleep(mut call: Call<'_>, (ctx, nanos): (u32, i64)) -> wasmtime::Result<i32> {
    let ctx = call.data().run.context(ctx)?.clone();
    call.data_mut().flush().await;
    Ok(match u64::try_from(nanos) {
        Ok(nanos) => tokio::select! {
            biased;
            done = ctx.done() => code::done(done),
            () = tokio::time::sleep(Duration::from_nanos(nanos)) => code::OK,
        },
        Err(_negative) => code::done(ctx.done().await),
    })
}
