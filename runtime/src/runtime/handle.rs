//! Functions that are not deployed under a name. The holder of a handle invokes
//! them.

use std::fmt;
use std::sync::Arc;

use super::Runtime;
use super::invoke::CallInfo;
use crate::body::{Body, Response};
use crate::context::Context;
use crate::error::{DeployError, InvokeError};
use crate::function::{Entry, Function, InstanceReuse};

/// A function that is ready to run and can only be reached by this handle.
/// Cheap to clone; the clones are one function.
///
/// When the last handle is dropped and no invocation of it is in flight, its idle
/// instances end, and its code is freed unless another function has the same
/// module.
///
/// ```no_run
/// # async fn example(runtime: hourglass::Runtime, upload: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
/// use hourglass::{Context, Function};
///
/// let function = runtime.prepare(Function::from_bytes("upload", upload)?)?;
/// let response = function.invoke(&Context::background(), http::Request::new("body")).await?;
/// println!("{}", response.status());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FunctionHandle {
    runtime: Runtime,
    function: Arc<Entry>,
}

impl Runtime {
    /// Prepares a function without deploying it: no client and no other
    /// function reaches it. Its name only identifies it in logs, and need not
    /// be unique. It may call deployed functions.
    ///
    /// This compiles as [`deploy`](Self::deploy) does: call it from a thread that
    /// may block.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub fn prepare(&self, function: Function) -> Result<FunctionHandle, DeployError> {
        let mut deployed = self.make_ready(&function)?;
        let telemetry = &self.0.telemetry;
        deployed.counters = telemetry.unnamed();
        deployed.usage_id = telemetry.usage_id("", Some(&deployed.version));
        let function = Arc::new(Entry::alone(Arc::new(deployed)));
        Ok(FunctionHandle { runtime: self.clone(), function })
    }
}

impl FunctionHandle {
    /// The function's name.
    pub fn name(&self) -> &str {
        &self.function.name
    }

    /// Its runtime and the function.
    pub(crate) fn parts(&self) -> (&Runtime, &Arc<Entry>) {
        (&self.runtime, &self.function)
    }

    /// How it gets its fresh instances.
    pub fn instance_reuse(&self) -> &InstanceReuse {
        &self.function.reuse
    }

    /// Runs the function once, as [`Runtime::invoke`] does.
    ///
    /// # Errors
    /// As [`Runtime::invoke`]; never [`Outcome::NotFound`](crate::Outcome::NotFound).
    ///
    /// # Cancel safety
    /// As [`Runtime::invoke`].
    pub async fn invoke<B: Into<Body>>(
        &self,
        ctx: &Context,
        request: http::Request<B>,
    ) -> Result<Response, InvokeError> {
        let info = CallInfo::default();
        self.runtime.invoke_entry(&self.function, ctx, request.map(Into::into), info).await
    }

    /// Runs the function once, as [`Runtime::invoke_streaming`] does.
    ///
    /// # Errors
    /// As [`Runtime::invoke_streaming`]; never
    /// [`Outcome::NotFound`](crate::Outcome::NotFound).
    ///
    /// # Cancel safety
    /// As [`Runtime::invoke_streaming`].
    pub async fn invoke_streaming<B: Into<Body>>(
        &self,
        ctx: &Context,
        request: http::Request<B>,
    ) -> Result<Response, InvokeError> {
        self.runtime.stream_entry(self.function.clone(), ctx, request.map(Into::into)).await
    }
}

impl fmt::Debug for FunctionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionHandle").field("name", &self.name()).finish_non_exhaustive()
    }
}
