//! Calls of other functions, each identified by a handle.

use std::mem::MaybeUninit;

use bytes::Bytes;

use super::{Started, decoded, done, refused, sized};
use crate::abi::MAX_FUNCTION_NAME;
use crate::body::Origin;
use crate::named::Named;
use crate::pending::private::Failure;
use crate::{Body, CallError, Context, Done, Pending, Request, Response, wire};

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    #[link_name = "call"]
    fn call_now(
        ctx: i32,
        name: *const u8,
        name_len: usize,
        head: *const u8,
        head_len: usize,
        body: *const u8,
        body_len: usize,
        ptr: *mut u8,
        cap: usize,
    ) -> i64;
    fn call_start(
        ctx: i32,
        name: *const u8,
        name_len: usize,
        head: *const u8,
        head_len: usize,
        body: *const u8,
        body_len: usize,
    ) -> i32;
    #[link_name = "enqueue"]
    fn enqueue_start(
        ctx: i32,
        name: *const u8,
        name_len: usize,
        head: *const u8,
        head_len: usize,
        body: *const u8,
        body_len: usize,
    ) -> i32;
    fn call_wait(ctx: i32, list: *const i32, count: usize) -> i32;
    fn call_result(call: i32, ptr: *mut u8, cap: usize) -> i32;
    safe fn call_drop(call: i32);
    safe fn call_detach(call: i32);
}

/// The largest result that takes a single call, in bytes.
const RESULT: usize = 2048;

/// Calls a function and waits for its response. This takes one host call if the callee does not
/// have to wait and the response is small.
pub(crate) fn call(ctx: &Context, function: &str, request: Request) -> Result<Response, CallError> {
    let (head, body) = (wire::call(&request), whole(ctx, function, &request)?);
    let mut buffer = [MaybeUninit::<u8>::uninit(); RESULT];
    // SAFETY: the first three ranges are borrowed for the duration of the call, and only read; the
    // last is the guest's and may be written.
    let code = unsafe {
        call_now(
            ctx.0.handle(),
            function.as_ptr(),
            function.len(),
            head.as_ptr(),
            head.len(),
            body.as_ptr(),
            body.len(),
            buffer.as_mut_ptr().cast(),
            RESULT,
        )
    };
    // A code is negative, a length is in the lower half, and a handle in the upper half.
    match (code >> 32, code as i32) {
        (..0, code) => Err(failed(ctx, function, head.len(), code)),
        (0, len) => {
            let start = buffer.as_ptr().cast();
            // SAFETY: the host wrote all `len` bytes to `buffer`, which outlives the copy.
            let result = unsafe { std::slice::from_raw_parts(start, len as usize) };
            read(function, Bytes::copy_from_slice(result))
        }
        (handle, _) => {
            let started = Ok(Started::new(handle as i32));
            Pending::new(ctx, function.to_owned(), started, None).wait()
        }
    }
}

/// Starts a call, without waiting.
pub(crate) fn start(
    ctx: &Context,
    function: &str,
    request: Request,
) -> Result<Started<CallError>, CallError> {
    let (head, body) = (wire::call(&request), whole(ctx, function, &request)?);
    // SAFETY: the three ranges are borrowed for the duration of the call, and only read. The host
    // keeps none of the ranges, although the function call continues.
    let code = unsafe {
        call_start(
            ctx.0.handle(),
            function.as_ptr(),
            function.len(),
            head.as_ptr(),
            head.len(),
            body.as_ptr(),
            body.len(),
        )
    };
    if code < 0 { Err(failed(ctx, function, head.len(), code)) } else { Ok(Started::new(code)) }
}

/// Submits a job, and waits until it is stored. Returns its id.
pub(crate) fn enqueue(
    ctx: &Context,
    function: &str,
    request: Request,
) -> Result<String, CallError> {
    let (head, body) = (wire::call(&request), whole(ctx, function, &request)?);
    // SAFETY: as in `start`.
    let code = unsafe {
        enqueue_start(
            ctx.0.handle(),
            function.as_ptr(),
            function.len(),
            head.as_ptr(),
            head.len(),
            body.as_ptr(),
            body.len(),
        )
    };
    if code < 0 {
        return Err(failed(ctx, function, head.len(), code));
    }
    let stored = Pending::new(ctx, function.to_owned(), Ok(Started::new(code)), None).wait()?;
    let id = stored.into_body().collect().map_err(|error| CallError::body(ctx, function, error))?;
    Ok(String::from_utf8_lossy(&id).into_owned())
}

/// Waits until one of several calls or fetches has a result, and returns its index. `started` must
/// not be empty.
///
/// # Errors
///
/// [`Done`] if the context is done first.
pub(crate) fn wait<'a, E: Failure + 'a>(
    ctx: &Context,
    started: impl Iterator<Item = &'a Started<E>>,
) -> Result<usize, Done> {
    let handles: Vec<i32> = started.map(|started| started.0).collect();
    // SAFETY: the list is borrowed for the duration of the call, and only read. It consists of
    // 32-bit numbers in the machine's byte order, which is the one that the host reads.
    let code = unsafe { call_wait(ctx.0.handle(), handles.as_ptr(), handles.len()) };
    match done(code) {
        Some(done) => Err(done),
        None => Ok(usize::try_from(code).unwrap_or_default()),
    }
}

impl Failure for CallError {
    fn response(function: &str, _: &Context, started: Started<Self>) -> Result<Response, Self> {
        let call = started.into_handle();
        // SAFETY: `sized` passes a pointer to `cap` bytes of the guest's that may be written.
        let result = sized(RESULT, |ptr, cap| unsafe { call_result(call, ptr, cap) });
        read(function, result.unwrap_or_default().into())
    }

    fn close(handle: i32) {
        call_drop(handle);
    }
}

impl Started<CallError> {
    /// Lets the call continue, and keeps the context that it was started under, with its ancestors,
    /// until the invocation ends.
    pub(crate) fn detach(self, ctx: Context) {
        call_detach(self.into_handle());
        std::mem::forget(ctx);
    }
}

/// Reads the request's body, which may have to arrive first.
fn whole(ctx: &Context, function: &str, request: &Request) -> Result<Bytes, CallError> {
    request.body().collect().map_err(|error| CallError::body(ctx, function, error))
}

fn read(function: &str, result: Bytes) -> Result<Response, CallError> {
    let response: http::Response<Bytes> = decoded(function, wire::result(result))?;
    let origin = Origin::Callee { function: function.to_owned(), status: response.status() };
    Ok(response.map(|body| Body::from(body).sent_by(origin)))
}

/// Makes the failure for a code that the host returned instead of a handle.
#[cold]
fn failed(ctx: &Context, function: &str, head: usize, code: i32) -> CallError {
    if let Some(done) = done(code) {
        return CallError::ended(function, ctx, done);
    }
    let reason = match function.len() {
        len if len > MAX_FUNCTION_NAME => {
            format!("a function's name has at most {MAX_FUNCTION_NAME} bytes, this one {len}")
        }
        _ => refused(head),
    };
    CallError::BadRequest(format!("`{function}`: {reason}"))
}
