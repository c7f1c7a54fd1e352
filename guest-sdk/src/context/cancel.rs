//! The guard that ends a context.

use super::{Cause, Context};

/// Cancels one context and all of its descendants, at the latest when it is dropped.
///
/// So a derived context lives no longer than the scope that holds its guard, whichever way the
/// scope is left. Beware of `let (ctx, _) = ...`: that drops the guard at once.
///
/// Nothing stops because of it: whoever works on behalf of the context has to look at it, or to
/// wait under it.
#[derive(Debug)]
#[must_use = "dropping the guard cancels its context at once; bind it to a name, not to `_`"]
pub struct Cancel(pub(super) Context);

impl Cancel {
    /// Cancels the context with [`Cause::Canceled`]. Does nothing when that is done already.
    pub fn cancel(&self) {
        self.cancel_with(Cause::Canceled);
    }

    /// Cancels the context with this cause. Does nothing when that is done already.
    ///
    /// Of a cause that only the host can know, such as [`Cause::Shutdown`], a function cannot speak
    /// for the host: inside of one, it arrives as a [`Cause::Custom`] with its name as the message.
    /// [`Cause::Canceled`], [`Cause::LimitExceeded`] and [`Cause::Custom`] arrive as they are.
    pub fn cancel_with(&self, cause: Cause) {
        self.0.0.cancel(cause);
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.cancel();
    }
}
