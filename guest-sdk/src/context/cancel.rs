//! What cancels a context.

use super::{Cause, Context};

/// Cancels one context, and all that is derived from it: see [`Context::with_cancel`].
///
/// A cancellation is a decision. Dropping this cancels nothing by itself, so a response whose body
/// is still on its way when the handler returns is not cut off. Like every clone of the context, it
/// keeps the context: once all of them are gone, the context is canceled.
///
/// Nothing is interrupted. Code that works under the context has to check it, or wait under it. A
/// body that is fetched under it breaks off.
#[derive(Clone, Debug)]
pub struct Cancel(pub(super) Context);

impl Cancel {
    /// Cancels the context with [`Cause::Canceled`]. Does nothing when it is done already.
    pub fn cancel(&self) {
        self.cancel_with(Cause::Canceled);
    }

    /// Cancels the context with this cause. Does nothing when it is done already.
    ///
    /// A cause that only the host can know, such as [`Cause::Shutdown`], arrives inside of a host
    /// as a [`Cause::Custom`] with its name as the message. [`Cause::Canceled`],
    /// [`Cause::LimitExceeded`] and [`Cause::Custom`] arrive as they are.
    pub fn cancel_with(&self, cause: Cause) {
        self.0.0.cancel(cause);
    }
}

/// Cancels a context at the latest when it is dropped.
#[derive(Debug)]
pub(crate) struct CancelOnDrop(pub(crate) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
