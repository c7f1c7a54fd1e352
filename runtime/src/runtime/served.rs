//! What a front needs of a runtime: to find a function before it makes the
//! context for it, and to end that context by itself.

use std::sync::{Arc, PoisonError};

use tokio::runtime::Handle;

use super::Runtime;
use super::running::Running;
use crate::body::Request;
use crate::context::Context;
use crate::error::InvokeError;
use crate::function::Entry;
use crate::guest::Outlet;

impl Runtime {
    /// The function of that name.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Entry>, InvokeError> {
        self.0.find(name)
    }

    /// Lets an invocation in, under a context of its own, which whoever
    /// derived it ends afterwards. What the guest streams goes through `outlet`
    /// before it has ended, where there is one.
    pub(crate) fn start<'a>(
        &'a self,
        function: &'a Entry,
        ctx: &'a Context,
        request: Request,
        outlet: Option<Outlet>,
    ) -> Result<Running<'a>, InvokeError> {
        self.0.start(function, ctx, request, outlet)
    }

    /// Has calls that take longer run as tasks of the current tokio runtime,
    /// rather than of the one that their caller happens to be polled on.
    pub(crate) fn run_calls_here(&self) {
        *self.0.tasks.write().unwrap_or_else(PoisonError::into_inner) = Some(Handle::current());
    }
}
