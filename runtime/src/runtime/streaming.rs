//! Invocations whose response is handed out before their end.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::Runtime;
use super::asked::Asked;
use super::asker::{Ask, Asker};
use super::usage::FinalUsage;
use crate::body::{Body, BodyError, Request, Response};
use crate::context::Context;
use crate::error::InvokeError;
use crate::function::Entry;
use crate::guest::Outlet;
use crate::outcome::{Outcome, Usage};

impl Runtime {
    /// Runs a function once as [`invoke`](Self::invoke) does, and gives its
    /// response as soon as its head is there: the body then comes while the
    /// function writes it, and a slow reader makes the function wait.
    ///
    /// A response that the function gives as a whole has the invocation's
    /// [`Usage`] in its extensions. Every response has a [`FinalUsage`] there,
    /// which tells it once the invocation has ended.
    /// Where the function fails in the middle of its response the body ends with
    /// the [`InvokeError`] as its error: only a body that ends without one is
    /// complete.
    ///
    /// It must be called on a tokio runtime with time enabled. An invocation that
    /// does not end at once goes on as a task of it, so that it needs nobody to
    /// read the body, save where the function waits for that.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke), for what fails before the head is there.
    ///
    /// # Cancel safety
    /// Dropping the future, or the body before its end, cancels the invocation
    /// with [`Cause::ClientDisconnected`](crate::Cause::ClientDisconnected), at
    /// once or when the function's [`detach`](crate::Limits::detach) is over, and
    /// it has its grace.
    ///
    /// ```no_run
    /// # async fn example(runtime: hourglass::Runtime) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// use hourglass::Context;
    ///
    /// let request = http::Request::new(());
    /// let response = runtime.invoke_streaming(&Context::background(), "ticker", request).await?;
    /// let mut body = response.into_body();
    /// while let Some(piece) = body.next().await {
    ///     println!("{:?}", piece?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn invoke_streaming<B: Into<Body>>(
        &self,
        ctx: &Context,
        name: &str,
        request: http::Request<B>,
    ) -> Result<Response, InvokeError> {
        let function = self.0.find(name)?;
        self.run_streaming(function, ctx, request.map(Into::into)).await
    }

    /// Runs a function that was found.
    pub(super) async fn run_streaming(
        &self,
        function: Arc<Entry>,
        ctx: &Context,
        request: Request,
    ) -> Result<Response, InvokeError> {
        let (ctx, cancel) = super::step(ctx).with_timeout(function.limits.timeout);
        let (outlet, early) = Outlet::new();
        let (ends, usage) = FinalUsage::new();
        let run = run(self.clone(), function.clone(), ctx, request, outlet);
        let run = async move {
            let ended = run.await;
            ends.tell(match &ended {
                Ok((_, usage)) => *usage,
                Err(error) => error.usage(),
            });
            ended.map(|(mut response, usage)| {
                response.extensions_mut().insert(usage);
                response
            })
        };
        let detach = function.limits.detach;
        let asker = Asker { ask: Embedder(Handle::current()), cancel: Some(cancel), detach };
        match Asked::new(Box::pin(run), Some(early), asker).await {
            Ok(ended) => ended.map(|mut response| {
                response.extensions_mut().insert(usage);
                response
            }),
            Err(lost) => {
                let outcome = Outcome::Host(lost.to_string());
                Err(InvokeError::new(function.name.clone(), outcome, Usage::default()))
            }
        }
    }
}

async fn run(
    runtime: Runtime,
    function: Arc<Entry>,
    ctx: Context,
    request: Request,
    outlet: Outlet,
) -> Result<(Response, Usage), InvokeError> {
    runtime.0.start(&function, &ctx, request, Some(outlet))?.finish().await
}

/// Whoever holds a runtime, with the tokio runtime that they are on.
#[derive(Clone)]
struct Embedder(Handle);

impl Ask for Embedder {
    type Failure = InvokeError;

    fn tasks(&self) -> &Handle {
        &self.0
    }

    fn broken_off(failure: InvokeError) -> BodyError {
        failure.into()
    }
}
