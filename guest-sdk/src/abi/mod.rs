//! The contract between a function and its host, version 1; this page is its reference.
//!
//! Everything else in this crate is convenience on top of it, and a function may be written in any
//! language that can import these functions, or as many of them as it needs. This module is
//! also the only one with `unsafe` code.
//!
//! # The module
//!
//! A function is a WASI preview 1 command: a WebAssembly module that exports its `memory` and
//! `_start`. The host calls `_start` once per invocation, in a fresh instance, so nothing is kept
//! from one invocation to the next. What `_start` does decides the outcome:
//!
//! - it calls `respond` and returns (or exits with code 0): that response is the client's;
//! - it returns without `respond`: a bad response;
//! - it traps, or exits with another code: a failure, and a response given before is void. But
//!   when the context is done, the outcome is the context's: its deadline, or its cancellation.
//!
//! A module that imports none of the functions of [the request and the
//! response](#the-request-and-the-response) has them in [another way](#any-other-program).
//!
//! # The version
//!
//! All functions are imported from the module [`MODULE`], whose name holds the version. A host
//! looks at a module's imports when it is deployed, and refuses a version that it does not serve
//! with an error that names both; nothing is checked when a function runs.
//!
//! # Values
//!
//! - Pointers and lengths are unsigned 32 bit offsets and sizes in the guest's memory, passed as
//!   `i32`. A range that lies outside the memory traps.
//! - Codes are `i32`: zero, a length or a handle is success, negative numbers are the constants
//!   below.
//! - Times are `i64` nanoseconds.
//! - Encoded integers are unsigned and little endian, without padding. `str` and `bytes` are a
//!   `u32` length and then that many bytes; `str` is UTF-8. `pairs` are `count: u32`, and then
//!   `count` times `name: str` and `value: bytes`.
//!
//! # Limits
//!
//! - A function's name has at most [`MAX_FUNCTION_NAME`] bytes.
//! - A head has at most [`MAX_HEAD`] bytes as it is encoded, and 256 headers. That holds for
//!   responses, for requests to other functions and hosts, and for the responses to those.
//! - Text that the host quotes in an error, such as a header's name or the last line on standard
//!   error, is cut after [`MAX_QUOTE`] bytes. An ellipsis (`…`) shows where.
//!
//! The host checks a length before it reads anything. Heads count like bodies: those of requests
//! and responses that an invocation's calls hold at once have together at most as many bytes as its
//! memory may have, and the heads and request bodies of all fetches of a function at most 256 MiB.
//!
//! # Ownership
//!
//! All memory is the guest's: the host allocates nothing, writes only to the range it was handed
//! and keeps no pointer past the call.
//!
//! The functions that return something of unknown size take a buffer as `ptr` and `cap`, and
//! return the length of the whole. It is written when it fits in `cap`, else nothing is: call
//! again with room.
//!
//! Contexts, calls of other functions and fetches are known by handles, `i32` numbers that the host chooses.
//! Whoever got one gives it back; all of them end with the invocation. A handle that is unknown, or
//! was given back, traps.
//!
//! # The request and the response
//!
//! | function | returns |
//! |---|---|
//! | `request(ptr, cap) -> i32` | the length of the request's head |
//! | `body_read(ptr, cap) -> i32` | how many bytes of the body it moved, 0 at the end |
//! | `respond(head_ptr, head_len, body_ptr, body_len) -> i32` | 0 |
//! | `respond_begin(head_ptr, head_len) -> i32` | 0 |
//! | `respond_write(ptr, len) -> i32` | how many bytes of the piece it took |
//!
//! **`request`** gives the head: `body_len: u64` (`u64::MAX` when it is not known), `method: str`,
//! `uri: str` (origin form: path and query), and the headers as `pairs`, names in lower case. It
//! can be called any number of times.
//!
//! **`body_read`** waits for the next piece of the request's body and moves it to `ptr`, at most
//! `cap` bytes. [`CANCELED`] or [`DEADLINE_EXCEEDED`] when the invocation's context is done first,
//! [`BODY_FAILED`] when the client broke off or sent more than the function accepts, [`INVALID`]
//! when `cap` is 0.
//!
//! **`respond`** gives the whole response; the host hands it on when `_start` returns. The head is
//! `status: u16`, and the headers as `pairs`. [`INVALID`] when the head is malformed or too long, or a
//! response was given before; [`BODY_FAILED`] when the body is too large.
//!
//! **`respond_begin`** commits the head of a response whose body comes in pieces: the client has it
//! at once. [`INVALID`] as for `respond`, of which it takes the place.
//!
//! **`respond_write`** hands the next piece of that body on, or as much of it as is taken at once,
//! and waits until the host has room for it, which is a few pieces. [`CANCELED`] or [`DEADLINE_EXCEEDED`] when the
//! invocation's context is done while it waits, [`BODY_FAILED`] when nobody takes the response any
//! more or it is too large, [`INVALID`] before `respond_begin`. The body is complete when `_start`
//! returns; after a failure, or a trap, or another exit code, the client sees it break off.
//!
//! # Contexts
//!
//! | function | returns |
//! |---|---|
//! | `context_err(ctx) -> i32` | 0 while the context is not done |
//! | `context_remaining(ctx) -> i64` | nanoseconds until the deadline |
//! | `context_cause(ctx, ptr, cap) -> i32` | the length of the cause |
//! | `context_value(ctx, name_ptr, name_len, ptr, cap) -> i32` | the length of the value |
//! | `context_values(ctx, ptr, cap) -> i32` | the length of all values |
//! | `context_sleep(ctx, nanos: i64) -> i32` | 0 after the whole time |
//! | `context_derive(parent, nanos: i64) -> i32` | the handle of a child with a timeout |
//! | `context_with_value(parent, name_ptr, name_len, value_ptr, value_len) -> i32` | the handle of one with a value |
//! | `context_without_cancel(parent) -> i32` | the handle of one that is not done with its parent |
//! | `context_cancel(ctx, cause_ptr, cause_len) -> i32` | 0 |
//! | `context_drop(ctx)` | |
//!
//! Handle 0 is the invocation's own context. The others are made from it by the functions that
//! return a handle; more than 4,096 of them at once trap.
//!
//! **`context_err`** tells whether the context is done: [`CANCELED`] or [`DEADLINE_EXCEEDED`].
//! Once it is done, that never changes.
//!
//! **`context_remaining`** is 0 when the deadline is past, and -1 when there is none.
//!
//! **`context_cause`** tells why the context is done. The text form of a cause is `name` or
//! `name: message`, where the name is one of `canceled`, `deadline-exceeded`,
//! `client-disconnected`, `parent-done`, `shutdown`, `operator`, `limit-exceeded` and `custom`; a
//! host may add others. [`ABSENT`] while it is not done.
//!
//! **`context_value`** gives the value that goes by a wire name, such as `request-id` or
//! `function`, as UTF-8 text. [`ABSENT`] when there is none, as for a name of more than [`MAX_HEAD`]
//! bytes; [`INVALID`] when the name is not UTF-8.
//!
//! **`context_values`** gives them all as `pairs`, values being `str`; the nearest first, without
//! those that a nearer one of the same name hides.
//!
//! **`context_sleep`** waits that long, or until the context is done: then it returns [`CANCELED`]
//! or [`DEADLINE_EXCEEDED`]. A negative time waits until the context is done.
//!
//! **`context_derive`** makes a child that is done after so many nanoseconds, or when its parent
//! is, or when it is cancelled. A negative time sets no timeout.
//!
//! **`context_with_value`** makes a context that has one more value and is otherwise as its parent.
//! [`INVALID`] when the name or the value is not UTF-8, the name is empty or longer than
//! [`MAX_NAME`] bytes, or the value is longer than [`MAX_VALUE`]. [`RESERVED`] when the name is one
//! of the host's own: `request-id`, `function`, `principal`, `client-address`, `traceparent`,
//! `tracestate`, any that starts with `route.`, and those that the embedder keeps for itself.
//!
//! **`context_without_cancel`** makes a context that has its parent's values and is not done when
//! the parent is. It ends with the invocation; where the host's configuration of the function has
//! `detach`, that long after it.
//!
//! **`context_cancel`** cancels a context with a cause in text form. Of a cause that only the host
//! can know (`client-disconnected`, `parent-done`, `shutdown`, `operator`, `deadline-exceeded`) it
//! makes `custom: ` and that text. A text is cut after [`MAX_QUOTE`] bytes. Nothing happens when the context is done already. [`INVALID`]
//! for handle 0, and for a context that `context_with_value` or `context_without_cancel` made.
//!
//! **`context_drop`** gives the handle back. A context that can be cancelled is, with the cause
//! `canceled`, unless it is done. Handle 0 is ignored.
//!
//! # Calls of other functions
//!
//! | function | returns |
//! |---|---|
//! | `call(ctx, name_ptr, name_len, head_ptr, head_len, body_ptr, body_len, ptr, cap) -> i64` | the length of the result, or the handle of a call |
//! | `call_start(ctx, name_ptr, name_len, head_ptr, head_len, body_ptr, body_len) -> i32` | the handle of a call |
//! | `call_wait(ctx, list_ptr, count) -> i32` | the place in the list of one that has ended |
//! | `call_result(call, ptr, cap) -> i32` | the length of the result |
//! | `call_drop(call)` | |
//! | `call_detach(call)` | |
//!
//! **`call_start`** sends a request to the function of that name, under a child of `ctx`, and does
//! not wait for it. The head is `method: str`, `uri: str` (origin form) and the headers as `pairs`.
//! [`INVALID`] when the head is malformed or too long, or the name is not UTF-8 or too long. Whatever else goes wrong (there
//! is no such function, it is busy, ...) is the call's result.
//!
//! **`call`** is the quicker way for a caller that has nothing else to do: the same, and the
//! callee runs at once. If it ends without having to wait, and its result fits in `cap`, that is
//! written as `call_result` writes it, and the length of it is returned. Else the upper 32 bits of
//! what is returned are the handle of the call, which is never 0, and the lower ones are 0: go on
//! with `call_wait`. A code is negative, as ever.
//!
//! **`call_wait`** waits until one of the calls in a list of `count` handles, a `u32` each, has
//! ended, and tells its place; of several that have, the first one's. [`CANCELED`] or
//! [`DEADLINE_EXCEEDED`] when `ctx` is done before any has, [`INVALID`] when `count` is 0.
//!
//! **`call_result`** gives the result of a call that has ended, and takes the handle back when the
//! result fitted in `cap`. [`INVALID`] while the call has not ended. The result is `status: u16`,
//! and then
//!
//! - where the status is not 0, a response: the headers as `pairs`, and all bytes that follow are
//!   the body;
//! - where it is 0, a failure: `outcome: str`, its name; `text: str`, what happened in words; and
//!   `cause: str`, the text form of the cause, empty where there is none.
//!
//! The names of failures are `not-found`, `forbidden` (the function is not one that the caller may
//! call), `busy`, `draining`, `canceled`, `deadline-exceeded`, `trap`, `exit`, `out-of-memory`,
//! `bad-response`, `body-too-large`, `response-too-large`, `bad-request`, `depth-exceeded`,
//! `calls-exceeded` and `host`; a host may add others.
//!
//! **`call_drop`** gives a call's handle back; more than 4,096 at once trap. A call that has not ended is cancelled, with the
//! cause `canceled`.
//!
//! **`call_detach`** gives the handle back and lets the call go on. It ends with the context that
//! it was started under: to outlive the invocation, it needs one that `context_without_cancel`
//! made, and a function that has `detach`.
//!
//! # Requests to other hosts
//!
//! | function | returns |
//! |---|---|
//! | `fetch_start(ctx, redirects, head_ptr, head_len, body_ptr, body_len) -> i32` | the handle of a fetch |
//! | `fetch_write(fetch, ptr, len) -> i32` | how many bytes of the piece it took |
//! | `fetch_head(fetch, ptr, cap) -> i32` | the length of the response's head, or of the failure |
//! | `fetch_read(fetch, ptr, cap) -> i32` | how many bytes of the body it moved, 0 at the end |
//! | `fetch_drop(fetch)` | |
//!
//! **`fetch_start`** sends a request to another host, under a child of `ctx`, and does not wait for
//! it. The head is `method: str`, `url: str` (absolute, of http or https) and the headers as
//! `pairs`; so many redirects are followed, none where `redirects` is 0 and 20 at most. Where `body_len` is
//! `u32::MAX` the body follows by `fetch_write`; where it is `u32::MAX - 1` it is what is left of the
//! invocation's own request's body, which the host passes on by itself. The host leaves out headers that are about one
//! connection and `host`, and adds what is left of the context's time, the step of the trace and the
//! request's id. [`INVALID`] when the head is malformed or too long. Whatever else goes wrong is the fetch's
//! result.
//!
//! **`fetch_write`** hands the next piece of the request's body on, or as much of it as is taken at
//! once, and waits until there is room for it; an empty piece is the end. Where the head has a
//! `content-length`, that is what the other host is told, and the body has to be as long.
//! [`BODY_FAILED`] when nobody takes it any more: the response may be there, or the fetch has
//! failed. [`CANCELED`] or [`DEADLINE_EXCEEDED`] when the context is done while it waits.
//!
//! **`call_wait`** takes handles of fetches as it takes those of calls, in one list if need be: a
//! fetch has ended for it once the response's head is there, or none comes.
//!
//! **`fetch_head`** gives that. [`INVALID`] before. It is as the result of a call, but in place of
//! a response's body is `body_len: u64`, `u64::MAX` where it is not known. The names of failures are
//! `bad-request` (the URL), `request-body` (it broke off), `forbidden` (the host, or the address that it leads to, is not one that
//! the function may reach), `unresolved`, `unreachable`, `tls`, `bad-response`,
//! `response-too-large`, `redirect` (too many of them, or one to nowhere), `fetches-exceeded`,
//! `canceled` and `deadline-exceeded`; a host may add others.
//!
//! **`fetch_read`** waits for the next piece of the response's body and moves it to `ptr`, at most
//! `cap` bytes. [`CANCELED`] or [`DEADLINE_EXCEEDED`] when the context is done first,
//! [`BODY_FAILED`] when the body broke off: `fetch_head` then tells why. [`INVALID`] when `cap` is
//! 0.
//!
//! **`fetch_drop`** gives the handle back, and ends what is left of the fetch. More than 1,024 handles
//! at once trap.
//!
//! # The log
//!
//! | function | returns |
//! |---|---|
//! | `log(level, ptr, len) -> i32` | the last level that the host logs |
//!
//! What is written to standard output and standard error is logged line by line. **`log`** logs
//! with a level: 1 is an error, 2 a warning, 3 information, 4 for debugging, 5 a trace. The record
//! is `message: str`, `target: str` (which part of the function says it) and `pairs`, at most 64
//! names with their values, which are `str`; bytes that are no UTF-8 are replaced. The host adds
//! the function, the request's id and the step of its trace. [`INVALID`] for another level and a
//! malformed record.
//!
//! With [`TYPED`] added to the level, values have types. One that begins with `"` is the text after
//! that, with nothing escaped. Any other is a number, `true`, `false` or `null` as JSON writes them,
//! and is logged as such; one that is neither is a text. A record at level 1 is also in the report
//! of a trap, as is what was written to standard error.
//!
//! Level 0 logs nothing and looks at no record. Whatever comes after the level that is returned is
//! not logged, and need not be sent; 0 means that nothing is. A record of more than [`MAX_HEAD`]
//! bytes is left out.
//!
//! Of one invocation, and of all invocations of a function in one second, only so much is logged;
//! the log says so where something is left out.
//!
//! # Digests
//!
//! | function | returns |
//! |---|---|
//! | `sha256(hash_ptr, blocks_ptr, count) -> i32` | how many of the blocks it took |
//!
//! **`sha256`** takes blocks of 64 bytes each into a SHA-256, at most 1,024 of them: call again for
//! the rest. The hash is eight `u32` at `hash_ptr`, which are read and written. What it begins with,
//! and the last block's padding, are the guest's business.
//!
//! # Any other program
//!
//! A module that imports none of the functions of the request and the response is run as a CGI
//! script is (RFC 3875), so that any WASI preview 1 command is a function, of whichever language.
//! That is decided when it is deployed. It may import all the other functions here; there are
//! wrappers of those of the invocation's own context in the folder `guest-sdk/bindings`, for C, Go and Zig.
//!
//! **The request's body** is standard input, piece by piece as it arrives. Reading fails with `EIO`
//! when the client broke off or sent more than the function accepts, and gives the end of the input
//! when the context is done. In both cases what the program answers is not taken for an answer: the
//! outcome is the reason. But when the context is done, and the program has asked `context_err`
//! since, it knows, and may answer within its grace.
//!
//! **The request's head and its context** are in the environment:
//!
//! | variable | is |
//! |---|---|
//! | `GATEWAY_INTERFACE`, `SERVER_SOFTWARE` | `CGI/1.1`, and the host's name and version |
//! | `SERVER_PROTOCOL`, `REQUEST_METHOD` | as `HTTP/1.1` and `GET` |
//! | `SERVER_NAME`, `SERVER_PORT` | the two parts of the header `host`; without them `localhost` and 80 |
//! | `REQUEST_URI` | the path and the query as they were sent |
//! | `SCRIPT_NAME` | the path's first segment where that is the function's name, as `/shop`; else empty |
//! | `PATH_INFO` | the rest of the path, its percent-encoding undone, save `%00` |
//! | `QUERY_STRING` | the query as it was sent, or empty |
//! | `CONTENT_TYPE` | that header, where there is one |
//! | `CONTENT_LENGTH` | the length of the body, where it is known and not 0 |
//! | `REMOTE_ADDR` | the client's address, where there is one |
//! | `HTTP_`... | the other headers: `HTTP_X_ONE` is `x-one`, several of one name joined by `, ` (`cookie` by `; `) |
//! | `TRACEPARENT`, `TRACESTATE` | the function's own step of its trace, and that value of the context |
//! | `HOURGLASS_FUNCTION`, `HOURGLASS_REQUEST_ID` | those values of the context |
//! | `HOURGLASS_REMAINING_MS` | milliseconds until the deadline, when the environment is first asked for |
//! | `HOURGLASS_ROUTE_`... | the route's parameters: `HOURGLASS_ROUTE_ID` is `route.id` |
//! | `HOURGLASS_VALUE_`... | the other values: `HOURGLASS_VALUE_TENANT` is `tenant` |
//!
//! Of headers, parameters and values only those are there whose name is made of lower-case letters,
//! digits and `-`: others could be taken for one of these. There is no `HTTP_PROXY`. What has a zero
//! byte is left out, and what is more than 256 KiB in all. The function's settings are there as well;
//! one that has a name as above is refused when the function is deployed, so that neither can be
//! taken for the other.
//!
//! **The response** is standard output: a head, a blank line, and the body; or only the body. It
//! begins with a head when each line before the first blank one is `name: value`, without a blank
//! before the colon, and one of the names is `Status`, `Content-Type` or `Location`. Lines end with
//! LF or CRLF; a head has at most 64 KiB and 256 headers. `Status` is a number, and perhaps a reason
//! that is dropped; without it the status is 302 where there is a `Location`, else 200. A head with
//! another status, name or value than HTTP allows is a bad response, and so is an empty output.
//! Where there is no head, the status is 200 and the type `text/plain; charset=utf-8`, or
//! `application/octet-stream` where what is printed first is not UTF-8.
//!
//! What is printed goes out when the program is about to wait, has printed more than 16 KiB, or
//! prints something 10 ms after the first of it; printing waits when the client is slower. As long
//! as nothing went out, a failure is told as for every other function; later the client sees the
//! response break off. Printing fails with `EPIPE` when nothing more of it is taken.
//!
//! Standard error goes to the log, as ever. The program is done when `_start` returns or it exits
//! with code 0.
//!
//! # Layout
//!
//! The imports are wrapped in safe functions: `exchange` has those of the request and the response,
//! `context`, `call`, `fetch`, `log` and `sha2` the others.

#![allow(unsafe_code, reason = "the host's functions are foreign functions")]

#[cfg(target_arch = "wasm32")]
pub(crate) mod call;
#[cfg(target_arch = "wasm32")]
pub(crate) mod context;
#[cfg(target_arch = "wasm32")]
pub(crate) mod exchange;
#[cfg(target_arch = "wasm32")]
pub(crate) mod fetch;
#[cfg(target_arch = "wasm32")]
pub(crate) mod log;
#[cfg(all(target_arch = "wasm32", feature = "sha2"))]
pub(crate) mod sha2;

#[doc(inline)]
pub use hourglass_abi::code::{
    ABSENT, BODY_FAILED, CANCELED, DEADLINE_EXCEEDED, INVALID, RESERVED,
};
#[doc(inline)]
pub use hourglass_abi::limit::{
    FUNCTION_NAME as MAX_FUNCTION_NAME, HEAD as MAX_HEAD, QUOTE as MAX_QUOTE, VALUE as MAX_VALUE,
    VALUE_NAME as MAX_NAME,
};
#[doc(inline)]
pub use hourglass_abi::{MODULE, TYPED};

/// What a code says about a context.
#[cfg(target_arch = "wasm32")]
pub(crate) fn done(code: i32) -> Option<crate::Done> {
    match code {
        CANCELED => Some(crate::Done::Canceled),
        DEADLINE_EXCEEDED => Some(crate::Done::DeadlineExceeded),
        _ => None,
    }
}

/// Why the host refuses a request's head of this length.
#[cfg(target_arch = "wasm32")]
pub(crate) fn refused(head: usize) -> String {
    if head > MAX_HEAD {
        return format!("the request's head has {head} bytes, the most is {MAX_HEAD}");
    }
    "the host refuses the request's head: it has more than 256 headers, or is not HTTP".to_owned()
}

/// A handle; an error is the host's code.
#[cfg(target_arch = "wasm32")]
fn handle(code: i32) -> Result<i32, i32> {
    if code < 0 { Err(code) } else { Ok(code) }
}

/// Calls a function that fills a buffer with something of unknown size: once with the room that it
/// will likely take, and again should that not have been enough. `None` when the function fails.
#[cfg(target_arch = "wasm32")]
fn sized(likely: usize, fill: impl Fn(*mut u8, usize) -> i32) -> Option<Vec<u8>> {
    let mut buffer = Vec::with_capacity(likely);
    loop {
        let len = usize::try_from(fill(buffer.as_mut_ptr(), buffer.capacity())).ok()?;
        if len <= buffer.capacity() {
            // SAFETY: the host wrote all `len` bytes, because they fit.
            unsafe { buffer.set_len(len) };
            return Some(buffer);
        }
        buffer.reserve_exact(len);
    }
}
