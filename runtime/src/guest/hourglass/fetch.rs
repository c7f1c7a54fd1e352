//! Requests to other hosts: how a guest makes them and waits for them.
//!
//! A fetch runs on its own once it has started. `call_wait` waits for the head
//! of its response as it waits for the end of a call, so a guest can wait for
//! fetches and calls together. Bodies are transferred piece by piece, in both
//! directions.

use bytes::Bytes;
use hourglass_abi::{BODY_FOLLOWS, BODY_PASSED, failure};
use http_body_util::Limited;
use wasmtime::Result;

use crate::body::Body;
use crate::guest::memory::{self, bytes, parts, range, write_answer};
use crate::guest::state::response::PIECE;
use crate::guest::state::run::Incoming;
use crate::guest::state::{Call, State};
use crate::guest::wire::Answer;
use crate::guest::{code, wire};
use crate::limits::bytes::Reservation;
use crate::limits::fixed;
use crate::outbound::{Fetch, FetchError, FetchRequest};

/// The context, the most redirects, then pointer and length of the head and of
/// the body.
type StartArgs = (u32, u32, u32, u32, u32, u32);

pub(super) async fn fetch_start(mut call: Call<'_>, args: StartArgs) -> Result<i32> {
    let (ctx, redirects, head_ptr, head_len, body_ptr, body_len) = args;
    let (memory, state) = parts(&mut call)?;
    let Some((request, url)) = wire::read_head(bytes(memory, head_ptr, head_len)?) else {
        return Ok(code::INVALID);
    };
    let body = match body_len {
        BODY_FOLLOWS | BODY_PASSED => None,
        len => Some(bytes(memory, body_ptr, len)?.len() as u64),
    };
    let head = u64::from(head_len) + fixed::entries(request.headers());
    let (url, admitted) = (url.to_owned(), admit(state, head, body));
    let request = match admitted {
        Ok((head, body)) => {
            let body = match body {
                Some(place) => {
                    Some(memory::copy(&mut call, body_ptr, body_len, Some(place)).await?)
                }
                None => None,
            };
            FetchRequest::new(request, &url, head, body, redirects)
        }
        Err(error) => Err(error),
    };
    let state = call.data_mut();
    let fetch = match request {
        Ok(request) => begin(state, ctx, request, body_len == BODY_PASSED)?,
        Err(error) => Fetch::failed(error),
    };
    Ok(state.run.fetches().open.add(fetch)?)
}

/// Admits one more fetch of a guest: reserves the bytes of its head, and of its
/// body if the body is already here.
fn admit(
    state: &mut State,
    head: u64,
    body: Option<u64>,
) -> Result<(Reservation, Option<Reservation>), FetchError> {
    let exceeded = |text: String| Err(FetchError::new(failure::FETCHES_EXCEEDED, text));
    let Some(outbound) = &state.capabilities.outbound else {
        let text = "the function may reach no other host: its `allow_hosts` is empty";
        return Err(FetchError::new(failure::FORBIDDEN, text));
    };
    let (most, at_once) = (outbound.max_fetches, outbound.at_once);
    let uploads = outbound.uploads.clone();
    let fetches = state.run.fetches();
    if fetches.made >= most {
        return exceeded(format!("the invocation has made {most} fetches, which is the most"));
    }
    fetches.made += 1;
    let under_way = fetches.open.iter().filter(|fetch| fetch.is_under_way()).count();
    if under_way >= at_once as usize {
        return exceeded(format!("{at_once} fetches are under way, which is the most"));
    }
    let full = || FetchError::full(uploads.limit);
    let head = uploads.reserve(head).ok_or_else(full)?;
    let Some(body) = body else { return Ok((head, None)) };
    let body = uploads.reserve(body).ok_or_else(full)?;
    Ok((head, Some(body)))
}

fn begin(state: &mut State, ctx: u32, request: FetchRequest, passes_body: bool) -> Result<Fetch> {
    let step = state.run.trace().child();
    let (Some(outbound), Some(tasks)) = (&state.capabilities.outbound, state.capabilities.tasks())
    else {
        let text = "no connection: the host has no tasks";
        return Ok(Fetch::failed(FetchError::new(failure::UNREACHABLE, text)));
    };
    let ctx = state.run.context(ctx)?.clone();
    let passed = passes_body.then(|| state.run.body.take());
    let request = request.recorded_in(state.run.span_parent());
    Ok(Fetch::begin(outbound, &ctx, step, request, passed, &tasks))
}

pub(super) async fn fetch_write(
    mut call: Call<'_>,
    (fetch, ptr, len): (u32, u32, u32),
) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let len = len.min(PIECE);
    let piece = Bytes::copy_from_slice(range(memory, ptr, len)?);
    state.flush().await;
    Ok(match state.run.fetches().open.get_mut(fetch)?.write(piece).await {
        Ok(true) => len as i32,
        Ok(false) => code::BODY_FAILED,
        Err(done) => code::done(done),
    })
}

pub(super) fn fetch_head(mut call: Call<'_>, fetch: u32, ptr: u32, cap: u32) -> Result<i32> {
    let (memory, state) = parts(&mut call)?;
    let answer = match state.run.fetches().open.get(fetch)?.head() {
        Some(Ok(head)) => {
            Answer::Head { status: head.status, headers: &head.headers, length: head.length }
        }
        Some(Err(error)) => Answer::Failure {
            outcome: error.name,
            text: fixed::display(error, fixed::MESSAGE).into(),
            cause: (error.done.as_ref())
                .map(|(_, cause)| fixed::display(cause, fixed::MESSAGE).into())
                .unwrap_or_default(),
        },
        None => return Ok(code::INVALID),
    };
    Ok(write_answer(memory, ptr, cap, &answer)?.len)
}

pub(super) async fn fetch_read(
    mut call: Call<'_>,
    (fetch, ptr, cap): (u32, u32, u32),
) -> Result<i32> {
    // Checked before the wait, so that a bad range traps in every case.
    let (memory, state) = parts(&mut call)?;
    range(memory, ptr, cap)?;
    if cap == 0 {
        return Ok(code::INVALID);
    }
    state.flush().await;
    let most = (cap as usize).min(memory::PIECE);
    match state.run.fetches().open.get_mut(fetch)?.read(most).await {
        Ok(piece) => {
            let (memory, _) = parts(&mut call)?;
            memory::write(memory, ptr, &piece)?;
            Ok(piece.len() as i32)
        }
        Err(error) => Ok(error.done.map_or(code::BODY_FAILED, |(done, _)| code::done(done))),
    }
}

pub(super) fn fetch_drop(mut call: Call<'_>, fetch: u32) {
    call.data_mut().run.fetches().open.remove(fetch);
}

impl Incoming {
    /// Takes the rest of the body, for another reader. The guest then reads its
    /// end.
    fn take(&mut self) -> Body {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let rest = Limited::new(std::mem::take(&mut self.body), most);
        Body::stream(rest).after(std::mem::take(&mut self.piece))
    }
}
