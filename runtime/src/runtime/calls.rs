//! How a function calls another: by name, under a child of the context that it
//! named, with nothing in between.

use std::sync::{Arc, PoisonError};

use tokio::runtime::Handle;

use super::Shared;
use super::running::Lineage;
use crate::abi::{Called, Callees, Caller};
use crate::context::Context;
use crate::error::InvokeError;
use crate::log;
use crate::message::Request;
use crate::outcome::Outcome;

impl Callees for Shared {
    fn call(
        self: Arc<Self>,
        caller: Caller,
        ctx: &Context,
        name: &str,
        request: Request,
    ) -> Result<Called, InvokeError> {
        let Caller { id, depth, room } = caller;
        if depth >= self.max_depth {
            let limit = self.max_depth;
            return Err(InvokeError::refused(name.into(), Outcome::DepthExceeded { limit }));
        }
        let function = self.find(name)?;
        let (ctx, cancel) = ctx.with_timeout(function.limits.timeout);
        let guarded = (ctx.clone(), cancel);
        let run = Box::pin(async move {
            let lineage = Lineage { parent: id, depth: depth + 1 };
            let ctx = guarded.0.clone();
            let ended = self.run(&function, guarded, request, lineage).await;
            let held = ended.and_then(|response| {
                log::success(&function.name, &ctx, &response);
                let usage = response.extensions().get().copied().unwrap_or_default();
                let held = room.hold(response);
                held.map_err(|outcome| InvokeError::new(function.name.clone(), outcome, usage))
            });
            if let Err(error) = &held {
                log::failure(error, &ctx, None);
            }
            held
        });
        Ok(Called { run, ctx })
    }

    fn root(&self) -> &Context {
        &self.root
    }

    fn tasks(&self) -> Handle {
        let settled = self.tasks.read().unwrap_or_else(PoisonError::into_inner);
        settled.clone().unwrap_or_else(Handle::current)
    }
}
