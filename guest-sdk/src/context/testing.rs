//! What only a test may do to a context.

use std::fmt;
use std::sync::Arc;

use super::native::{Adds, Node};
use super::{Context, Key};
use crate::{IntoResponse, Request, Response, Result};

/// What answers calls of a function.
pub(crate) type Handler = Arc<dyn Fn(&Context, Request) -> Result<Response> + Send + Sync>;

/// Contexts for tests. These do not exist inside of a host, where the first context is the
/// invocation's own, and the host knows which functions there are.
impl Context {
    /// The root of a tree: never done, without a deadline, without values and functions.
    #[must_use]
    pub fn background() -> Self {
        Self(Node::background())
    }

    /// A context with a value as the host sets it: unlike [`with_value`](Self::with_value), it takes
    /// those that are the host's own.
    ///
    /// ```
    /// use hourglass_sdk::{Context, keys};
    ///
    /// let ctx = Context::background().with_host_value(&keys::PRINCIPAL, "ada".to_owned());
    /// assert_eq!(ctx.value(&keys::PRINCIPAL).as_deref(), Some("ada"));
    /// ```
    #[must_use]
    pub fn with_host_value<T: fmt::Display>(&self, key: &Key<T>, value: T) -> Self {
        Self(self.0.derive(Adds::Value(key.name().to_owned(), value.to_string())))
    }

    /// A context of a function that has this setting.
    ///
    /// ```
    /// use hourglass_sdk::Context;
    ///
    /// let ctx = Context::background().with_config("GREETING", "hi");
    /// assert_eq!(ctx.config("GREETING").as_deref(), Some("hi"));
    /// assert_eq!(ctx.config("PASSWORD"), None);
    /// ```
    #[must_use]
    pub fn with_config(&self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self(self.0.derive(Adds::Config(name.into(), value.into())))
    }

    /// A context under which calls of the function `name` are answered by `handler`, which takes the
    /// place of one further up. Contexts that are derived from it inherit that.
    ///
    /// ```
    /// use hourglass_sdk::{Context, Request};
    ///
    /// let ctx = Context::background().with_function("greet", |_, req: Request| {
    ///     format!("hello {}", req.uri().path())
    /// });
    /// let answer = ctx.call("greet", Request::get("/Ada").body(()).unwrap()).unwrap();
    /// assert_eq!(answer.body().text().unwrap(), "hello /Ada");
    /// ```
    ///
    /// The handler runs on a thread of its own, under a child of the context that the call was made
    /// under, and sees what it would see inside of a host: the values, and its own name as
    /// [`keys::FUNCTION`](crate::keys::FUNCTION). How the call ends is as inside of a host too:
    ///
    /// | the handler | the caller gets |
    /// |---|---|
    /// | returns a response, or an [`Error`](crate::Error) that is answered | that response |
    /// | returns [`Done`](crate::Done), and its context is | [`CallError::Done`](crate::CallError::Done) |
    /// | panics | [`CallError::Trap`](crate::CallError::Trap) |
    ///
    /// What is not as inside of a host: nothing interrupts a handler that does not look at its
    /// context, and no limit is enforced.
    #[must_use]
    pub fn with_function<H, R>(&self, name: impl Into<String>, handler: H) -> Self
    where
        H: Fn(&Self, Request) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let handler: Handler = Arc::new(move |ctx, req| handler(ctx, req).into_response());
        Self(self.0.derive(Adds::Function(name.into(), handler)))
    }

    /// A context under which every fetch is answered by `handler`, which sees the request with its
    /// absolute URI, and takes the place of one further up. Without one every fetch fails as
    /// [`FetchError::Forbidden`](crate::FetchError::Forbidden), so that no test reaches the network.
    ///
    /// ```
    /// use hourglass_sdk::{Context, Request};
    ///
    /// let ctx = Context::background().with_fetch(|_, req: Request| {
    ///     format!("you asked {:?}", req.uri().host())
    /// });
    /// let answer = ctx.fetch(Request::get("https://example.com/").body(()).unwrap()).unwrap();
    /// assert_eq!(answer.body().text().unwrap(), "you asked Some(\"example.com\")");
    /// ```
    ///
    /// The handler runs as one of [`with_function`](Self::with_function) does. One that panics is
    /// [`FetchError::BadResponse`](crate::FetchError::BadResponse) for whoever fetches.
    #[must_use]
    pub fn with_fetch<H, R>(&self, handler: H) -> Self
    where
        H: Fn(&Self, Request) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let handler: Handler = Arc::new(move |ctx, req| handler(ctx, req).into_response());
        Self(self.0.derive(Adds::Fetcher(handler)))
    }
}
