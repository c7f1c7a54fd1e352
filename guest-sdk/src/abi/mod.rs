#![doc = include_str!("interface.md")]
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

/// Checks a returned handle, or the code of success. An error is the host's code.
#[cfg(target_arch = "wasm32")]
fn check(code: i32) -> Result<i32, i32> {
    if code < 0 { Err(code) } else { Ok(code) }
}

/// Checks a returned length. An error is the host's code.
#[cfg(target_arch = "wasm32")]
fn length(code: i32) -> Result<usize, i32> {
    usize::try_from(code).map_err(|_| code)
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
