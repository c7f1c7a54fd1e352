//! Typed names of context values.

use std::fmt;
use std::marker::PhantomData;

/// A key for a context value: its name on the wire and its type in the function.
///
/// Values travel as text. [`Context::with_value`](crate::Context::with_value) formats them with
/// [`Display`](fmt::Display), and [`Context::value`](crate::Context::value) parses them with
/// [`FromStr`](std::str::FromStr). A called function may read them with its own key.
///
/// ```
/// use hourglass_sdk::{Context, Key};
///
/// const TENANT: Key<u64> = Key::new("tenant");
///
/// let ctx = Context::background().with_value(&TENANT, 7);
/// assert_eq!(ctx.value(&TENANT), Some(7));
/// assert_eq!(ctx.value_text("tenant").as_deref(), Some("7"));
/// ```
///
/// The keys of the values that the host sets are in [`keys`](crate::keys).
pub struct Key<T> {
    name: &'static str,
    marker: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// Creates a key with this name on the wire.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, marker: PhantomData }
    }

    /// Returns the name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}
