//! What names a value of a context.

use std::fmt;
use std::marker::PhantomData;

/// Names a value of a context: by a name for the wire and a type for the function.
///
/// Values travel as text. [`Context::with_value`](crate::Context::with_value) writes them by
/// [`Display`](fmt::Display), [`Context::value`](crate::Context::value) reads them by
/// [`FromStr`](std::str::FromStr), and a function that is called may read them by a key of its own.
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
    /// A key with this name on the wire.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, marker: PhantomData }
    }

    /// The name on the wire.
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
