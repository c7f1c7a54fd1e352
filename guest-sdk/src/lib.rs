//! What a Hourglass function is written with.
//!
//! A function is a plain binary crate, built for `wasm32-wasip1`: its `main` hands a handler to
//! [`serve`], and the handler turns a [`Request`] into a response on behalf of a [`Context`].
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
//! A handler is an ordinary function, so it is tested like one, natively and without a runtime:
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
//! The functions that it calls are handlers that the test registers:
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
//! - [`serve`], [`serve_with`]: what `main` calls; one request in, one response out.
//! - [`Context`]: the invocation's deadline, cancellation and values, and what is derived from it;
//!   [`Done`], [`Cause`], [`Cancel`], [`Key`].
//! - [`Context::call`], [`Context::start`]: calls of other functions; [`Group`], [`CallError`].
//! - [`Context::fetch`], [`Context::start_fetch`]: requests to other hosts; [`Redirects`],
//!   [`HeadTimeout`], [`FetchError`].
//! - [`Pending`], [`select`], [`join_all`]: calls and fetches that were not waited for.
//! - [`Body`], [`BodyError`], [`Writer`], [`Json`], [`IntoResponse`]: what goes in and what may come out of a
//!   handler, whole or piece by piece.
//! - [`Error`]: what `?` makes of any error in a handler; [`IntoError`], and [`Problem`], which the
//!   client is told.
//! - [`log`](mod@log): the macros of the crate `log`, on their way to the host's log.
//! - `tracing`, with the feature of that name: the same for the crate `tracing`.
//! - `sha2`, with the feature of that name: SHA-256 at the speed of the host's processor.
//! - [`abi`]: the contract with the host, for whoever writes functions without this crate.
//! - `record`: what goes to the host's log. `wire`: the encoding that the contract uses; `named`: failures by their names in it.

pub mod abi;
mod body;
mod call;
mod context;
mod error;
mod fetch;
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

/// A request: an [`http::Request`] whose [`Body`] is here as soon as somebody looks at it.
///
/// Its URI has the origin form: the client's whole path and query, no scheme and no host (that is
/// in the `host` header). Its version is always `HTTP/1.1`; functions are not told it.
pub type Request<B = Body> = http::Request<B>;

/// A response: an [`http::Response`] with its [`Body`], whole or [streamed](Body::stream).
///
/// The host writes `content-length` and `date` itself.
pub type Response<B = Body> = http::Response<B>;
