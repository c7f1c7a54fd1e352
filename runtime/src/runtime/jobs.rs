//! What the queue of jobs needs of a runtime.

#[cfg(feature = "server")]
use std::sync::Arc;

use super::Runtime;
use super::invoke::CallInfo;
use crate::body::{Request, Response};
use crate::context::Context;
use crate::error::InvokeError;
use crate::log;
#[cfg(feature = "server")]
use crate::outbound::Outbound;
#[cfg(feature = "server")]
use crate::outcome::Outcome;
#[cfg(feature = "server")]
use crate::telemetry::{Start, recorder::RequestSpan};

impl Runtime {
    /// Runs a function as [`invoke`](Self::invoke) does, and logs its result.
    pub(crate) async fn invoke_job(
        &self,
        ctx: &Context,
        name: &str,
        request: Request,
    ) -> Result<Response, InvokeError> {
        let function = self.find(name)?;
        let result = self.invoke_entry(&function, ctx, request, CallInfo::default()).await;
        match &result {
            Ok(response) => {
                let usage = response.extensions().get().copied().unwrap_or_default();
                let (status, rate) = (response.status().as_u16(), &function.failures);
                log::success(&function.name, ctx, None, status, usage, Some(rate));
            }
            Err(error) => log::failure(error, ctx, None, None, Some(&function.failures)),
        }
        result
    }

    /// The longest body of a request to a deployed function, in bytes.
    pub(crate) fn request_limit(&self, name: &str) -> Option<u64> {
        Some(self.0.functions.find(name)?.limits.request_body)
    }

    /// Exports the request that has submitted a job, or has tried to.
    #[cfg(feature = "server")]
    pub(crate) fn export_submission(
        &self,
        ctx: &Context,
        function: &str,
        outcome: &Outcome,
        request: Option<Box<RequestSpan>>,
    ) {
        let function = function.into();
        let start = Start::unknown(&function, ctx, (None, None), request);
        self.0.telemetry.export_refused(start, outcome);
    }

    /// The client with which a deployed function reaches other hosts, if it may
    /// reach any.
    #[cfg(feature = "server")]
    pub(crate) fn outbound(&self, name: &str) -> Option<Arc<Outbound>> {
        self.0.functions.find(name)?.outbound().cloned()
    }
}
