//! The context: queries about it, waits for it, and contexts that a guest
//! derives from it.

use std::borrow::Cow;
use std::time::Duration;

use hourglass_abi::{cause, key, limit};
use wasmtime::Result;

use crate::body::FUNCTION;
use crate::context::Cause;
use crate::guest::memory::{bytes, parts, write_if_fits};
use crate::guest::state::Call;
use crate::guest::state::contexts::Derived;
use crate::guest::{Misuse, code, wire};
use crate::limits::fixed::{HEAD, TEXT, cut};
use crate::propagation::trace::TRACE;

pub(super) fn context_err(mut call: Call<'_>, ctx: u32) -> Result<i32> {
    let run = &mut call.data_mut().run;
    let Some(done) = run.context(ctx)?.err() else { return Ok(code::OK) };
    if let Some(cgi) = &mut run.cgi
        && ctx == 0
    {
        cgi.cut = false;
    }
    Ok(code::done(done))
}

/// The time left in nanoseconds. The maximum, 292 years, stands for any longer
/// time.
pub(super) fn context_remaining(call: Call<'_>, ctx: u32) -> Result<i64> {
    let remaining = call.data().run.context(ctx)?.remaining();
    Ok(remaining.map_or(-1, |left| i64::try_from(left.as_nanos()).unwrap_or(i64::MAX)))
}

pub(super) fn context_cause(mut call: Call<'_>, ctx: u32, ptr: u32, cap: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    match state.run.context(ctx)?.cause() {
        Some(cause) => write_if_fits(memory, ptr, cap, cause.to_string().as_bytes()),
        None => Ok(code::ABSENT),
    }
}

pub(super) fn context_value(
    mut call: Call<'_>,
    ctx: u32,
    name_ptr: u32,
    name_len: u32,
    ptr: u32,
    cap: u32,
) -> Result<i32> {
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

pub(super) fn context_values(mut call: Call<'_>, ctx: u32, ptr: u32, cap: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let trace = state.run.trace().to_string();
    let own = [(FUNCTION, state.capabilities.function.to_string()), (key::TRACEPARENT, trace)];
    let others = state.run.context(ctx)?.values();
    let others = others.filter(|(name, _)| own.iter().all(|(own, _)| own != name));
    write_if_fits(memory, ptr, cap, &wire::pairs(own.clone().into_iter().chain(others)))
}

pub(super) async fn context_sleep(mut call: Call<'_>, (ctx, nanos): (u32, i64)) -> Result<i32> {
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

pub(super) fn context_derive(mut call: Call<'_>, parent: u32, nanos: i64) -> Result<i32> {
    let run = &mut call.data_mut().run;
    let free = run.is_free(parent);
    let parent = run.context(parent)?;
    let (ctx, cancel) = match u64::try_from(nanos) {
        Ok(nanos) => parent.with_timeout(Duration::from_nanos(nanos)),
        Err(_negative) => parent.with_cancel(),
    };
    Ok(run.contexts.derived.add(Derived { ctx, cancel: Some(cancel), free })?)
}

pub(super) fn context_with_value(
    mut call: Call<'_>,
    parent: u32,
    name_ptr: u32,
    name_len: u32,
    value_ptr: u32,
    value_len: u32,
) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let run = &mut state.run;
    let free = run.is_free(parent);
    let parent = run.context(parent)?.clone();
    let (name, value) = (bytes(memory, name_ptr, name_len)?, bytes(memory, value_ptr, value_len)?);
    if name.len() > limit::VALUE_NAME || value.len() > limit::VALUE {
        return Ok(code::INVALID);
    }
    let (Ok(name), Ok(value)) = (str::from_utf8(name), str::from_utf8(value)) else {
        return Ok(code::INVALID);
    };
    match run.contexts.with_value(&parent, name, value)? {
        Ok(ctx) => Ok(run.contexts.derived.add(Derived { ctx, cancel: None, free })?),
        Err(code) => Ok(code),
    }
}

pub(super) fn context_without_cancel(mut call: Call<'_>, parent: u32) -> Result<i32> {
    let state = call.data_mut();
    let Some(dispatcher) = state.capabilities.dispatcher.upgrade() else {
        return Err(Misuse("its runtime is gone".into()).into());
    };
    let parent = state.run.context(parent)?.clone();
    let derived = state.run.contexts.without_cancel(&parent, dispatcher.root());
    Ok(state.run.contexts.derived.add(derived)?)
}

pub(super) fn context_cancel(mut call: Call<'_>, ctx: u32, ptr: u32, len: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let Some(text) = truncated(bytes(memory, ptr, len)?) else { return Ok(code::INVALID) };
    if ctx == 0 {
        return Ok(code::INVALID);
    }
    match &state.run.contexts.derived.get(ctx)?.cancel {
        Some(cancel) => {
            cancel.cancel_with(parse_cause(&text));
            Ok(code::OK)
        }
        None => Ok(code::INVALID),
    }
}

pub(super) fn context_drop(mut call: Call<'_>, ctx: u32) {
    // The guard in the entry cancels a context that can be canceled.
    drop(call.data_mut().run.contexts.derived.remove(ctx));
}

/// A guest's text, truncated to [`TEXT`] bytes; `None` if those bytes are not
/// UTF-8.
fn truncated(text: &[u8]) -> Option<Cow<'_, str>> {
    // The longest text, and a character more, which shows that it is cut.
    let start = text.get(..TEXT + 4).unwrap_or(text);
    let valid = match str::from_utf8(start) {
        Ok(valid) => valid,
        // The cut is inside the last character.
        Err(error) if start.len() < text.len() && error.error_len().is_none() => {
            str::from_utf8(start.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    Some(cut(valid, TEXT))
}

/// Parses a cause that a guest names. A cause that only the host can set
/// becomes a text of the guest.
fn parse_cause(text: &str) -> Cause {
    match text.split_once(": ") {
        Some((cause::LIMIT_EXCEEDED, message)) => Cause::limit_exceeded(message),
        Some((cause::CUSTOM, message)) => Cause::custom(message),
        None if text == cause::CANCELED => Cause::Canceled,
        _ => Cause::custom(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_can_not_speak_for_the_host() {
        for (text, expected) in [
            ("canceled", "canceled"),
            ("limit-exceeded: fuel", "limit-exceeded: fuel"),
            ("custom: enough: two are there", "custom: enough: two are there"),
            ("shutdown", "custom: shutdown"),
            ("operator", "custom: operator"),
            ("client-disconnected", "custom: client-disconnected"),
            ("parent-done", "custom: parent-done"),
            ("", "custom: "),
        ] {
            assert_eq!(parse_cause(text).to_string(), expected);
        }
    }

    #[test]
    fn a_long_cause_is_cut_and_shows_it() {
        assert_eq!(truncated(b"short").as_deref(), Some("short"));
        assert_eq!(truncated(b"\xff"), None);
        for text in ["x".repeat(9_000), "\u{e4}".repeat(1_000), format!("x{}", "ä".repeat(300))] {
            let start = truncated(text.as_bytes()).expect("it is UTF-8");
            let kept = start.strip_suffix('…').expect("it is cut");
            assert!(text.starts_with(kept) && start.len() <= TEXT && kept.len() > TEXT - 7);
        }
        let exact = "x".repeat(TEXT);
        assert_eq!(truncated(exact.as_bytes()).as_deref(), Some(&*exact));
    }
}
