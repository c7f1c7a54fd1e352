//! Methods of a context that only tests may call.

use std::fmt;
use std::sync::Arc;

use super::{Context, Key};
use crate::native::Node;
use crate::{IntoResponse, Request};

/// Contexts for tests. These methods do not exist inside a host: there the first context is the
/// invocation's own, and the host knows the deployed functions.
impl Context {
    /// Returns the root of a tree: never done, without a deadline, values or functions.
    #[must_use]
    pub fn background() -> Self {
        Self(Node::background())
    }

    /// Returns a context with a value as the host sets it. Unlike [`with_value`](Self::with_value),
    /// it accepts the names that are reserved for the host.
    ///
    /// ```
    /// use hourglass_sdk::{Context, keys};
    ///
    /// let ctx = Context::background().with_host_value(&keys::PRINCIPAL, "ada".to_owned());
    /// assert_eq!(ctx.value(&keys::PRINCIPAL).as_deref(), Some("ada"));
    /// ```
    #[must_use]
    pub fn with_host_value<T: fmt::Display>(&self, key: &Key<T>, value: T) -> Self {
        let value = (key.name().to_owned(), value.to_string());
        Self(self.0.extended(|scope| scope.values.push(value)))
    }

    /// Returns a context of a function that has this setting.
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
        Self(self.0.extended(|scope| scope.config.push((name.into(), value.into()))))
    }

    /// Returns a context under which `handler` answers calls of the function `name`. It replaces an
    /// inherited handler of that name. Derived contexts inherit it.
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
    /// under. It sees what it would see inside a host: the values, and its own name as
    /// [`keys::FUNCTION`](crate::keys::FUNCTION). The call also ends as it would inside a host:
    ///
    /// | the handler | the caller gets |
    /// |---|---|
    /// | returns a response, or an [`Error`](crate::Error) that is answered | that response |
    /// | returns [`Done`](crate::Done), and its context is | [`CallError::Done`](crate::CallError::Done) |
    /// | panics | [`CallError::Trap`](crate::CallError::Trap) |
    ///
    /// Two things differ from a host: nothing interrupts a handler that does not check its context,
    /// and no limit is enforced.
    #[must_use]
    pub fn with_function<H, R>(&self, name: impl Into<String>, handler: H) -> Self
    where
        H: Fn(&Self, Request) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let handler = Arc::new(move |ctx: &Self, req| handler(ctx, req).into_response());
        Self(self.0.extended(|scope| scope.functions.push((name.into(), handler))))
    }

    /// Returns a context under which `handler` answers every fetch. The handler receives the
    /// request with its absolute URI, and replaces an inherited handler. Without a handler every
    /// fetch fails with [`FetchError::Forbidden`](crate::FetchError::Forbidden), so that no test
    /// reaches the network.
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
    /// The handler runs as in [`with_function`](Self::with_function). If it panics, the fetch fails
    /// with [`FetchError::BadResponse`](crate::FetchError::BadResponse).
    #[must_use]
    pub fn with_fetch<H, R>(&self, handler: H) -> Self
    where
        H: Fn(&Self, Request) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let handler = Arc::new(move |ctx: &Self, req| handler(ctx, req).into_response());
        Self(self.0.extended(|scope| scope.fetcher = Some(handler)))
    }

    /// Returns a context under which `queue` receives the jobs that are submitted with
    /// [`enqueue`](Self::enqueue): the function's name, and the request. It runs none of them.
    /// Without a queue every submission fails with
    /// [`CallError::BadRequest`](crate::CallError::BadRequest), as on a host without one.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// use hourglass_sdk::{Context, Request};
    ///
    /// let (sender, jobs) = mpsc::channel();
    /// let ctx = Context::background().with_queue(move |function, _| {
    ///     sender.send(function.to_owned()).unwrap();
    /// });
    /// ctx.enqueue("invoice", Request::new("order 7")).unwrap();
    /// assert_eq!(jobs.recv().unwrap(), "invoice");
    /// ```
    #[must_use]
    pub fn with_queue(&self, queue: impl Fn(&str, Request) + Send + Sync + 'static) -> Self {
        Self(self.0.extended(|scope| scope.queue = Some(Arc::new(queue))))
    }
}
