//! The interface between a function and its host, version 1. This page is its reference.
//!
//! Everything else in this crate is convenience on top of it. A function can be written in any
//! language that can import these functions, or the subset that it needs. This module is also the
//! only one in the crate with `unsafe` code.
//!
//! # The module
//!
//! A function is a WASI preview 1 command: a WebAssembly module that exports its `memory` and
//! `_start`. The host calls `_start` once per invocation, in a fresh instance, so no state survives
//! from one invocation to the next. The outcome depends on how `_start` ends:
//!
//! - It calls `respond` and returns, or exits with code 0: the client gets that response.
//! - It returns without calling `respond`: a bad response.
//! - It traps, or exits with another code: a failure, which voids a response given before. If the
//!   context is done, however, the outcome is the context's: its deadline or its cancellation.
//!
//! A module that imports none of the functions of [the request and the
//! response](#the-request-and-the-response) gets them in [another way](#any-other-program).
//!
//! # The version
//!
//! All functions are imported from the module [`MODULE`], which has the version in its name. The
//! host checks a module's imports at deployment and rejects a version that it does not serve with
//! an error that names both versions. Nothing is checked when a function runs.
//!
//! # Values
//!
//! - Pointers and lengths are unsigned 32-bit offsets and sizes in the guest's memory, passed as
//!   `i32`. A range outside the memory traps.
//! - Codes are `i32`. Zero, a length or a handle means success; negative numbers are the constants
//!   below.
//! - Times are `i64` nanoseconds.
//! - Encoded integers are unsigned and little-endian, without padding. `str` and `bytes` are a
//!   `u32` length followed by that many bytes; `str` is UTF-8. `pairs` are `count: u32` followed by
//!   `count` times `name: str` and `value: bytes`.
//!
//! # Limits
//!
//! - A function's name has at most [`MAX_FUNCTION_NAME`] bytes.
//! - A head has at most [`MAX_HEAD`] bytes when encoded, and at most 256 headers. This applies to
//!   responses, to requests to other functions and hosts, and to the responses to those.
//! - Text that the host quotes in an error, such as a header's name or the last line on standard
//!   error, is truncated to [`MAX_QUOTE`] bytes. An ellipsis (`…`) marks the truncation.
//!
//! The host checks a length before it reads anything. Heads count like bodies. All requests and
//! responses that an invocation's calls hold at once have together at most as many bytes as the
//! invocation's memory limit. The heads and request bodies of all fetches of a function have
//! together at most 256 MiB.
//!
//! # Ownership
//!
//! All memory belongs to the guest. The host allocates nothing, writes only to the range that the
//! guest passed, and keeps no pointer past the call.
//!
//! Functions that return a value of unknown size take a buffer as `ptr` and `cap`, and return the
//! length of the whole value. If the value fits in `cap`, it is written; otherwise nothing is
//! written, and the guest calls again with a larger buffer.
//!
//! Contexts, calls of other functions and fetches are identified by handles, `i32` numbers that the
//! host chooses. The guest that receives a handle must close it; all handles end with the
//! invocation. An unknown or closed handle traps.
//!
//! # The request and the response
//!
//! | function | returns |
//! |---|---|
//! | `request(ptr, cap) -> i32` | the length of the request's head |
//! | `body_read(ptr, cap) -> i32` | the number of body bytes read, 0 at the end |
//! | `respond(head_ptr, head_len, body_ptr, body_len) -> i32` | 0 |
//! | `respond_begin(head_ptr, head_len) -> i32` | 0 |
//! | `respond_write(ptr, len) -> i32` | the number of bytes of the piece that were accepted |
//!
//! **`request`** returns the head: `body_len: u64` (`u64::MAX` if unknown), `method: str`,
//! `uri: str` (origin form: path and query), and the headers as `pairs`, with names in lower case.
//! It can be called any number of times.
//!
//! **`body_read`** waits for the next piece of the request's body and writes at most `cap` bytes of
//! it to `ptr`. Returns [`CANCELED`] or [`DEADLINE_EXCEEDED`] if the invocation's context is done
//! first, [`BODY_FAILED`] if the client broke off or sent more than the function accepts, and
//! [`INVALID`] if `cap` is 0.
//!
//! **`respond`** sets the whole response; the host sends it when `_start` returns. The head is
//! `status: u16` followed by the headers as `pairs`. Returns [`INVALID`] if the head is malformed
//! or too long, or if a response was set before, and [`BODY_FAILED`] if the body is too large.
//!
//! **`respond_begin`** commits the head of a response and lets the body follow in pieces. The
//! client receives the head at once. It replaces `respond` and returns [`INVALID`] in the same
//! cases.
//!
//! **`respond_write`** sends the next piece of that body, or as much of it as is accepted at once.
//! It waits until the host's buffer, which is a few pieces, has space for it. Returns [`CANCELED`]
//! or [`DEADLINE_EXCEEDED`] if the invocation's context is done while it waits, [`BODY_FAILED`] if
//! the client no longer reads the response or the response is too large, and [`INVALID`] before
//! `respond_begin`. The body is complete when `_start` returns. After a failure, a trap or another
//! exit code, the client sees a truncated response.
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
//! | `context_with_value(parent, name_ptr, name_len, value_ptr, value_len) -> i32` | the handle of a context with a value |
//! | `context_without_cancel(parent) -> i32` | the handle of a context that is not done with its parent |
//! | `context_cancel(ctx, cause_ptr, cause_len) -> i32` | 0 |
//! | `context_drop(ctx)` | |
//!
//! Handle 0 is the invocation's own context. All others are derived from it by the functions that
//! return a handle. More than 4,096 of them at once trap.
//!
//! **`context_err`** returns [`CANCELED`] or [`DEADLINE_EXCEEDED`] if the context is done. Once the
//! context is done, the result never changes.
//!
//! **`context_remaining`** returns 0 after the deadline, and -1 if there is no deadline.
//!
//! **`context_cause`** returns the reason why the context is done. The text form of a cause is
//! `name` or `name: message`. The name is one of `canceled`, `deadline-exceeded`,
//! `client-disconnected`, `parent-done`, `shutdown`, `operator`, `limit-exceeded` and `custom`; a
//! host may add others. Returns [`ABSENT`] while the context is not done.
//!
//! **`context_value`** returns the value with a wire name, such as `request-id` or `function`, as
//! UTF-8 text. Returns [`ABSENT`] if there is no such value or the name is longer than [`MAX_HEAD`]
//! bytes, and [`INVALID`] if the name is not UTF-8.
//!
//! **`context_values`** returns all values as `pairs`, with values of type `str`. The nearest
//! values come first; a value that a nearer one of the same name shadows is omitted.
//!
//! **`context_sleep`** waits for that time, or until the context is done; then it returns
//! [`CANCELED`] or [`DEADLINE_EXCEEDED`]. With a negative time it waits until the context is done.
//!
//! **`context_derive`** creates a child that is done after that many nanoseconds, when its parent
//! is done, or when it is canceled. A negative time sets no timeout.
//!
//! **`context_with_value`** creates a context with one more value, otherwise identical to its
//! parent. Returns [`INVALID`] if the name or the value is not UTF-8, the name is empty or longer
//! than [`MAX_NAME`] bytes, or the value is longer than [`MAX_VALUE`] bytes. Returns [`RESERVED`]
//! if the name is reserved for the host: `request-id`, `function`, `principal`, `client-address`,
//! `traceparent`, `tracestate`, any name that starts with `route.`, and the names that the embedder
//! reserves.
//!
//! **`context_without_cancel`** creates a context that has its parent's values and is not done when
//! the parent is. It ends with the invocation, or, if the host's configuration of the function sets
//! `detach`, that long after the invocation.
//!
//! **`context_cancel`** cancels a context with a cause in text form. A cause that only the host can
//! know (`client-disconnected`, `parent-done`, `shutdown`, `operator`, `deadline-exceeded`) becomes
//! `custom: ` followed by that text. The text is truncated to [`MAX_QUOTE`] bytes. It has no effect
//! if the context is already done. Returns [`INVALID`] for handle 0, and for a context from
//! `context_with_value` or `context_without_cancel`.
//!
//! **`context_drop`** closes the handle. If the context can be canceled and is not done, it is
//! canceled with the cause `canceled`. Handle 0 is ignored.
//!
//! # Calls of other functions
//!
//! | function | returns |
//! |---|---|
//! | `call(ctx, name_ptr, name_len, head_ptr, head_len, body_ptr, body_len, ptr, cap) -> i64` | the length of the result, or the handle of a call |
//! | `call_start(ctx, name_ptr, name_len, head_ptr, head_len, body_ptr, body_len) -> i32` | the handle of a call |
//! | `call_wait(ctx, list_ptr, count) -> i32` | the index in the list of a call that has ended |
//! | `call_result(call, ptr, cap) -> i32` | the length of the result |
//! | `call_drop(call)` | |
//! | `call_detach(call)` | |
//!
//! **`call_start`** sends a request to the function of that name, under a child of `ctx`, and does
//! not wait for it. The head is `method: str`, `uri: str` (origin form) and the headers as `pairs`.
//! Returns [`INVALID`] if the head is malformed or too long, or the name is not UTF-8 or too long.
//! Any other failure (an unknown function, a busy host, ...) is the call's result.
//!
//! **`call`** does the same and is faster for a caller that only waits: the callee runs at once. If
//! the callee ends without waiting and its result fits in `cap`, the result is written as by
//! `call_result` and its length is returned. Otherwise the upper 32 bits of the return value are
//! the handle of the call, which is never 0, and the lower 32 bits are 0: continue with
//! `call_wait`. A negative return value is a code.
//!
//! **`call_wait`** waits until one of the calls in a list of `count` handles, a `u32` each, has
//! ended, and returns its index. If several have ended, it returns the first. Returns [`CANCELED`]
//! or [`DEADLINE_EXCEEDED`] if `ctx` is done before any call has ended, and [`INVALID`] if `count`
//! is 0.
//!
//! **`call_result`** returns the result of a call that has ended, and closes the handle if the
//! result fitted in `cap`. Returns [`INVALID`] while the call has not ended. The result is
//! `status: u16`, followed by
//!
//! - a response, if the status is not 0: the headers as `pairs`; all bytes that follow are the
//!   body;
//! - a failure, if the status is 0: `outcome: str`, its name; `text: str`, a description; and
//!   `cause: str`, the text form of the cause, empty if there is no cause.
//!
//! The names of failures are `not-found`, `forbidden` (the caller may not call this function),
//! `busy`, `draining`, `canceled`, `deadline-exceeded`, `trap`, `exit`, `out-of-memory`,
//! `bad-response`, `body-too-large`, `response-too-large`, `bad-request`, `depth-exceeded`,
//! `calls-exceeded` and `host`; a host may add others.
//!
//! **`call_drop`** closes a call's handle. More than 4,096 handles at once trap. A call that has
//! not ended is canceled with the cause `canceled`.
//!
//! **`call_detach`** closes the handle and lets the call continue. The call ends with the context
//! that it was started under. To outlive the invocation, it needs a context from
//! `context_without_cancel` and a function with a `detach` setting.
//!
//! # Requests to other hosts
//!
//! | function | returns |
//! |---|---|
//! | `fetch_start(ctx, redirects, head_ptr, head_len, body_ptr, body_len) -> i32` | the handle of a fetch |
//! | `fetch_write(fetch, ptr, len) -> i32` | the number of bytes of the piece that were accepted |
//! | `fetch_head(fetch, ptr, cap) -> i32` | the length of the response's head, or of the failure |
//! | `fetch_read(fetch, ptr, cap) -> i32` | the number of body bytes read, 0 at the end |
//! | `fetch_drop(fetch)` | |
//!
//! **`fetch_start`** sends a request to another host, under a child of `ctx`, and does not wait for
//! it. The head is `method: str`, `url: str` (absolute, `http` or `https`) and the headers as
//! `pairs`. The host follows at most `redirects` redirects: none if it is 0, and never more than
//! 20. If `body_len` is `u32::MAX`, the body follows through `fetch_write`. If it is
//! `u32::MAX - 1`, the body is the rest of the invocation's own request body, which the host
//! forwards by itself. The host removes hop-by-hop headers and `host`, and adds the context's
//! remaining time, the trace context and the request id. Returns [`INVALID`] if the head is
//! malformed or too long. Any other failure is the fetch's result.
//!
//! **`fetch_write`** sends the next piece of the request's body, or as much of it as is accepted at
//! once, and waits until there is space for it. An empty piece ends the body. If the head has a
//! `content-length`, the host sends it to the other host, and the body must have exactly that
//! length. Returns [`BODY_FAILED`] if the body is no longer accepted, because the response has
//! arrived or the fetch has failed. Returns [`CANCELED`] or [`DEADLINE_EXCEEDED`] if the context is
//! done while it waits.
//!
//! **`call_wait`** also accepts handles of fetches, mixed with those of calls in one list. A fetch
//! has ended for `call_wait` once the response's head has arrived or the fetch has failed.
//!
//! **`fetch_head`** returns that head or failure, and [`INVALID`] before. The format is that of a
//! call's result, but a response has `body_len: u64` in place of the body, `u64::MAX` if unknown.
//! The names of failures are `bad-request` (the URL), `request-body` (it broke off), `forbidden`
//! (the function may not reach the host or the address that it resolves to), `unresolved`,
//! `unreachable`, `tls`, `bad-response`, `response-too-large`, `redirect` (too many redirects, or
//! an invalid one), `fetches-exceeded`, `canceled` and `deadline-exceeded`; a host may add others.
//!
//! **`fetch_read`** waits for the next piece of the response's body and writes at most `cap` bytes
//! of it to `ptr`. Returns [`CANCELED`] or [`DEADLINE_EXCEEDED`] if the context is done first,
//! [`BODY_FAILED`] if the body broke off (`fetch_head` then returns the reason), and [`INVALID`] if
//! `cap` is 0.
//!
//! **`fetch_drop`** closes the handle and ends the rest of the fetch. More than 1,024 handles at
//! once trap.
//!
//! # The log
//!
//! | function | returns |
//! |---|---|
//! | `log(level, ptr, len) -> i32` | the last level that the host logs |
//!
//! Standard output and standard error are logged line by line. **`log`** logs a record with a
//! level: 1 is error, 2 warning, 3 info, 4 debug, 5 trace. The record is `message: str`,
//! `target: str` (the part of the function that logs) and `pairs`, at most 64 names with values of
//! type `str`. Bytes that are not UTF-8 are replaced. The host adds the function, the request id
//! and the trace context. Returns [`INVALID`] for any other level and for a malformed record.
//!
//! With [`TYPED`] added to the level, values have types. A value that begins with `"` is the text
//! after the quote, without escapes. Any other value is logged as the number, `true`, `false` or
//! `null` that it is in JSON, or else as text. A record at level 1 also appears in the report of a
//! trap, as standard error does.
//!
//! Level 0 logs nothing and reads no record. Levels above the returned one are not logged and need
//! not be sent; 0 means that nothing is logged. A record of more than [`MAX_HEAD`] bytes is
//! dropped.
//!
//! The host limits what it logs per invocation, and per function and second. The log says so if
//! something was dropped.
//!
//! # Digests
//!
//! | function | returns |
//! |---|---|
//! | `sha256(hash_ptr, blocks_ptr, count) -> i32` | the number of blocks that were processed |
//!
//! **`sha256`** adds blocks of 64 bytes each to a SHA-256 hash, at most 1,024 per call: call again
//! for the rest. The state is eight `u32` at `hash_ptr`, which are read and written. The guest sets
//! the initial state and pads the last block.
//!
//! # Any other program
//!
//! A module that imports none of the functions of the request and the response runs like a CGI
//! script (RFC 3875), so that any WASI preview 1 command, in any language, is a function. The host
//! decides this at deployment. The module may import all other functions on this page.
//! `guest-sdk/bindings` has wrappers of the functions of the invocation's own context for C, Go and
//! Zig.
//!
//! **The request's body** is standard input, piece by piece as it arrives. Reading fails with `EIO`
//! if the client broke off or sent more than the function accepts, and returns the end of the input
//! if the context is done. In both cases the program's output is not a valid response: the outcome
//! is the reason. An exception is a program that has called `context_err` since the context was
//! done: it knows about the end, and may respond within its grace period.
//!
//! **The request's head and its context** are in the environment:
//!
//! | variable | value |
//! |---|---|
//! | `GATEWAY_INTERFACE`, `SERVER_SOFTWARE` | `CGI/1.1`, and the host's name and version |
//! | `SERVER_PROTOCOL`, `REQUEST_METHOD` | for example `HTTP/1.1` and `GET` |
//! | `SERVER_NAME`, `SERVER_PORT` | the two parts of the header `host`; without it `localhost` and 80 |
//! | `REQUEST_URI` | the path and the query as sent |
//! | `SCRIPT_NAME` | the path's first segment, such as `/shop`, if it is the function's name; else empty |
//! | `PATH_INFO` | the rest of the path, percent-decoded except for `%00` |
//! | `QUERY_STRING` | the query as sent, or empty |
//! | `CONTENT_TYPE` | that header, if present |
//! | `CONTENT_LENGTH` | the length of the body, if it is known and not 0 |
//! | `REMOTE_ADDR` | the client's address, if there is one |
//! | `HTTP_`... | the other headers: `HTTP_X_ONE` is `x-one`, several of one name joined by `, ` (`cookie` by `; `) |
//! | `TRACEPARENT`, `TRACESTATE` | the function's own span in its trace, and the context value `tracestate` |
//! | `HOURGLASS_FUNCTION`, `HOURGLASS_REQUEST_ID` | the context values of these names |
//! | `HOURGLASS_REMAINING_MS` | milliseconds until the deadline, when the environment is first read |
//! | `HOURGLASS_ROUTE_`... | the route's parameters: `HOURGLASS_ROUTE_ID` is `route.id` |
//! | `HOURGLASS_VALUE_`... | the other values: `HOURGLASS_VALUE_TENANT` is `tenant` |
//!
//! Headers, parameters and values are included only if their name consists of lower-case letters,
//! digits and `-`; others could collide with one of the variables above. There is no `HTTP_PROXY`.
//! A variable that contains a zero byte is omitted, and so is everything past 256 KiB in total. The
//! environment also has the function's settings. A setting with a name from the table is rejected
//! when the function is deployed, so that the two cannot be confused.
//!
//! **The response** is standard output: a head, a blank line and the body, or only the body. The
//! output begins with a head if each line before the first blank one has the form `name: value`,
//! without a space before the colon, and one of the names is `Status`, `Content-Type` or
//! `Location`. Lines end with LF or CRLF; a head has at most 64 KiB and 256 headers. `Status` is a
//! number with an optional reason, which is dropped; without it the status is 302 if there is a
//! `Location`, else 200. A head with a status, name or value that HTTP does not allow is a bad
//! response, and so is an empty output. Without a head, the status is 200 and the type is
//! `text/plain; charset=utf-8`, or `application/octet-stream` if the first output is not UTF-8.
//!
//! Output is sent when the program is about to wait, has printed more than 16 KiB, or prints again
//! 10 ms after the first unsent byte. Printing blocks if the client is slower. Until something was
//! sent, a failure is reported as for every other function; after that, the client sees a truncated
//! response. Printing fails with `EPIPE` if no more output is accepted.
//!
//! Standard error goes to the log, as for other functions. The program ends when `_start` returns
//! or it exits with code 0.
//!
//! # Layout
//!
//! Safe functions wrap the imports: `exchange` has those of the request and the response;
//! `context`, `call`, `fetch`, `log` and `sha2` have the others.

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

/// Converts a code to the end of a context that it stands for.
#[cfg(target_arch = "wasm32")]
pub(crate) fn done(code: i32) -> Option<crate::Done> {
    match code {
        CANCELED => Some(crate::Done::Canceled),
        DEADLINE_EXCEEDED => Some(crate::Done::DeadlineExceeded),
        _ => None,
    }
}

/// Explains why the host rejects a request's head of this length.
#[cfg(target_arch = "wasm32")]
pub(crate) fn refused(head: usize) -> String {
    if head > MAX_HEAD {
        return format!("the request's head has {head} bytes, the most is {MAX_HEAD}");
    }
    "the host refuses the request's head: it has more than 256 headers, or is not HTTP".to_owned()
}

/// Checks a returned handle. An error is the host's code.
#[cfg(target_arch = "wasm32")]
fn handle(code: i32) -> Result<i32, i32> {
    if code < 0 { Err(code) } else { Ok(code) }
}

/// Calls a function that fills a buffer with a value of unknown size: once with a buffer of the
/// likely size, and again if that was too small. `None` if the function fails.
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
