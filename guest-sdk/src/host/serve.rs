//! The request and the response.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::panic::{self, PanicHookInfo};

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;

use super::body::{Incoming, append_client, copy, send_client};
use super::log;
use super::{Node, sized};
use crate::body::Source;
use crate::record::Fields;
use crate::{Body, BodyError, Context, Done, Error, IntoResponse, Request, Response, Writer, wire};

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    fn request(ptr: *mut u8, cap: usize) -> i32;
    fn respond(head: *const u8, head_len: usize, body: *const u8, body_len: usize) -> i32;
    fn respond_begin(head: *const u8, head_len: usize) -> i32;
}

/// The largest head of a request that takes a single call, in bytes.
const HEAD: usize = 2048;

/// A request's body up to this length, in bytes, is sent back as a buffered response.
const SMALL: usize = 16 << 10;

/// Serves the one request of this invocation.
pub(crate) fn run<H, R, F>(handler: H, on_error: F)
where
    H: FnOnce(&Context, Request) -> R,
    R: IntoResponse,
    F: FnOnce(&Context, &Error) -> Response,
{
    panic::set_hook(Box::new(panicked));
    let ctx = Context(Node::INVOCATION);
    let response = handler(&ctx, receive()).into_response();
    // Reading the response's body may have failed.
    let response = response.and_then(|response| Ok(response.body().check().map(|()| response)?));
    match response.or_else(|error| fail(&ctx, &error, on_error)) {
        Ok(response) => answer(&ctx, response),
        // Returning costs the host less than an exit, which unwinds the stack.
        Err(_done) => {}
    }
}

/// Reads the request. Its body may still be in transit.
fn receive() -> Request {
    // The instance ends with this request, so the memory need not be counted and freed.
    // SAFETY: `sized` passes a pointer to `cap` bytes of the guest's that may be written.
    let head = sized(HEAD, |ptr, cap| unsafe { request(ptr, cap) }).unwrap_or_default();
    match wire::request(Bytes::from_static(head.leak())) {
        Ok(request) => request.map(|length| match length {
            Some(0) => Body::default(),
            length => Body::from_source(Source::Incoming(Incoming::Client, length)),
        }),
        Err(malformed) => exit(&malformed.to_string()),
    }
}

/// Ends the invocation because the request's body did not arrive. The host knows the reason. It
/// sends the response and logs it, as the client's mistake if it is one.
#[cold]
fn unreadable() -> ! {
    exit("")
}

/// Returns the response to a handler's error, unless the error is not answered.
#[cold]
fn fail<F>(ctx: &Context, error: &Error, on_error: F) -> Result<Response, Done>
where
    F: FnOnce(&Context, &Error) -> Response,
{
    if error.is_incomplete() {
        unreadable();
    }
    let response = error.answer_with(ctx, on_error)?;
    if response.status().is_server_error() {
        log_failure(error);
    }
    Ok(response)
}

/// Logs an error, and the sender of the body that the error is about.
#[cold]
fn log_failure(error: &Error) {
    let mut fields = Fields::default();
    let mut sender = |name, sender: &str, status: &StatusCode| {
        fields.text(name, sender);
        fields.literal("upstream_status", status.as_u16());
    };
    match error.find() {
        Some(BodyError::Upstream { host, status, .. }) => sender("upstream", host, status),
        Some(BodyError::Callee { function, status, .. }) => sender("callee", function, status),
        Some(_) | None => {}
    }
    log::error(format_args!("{error:?}"), &fields);
}

/// Logs a panic. The instance traps after it.
#[cold]
fn panicked(info: &PanicHookInfo<'_>) {
    let mut fields = Fields::default();
    let message = info.payload_as_str().unwrap_or("no message");
    let Some(location) = info.location() else {
        return log::error(format_args!("panicked: {message}"), &fields);
    };
    let (file, line) = (location.file(), location.line());
    fields.text("file", file);
    fields.literal("line", line);
    log::error(format_args!("panicked at {file}:{line}: {message}"), &fields);
}

/// Sends the response. Nothing in it is dropped, because the instance ends with it.
fn answer(ctx: &Context, response: Response) {
    let response = ManuallyDrop::new(response);
    match response.body().pieces() {
        Err(whole) => send(&response, whole),
        Ok(Source::Incoming(Incoming::Client, length)) => echo(ctx, &response, length),
        Ok(Source::Incoming(fetched, length)) => {
            begin_sized(&response, length);
            let mut body = Body::from_source(Source::Incoming(fetched, length));
            let sent = copy(&mut body, &mut Writer(&mut send_client));
            sent.unwrap_or_else(|error| break_off(ctx, &error.into()));
        }
        Ok(Source::Written(write)) => {
            begin(&response);
            write(&mut Writer(&mut send_client)).unwrap_or_else(|error| break_off(ctx, &error));
        }
        Ok(Source::Gone) => send(&response, &[]),
    }
}

fn send(response: &Response, body: &[u8]) {
    let head = ManuallyDrop::new(wire::response(response));
    // SAFETY: both ranges are borrowed for the duration of the call, and only read.
    accepted(unsafe { respond(head.as_ptr(), head.len(), body.as_ptr(), body.len()) });
}

fn begin(response: &Response) {
    let head = wire::response(response);
    // SAFETY: the range is borrowed for the duration of the call, and only read.
    accepted(unsafe { respond_begin(head.as_ptr(), head.len()) });
}

/// Begins a response with a body whose length may be known.
fn begin_sized(response: &Response, length: Option<u64>) {
    let mut response = response.clone();
    if let Some(length) = length {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
    begin(&response);
}

fn accepted(code: i32) {
    if code < 0 {
        exit("the host did not accept the response");
    }
}

/// Responds with the request's own body, piece by piece unless it is small.
fn echo(ctx: &Context, response: &Response, length: Option<u64>) {
    let mut start = Vec::with_capacity(SMALL);
    while start.len() < SMALL {
        match append_client(&mut start) {
            Ok(0) => return send(response, &start),
            Ok(_) => {}
            Err(_) => unreadable(),
        }
    }
    begin_sized(response, length);
    let rest = || -> Result<(), Error> {
        let mut send = send_client;
        let mut writer = Writer(&mut send);
        writer.write_all(&start)?;
        let mut rest = Body::from_source(Source::Incoming(Incoming::Client, None));
        Ok(copy(&mut rest, &mut writer)?)
    };
    rest().unwrap_or_else(|error| break_off(ctx, &error));
}

/// Aborts a response midway. The host makes sure that the client sees it as incomplete.
#[cold]
fn break_off(ctx: &Context, error: &Error) -> ! {
    if !error.is_incomplete() && error.answer(ctx).is_ok() {
        log_failure(error);
    }
    exit("")
}

/// Ends the invocation without a response.
#[cold]
fn exit(message: &str) -> ! {
    if !message.is_empty() {
        log::error(message, &Fields::default());
    }
    std::process::exit(1)
}
