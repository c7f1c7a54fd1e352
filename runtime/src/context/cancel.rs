//! The guard that ends a context.

use std::fmt;
use std::sync::Arc;

use super::cause::Cause;
use super::node::Node;

/// Ends one context and everything derived from it; dropping it does too.
///
/// A context therefore lives no longer than the scope that holds its guard,
/// however the scope is left. To share the power to cancel among several
/// owners, put the guard in an [`Arc`].
///
/// Once the context is done, canceling it changes nothing: the first end wins.
#[must_use = "dropping the guard cancels its context at once; bind it to a name, not to `_`"]
pub struct Cancel {
    pub(super) node: Arc<Node>,
}

impl Cancel {
    /// Cancels the context with [`Cause::Canceled`].
    ///
    /// Returns once the context and all of its descendants are done. Does not
    /// wait for work on their behalf, nor for after-functions.
    pub fn cancel(&self) {
        self.cancel_with(Cause::Canceled);
    }

    /// Cancels the context with a cause.
    ///
    /// If the context's deadline has passed, it ended then, and `cause` is
    /// dropped. The same applies to each descendant.
    pub fn cancel_with(&self, cause: Cause) {
        self.node.cancel(cause);
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.node.abandon();
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("end", &self.node.end()).finish()
    }
}
