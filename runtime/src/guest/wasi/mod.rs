//! The few calls of WASI that every guest makes, implemented at next to no
//! cost.
//!
//! `wasmtime-wasi` implements the rest. Its calls pass through async machinery
//! that would cost a short invocation more than the invocation itself. Files
//! are read in [`files`], so for a write every descriptor but the standard ones
//! is a bad one.
//!
//! Standard input is empty: a request's body is read through the context ABI.
//! For guests that do not use that, see [`super::cgi`].

pub(crate) mod errno;
pub(crate) mod files;
pub(crate) mod folder;

use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;
use rustix::rand::GetRandomFlags;
use wasmtime::{Linker, Result};

use self::errno::{BADF, INTR, INVAL, IO, SUCCESS};
use super::memory::{self, Turn, bytes, parts, range, write};
use super::state::output::Sink;
use super::state::{Call, State};

pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// The random bytes made between two checks of the context. The kernel makes
/// some 300 MB per second.
const RANDOM: u32 = 32 << 10;

/// The most lines that one write logs. The guest then writes the rest again.
const MAX_LINES: usize = 64;

/// The most bytes that one write takes.
pub(crate) const MAX_WRITE: u32 = 64 << 10;

/// The most subscriptions of one poll.
const MAX_SUBSCRIPTIONS: u32 = 64;

/// A guest ended its run with `proc_exit`.
#[derive(Debug, thiserror::Error)]
#[error("exit with code {0}")]
pub(crate) struct Exit(pub(crate) i32);

impl Exit {
    /// Whether a run ended successfully: it returned, or exited with code 0.
    pub(crate) fn is_success(ended: &Result<()>) -> bool {
        match ended {
            Ok(()) => true,
            Err(error) => matches!(error.downcast_ref(), Some(Self(0))),
        }
    }
}

pub(crate) fn add_to(linker: &mut Linker<State>) -> Result<()> {
    define!(
        linker, MODULE:
        self {
            args_sizes_get, args_get, environ_sizes_get, environ_get, clock_time_get, fd_write,
            proc_exit
        } { random_get, poll_oneoff },
    );
    Ok(())
}

fn proc_exit(_: Call<'_>, code: i32) -> Result<()> {
    Err(wasmtime::Error::new(Exit(code)))
}

/// Writes how many texts there are, and their size in bytes.
pub(super) fn write_sizes(
    memory: &mut [u8],
    (count, size): (u32, u32),
    (texts, bytes): (usize, usize),
) -> Result<i32> {
    write(memory, count, &(texts as u32).to_le_bytes())?;
    write(memory, size, &(bytes as u32).to_le_bytes())?;
    Ok(SUCCESS)
}

/// Writes the addresses of texts, and the texts. Each consists of parts, and
/// ends with a zero byte.
pub(super) fn write_texts<'a, const PARTS: usize>(
    memory: &mut [u8],
    (mut pointers, mut text): (u32, u32),
    texts: impl Iterator<Item = [&'a [u8]; PARTS]>,
) -> Result<i32> {
    for parts in texts {
        write(memory, pointers, &text.to_le_bytes())?;
        pointers = pointers.saturating_add(4);
        for part in parts {
            write(memory, text, part)?;
            text = text.saturating_add(part.len() as u32);
        }
    }
    Ok(SUCCESS)
}

/// A program's only argument is its own name.
fn args_sizes_get(mut call: Call<'_>, count: u32, size: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    write_sizes(memory, (count, size), (1, state.capabilities.function.len() + 1))
}

fn args_get(mut call: Call<'_>, pointers: u32, text: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let name = [state.capabilities.function.as_bytes(), b"\0"];
    write_texts(memory, (pointers, text), [name].into_iter())
}

fn environ_sizes_get(mut call: Call<'_>, count: u32, size: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let environment = &state.capabilities.environment;
    write_sizes(memory, (count, size), (environment.variables().len(), environment.len()))
}

/// The function's settings. Nothing of the host's environment is passed on.
fn environ_get(mut call: Call<'_>, pointers: u32, text: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    write_texts(memory, (pointers, text), state.capabilities.environment.variables())
}

/// The monotonic clock starts with the invocation, so that it reveals nothing
/// about the host.
fn clock_time_get(mut call: Call<'_>, id: u32, _: i64, out: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let Some(now) = clock(id, state.run.started) else { return Ok(INVAL) };
    write(memory, out, &now.to_le_bytes())?;
    Ok(SUCCESS)
}

/// A clock's time in nanoseconds: 0 is the wall clock, 1 the monotonic one.
fn clock(id: u32, started: Instant) -> Option<u64> {
    let since = match id {
        0 => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        1 => started.elapsed(),
        _ => return None,
    };
    Some(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

async fn random_get(mut call: Call<'_>, (ptr, len): (u32, u32)) -> Result<i32> {
    range(parts(&mut call)?.0, ptr, len)?;
    let (mut turn, mut filled) = (Turn::begin(), 0);
    loop {
        let room = RANDOM.min(len - filled);
        let room = range(parts(&mut call)?.0, ptr.saturating_add(filled), room)?;
        match rustix::rand::getrandom(room, GetRandomFlags::empty()) {
            Ok(more) => filled += more as u32,
            Err(Errno::INTR) => {}
            Err(_) => return Ok(IO),
        }
        if filled >= len {
            return Ok(SUCCESS);
        }
        turn.pass(&mut call).await?;
    }
}

pub(crate) fn fd_write(
    mut call: Call<'_>,
    fd: u32,
    list: u32,
    count: u32,
    written: u32,
) -> Result<i32> {
    let sink = match fd {
        1 => Sink::Out,
        2 => Sink::Err,
        _ => return Ok(BADF),
    };
    let (memory, state) = parts(&mut call)?;
    let (mut total, mut lines): (u32, _) = (0, MAX_LINES);
    for range in memory::ranges(memory, (list, count), MAX_WRITE) {
        let (ptr, len) = range?;
        let (stdio, source) = state.output();
        let accepted = stdio.write(sink, bytes(memory, ptr, len)?, &source, &mut lines);
        total += accepted as u32;
        if accepted < len as usize {
            break;
        }
    }
    write(memory, written, &total.to_le_bytes())?;
    Ok(SUCCESS)
}

/// An event that a guest waits for.
struct Subscription {
    user_data: [u8; 8],
    kind: u8,
    /// The time until a clock's event. A descriptor is ready at once.
    after: Duration,
    error: i32,
}

const SUBSCRIPTION: u32 = 48;
const EVENT: u32 = 32;
const CLOCK: u8 = 0;

/// Waits for the earliest of the subscriptions, or until the context is done. A
/// guest sees the latter as an interrupted call.
async fn poll_oneoff(
    mut call: Call<'_>,
    (list, events, count, written): (u32, u32, u32, u32),
) -> Result<i32> {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Ok(INVAL);
    }
    let (memory, state) = parts(&mut call)?;
    let mut subscriptions = Vec::new();
    for index in 0..count {
        let at = list.saturating_add(index * SUBSCRIPTION);
        let subscription = bytes(memory, at, SUBSCRIPTION)?;
        subscriptions.push(Subscription::read(subscription, state.run.started));
    }
    let wait = subscriptions.iter().map(|each| each.after).min().unwrap_or_default();
    if !wait.is_zero() {
        call.data_mut().flush().await;
        let ctx = call.data().run.ctx.clone();
        tokio::select! {
            biased;
            _ = ctx.done() => return Ok(INTR),
            () = tokio::time::sleep(wait) => {}
        }
    }
    let (memory, _) = parts(&mut call)?;
    let mut stored: u32 = 0;
    for ready in subscriptions.iter().filter(|each| each.after <= wait) {
        let at = events.saturating_add(stored * EVENT);
        write(memory, at, &ready.event())?;
        stored += 1;
    }
    write(memory, written, &stored.to_le_bytes())?;
    Ok(SUCCESS)
}

impl Subscription {
    fn read(bytes: &[u8], started: Instant) -> Self {
        let u64_at = |at: usize| {
            let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
            u64::from_le_bytes(field.copied().unwrap_or_default())
        };
        let (user_data, kind) = (u64_at(0).to_le_bytes(), u64_at(8) as u8);
        let (after, error) = if kind != CLOCK {
            (Duration::ZERO, if u64_at(16) as u32 <= 2 { SUCCESS } else { BADF })
        } else if let Some(now) = clock(u64_at(16) as u32, started) {
            let (timeout, absolute) = (u64_at(24), u64_at(40) & 1 == 1);
            let nanos = if absolute { timeout.saturating_sub(now) } else { timeout };
            (Duration::from_nanos(nanos), SUCCESS)
        } else {
            (Duration::ZERO, INVAL)
        };
        Self { user_data, kind, after, error }
    }

    /// The event of this subscription.
    fn event(&self) -> [u8; EVENT as usize] {
        let mut event = [0; EVENT as usize];
        event[..8].copy_from_slice(&self.user_data);
        event[8..10].copy_from_slice(&(self.error as u16).to_le_bytes());
        event[10] = self.kind;
        event
    }
}
