//! The handle that cancels a context.

use super::{Cause, Context};

/// Cancels one context and everything derived from it: see [`Context::with_cancel`].
///
/// A cancellation is explicit. Dropping this handle cancels nothing by itself, so a response body
/// that is still in transit when the handler returns is not cut off. Like every clone of the
/// context, the handle keeps the context: when all of them are dropped, the context is canceled.
///
/// Running code is not interrupted. Code that works under the context has to check it or wait under
/// it. A body that is fetched under it breaks off.
#[derive(Clone, Debug)]
pub struct Cancel(pub(crate) Context);

impl Cancel {
    /// Cancels the context with [`Cause::Canceled`]. Does nothing if it is already done.
    pub fn cancel(&self) {
        self.cancel_with(Cause::Canceled);
    }

    /// Cancels the context with this cause. Does nothing if it is already done.
    ///
    /// Inside a host, a cause that only the host can know, such as [`Cause::Shutdown`], arrives as
    /// a [`Cause::Custom`] with its name as the message. [`Cause::Canceled`],
    /// [`Cause::LimitExceeded`] and [`Cause::Custom`] arrive unchanged.
    pub fn cancel_with(&self, cause: Cause) {
        self.0.0.cancel(cause);
    }
}

/// Cancels a context on drop.
#[derive(Debug)]
pub(crate) struct CancelOnDrop(pub(crate) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
