//! The SDK for writing Hourglass functions.
//!
//! A function is a plain binary crate, built for `wasm32-wasip1`. Its `main` passes a handler to
//! [`serve`]; the handler turns a [`Request`] into a response on behalf of a [`Context`].
//!
//! ```no_run
//! use hourglass_sdk::{serve, Context, Request, Response, Result};
//!
//! fn main() {
//!     serve(hello)
//! }
//!
//! fn hello(ctx: &Context, req: Request) -> Result<Response> {
//!     ctx.check()?; // Err(Done) once the context is done
//!     Ok(Response::new(format!("hello {}, {:?} left\n", req.uri().path(), ctx.remaining()).into()))
//! }
//! ```
//!
//! A handler is an ordinary function. Tests call it natively, without a runtime:
//!
//! ```
//! # use hourglass_sdk::{Context, Request, Response, Result};
//! # fn hello(ctx: &Context, req: Request) -> Result<Response> {
//! #     ctx.check()?;
//! #     Ok(Response::new(format!("hello {}", req.uri().path()).into()))
//! # }
//! let (ctx, cancel) = Context::background().with_cancel();
//! assert!(hello(&ctx, Request::default()).is_ok());
//!
//! cancel.cancel();
//! assert!(hello(&ctx, Request::default()).is_err());
//! ```
//!
//! To test calls of other functions, register handlers for them:
//!
//! ```
//! # use hourglass_sdk::{Context, Request, Response, Result};
//! # fn shop(ctx: &Context, _: Request) -> Result<String> {
//! #     let price = ctx.call("price", Request::get("/price/tea").body(())?)?;
//! #     Ok(format!("tea for {}", price.body().text()?))
//! # }
//! let ctx = Context::background().with_function("price", |_, _| "3.50");
//! assert_eq!(shop(&ctx, Request::default()).unwrap(), "tea for 3.50");
//! ```
//!
//! # Layout
//!
//! - [`serve`], [`serve_with`]: the entry points that `main` calls; one request in, one response
//!   out.
//! - [`Context`]: the invocation's deadline, cancellation and values, and contexts derived from it;
//!   [`Done`], [`Cause`], [`Cancel`], [`Key`].
//! - [`Context::call`], [`Context::start`]: calls of other functions; [`Group`], [`CallError`].
//! - [`Context::fetch`], [`Context::start_fetch`]: requests to other hosts; [`Redirects`],
//!   [`HeadTimeout`], [`FetchError`].
//! - [`Pending`], [`select`], [`join_all`]: calls and fetches in progress.
//! - [`Body`], [`BodyError`], [`Writer`], [`Json`], [`IntoResponse`]: the input and the output of a
//!   handler, buffered or streamed.
//! - [`Error`]: the target of `?` for any error in a handler; [`IntoError`], and [`Problem`], the
//!   error document for the client.
//! - [`log`](mod@log): sends the records of the crate `log` to the host's log.
//! - `tracing`, with the feature of that name: the same for the crate `tracing`.
//! - `sha2`, with the feature of that name: SHA-256 at the speed of the host's processor.
//! - [`abi`]: the interface to the host, for functions that are written without this crate.
//! - `host`, `native`: the implementation, inside and outside a host.
//! - `record`: records for the host's log. `wire`: the encoding that the interface uses. `named`:
//!   conversion between failures and their names in that encoding.

pub mod abi;
mod body;
mod call;
mod context;
mod error;
mod fetch;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(feature = "log")]
pub mod log;
mod named;
#[cfg(not(target_arch = "wasm32"))]
mod native;
mod pending;
mod problem;
#[cfg(any(target_arch = "wasm32", test, feature = "tracing"))]
mod record;
mod response;
mod serve;
#[cfg(feature = "sha2")]
pub mod sha2;
#[cfg(feature = "tracing")]
pub mod tracing;
#[cfg(any(target_arch = "wasm32", test))]
mod wire;

#[cfg(target_arch = "wasm32")]
use host as platform;
#[cfg(not(target_arch = "wasm32"))]
use native as platform;

pub use body::{Body, BodyError, Writer};
pub use call::{CallError, Group};
pub use context::{Cancel, Cause, Context, Done, Key, keys};
pub use error::{Error, IntoError, Result};
pub use fetch::{FetchError, HeadTimeout, Redirects};
pub use pending::{Failure, Pending, join_all, select};
pub use problem::Problem;
pub use response::{IntoResponse, Json};
pub use serve::{serve, serve_with};

pub use bytes::Bytes;
pub use http;
pub use http::{Method, StatusCode, header};

/// A request: an [`http::Request`] with a [`Body`] that is read on demand.
///
/// Its URI has the origin form: the client's whole path and query, without scheme and host (the
/// host is in the `host` header). Its version is always `HTTP/1.1`; the host does not pass the
/// client's version on to functions.
pub type Request<B = Body> = http::Request<B>;

/// A response: an [`http::Response`] with its [`Body`], buffered or [streamed](Body::stream).
///
/// The host writes `content-length` and `date` itself.
pub type Response<B = Body> = http::Response<B>;

/// The pages about functions: their code is tested with this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/write-a-function.md")]
    mod write_a_function {}
    #[doc = include_str!("../../docs/calls-and-fetch.md")]
    mod calls_and_fetch {}
}
