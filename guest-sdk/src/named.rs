//! Failures that the host identifies by name. Each name is listed once.

use crate::{Context, Done};

/// A failure that the host identifies by name.
pub trait Named: Sized {
    /// Makes the failure if its context is done.
    fn ended(target: &str, ctx: &Context, done: Done) -> Self;

    /// Makes the failure that the host sent.
    #[cfg(any(target_arch = "wasm32", test))]
    fn named(target: &str, failure: crate::wire::Failure) -> Self;
}

/// Implements the conversion between the host's names of failures and the variants of an error
/// type. The listed variants hold a description, which begins with the target as `$shown` formats
/// it. In addition, the type has a `Done` with the target in the field `$target`, an `Other` with an
/// `outcome` and a `text`, and possibly a variant with the target and an `error`.
macro_rules! named {
    (
        $error:ident { $target:ident: $shown:literal }
        { $($variant:ident = $name:path,)+ $(; $other:ident = $other_name:path, $other_text:literal)? }
    ) => {
        impl $error {
            /// Returns the failure's name, as in the host's log: `forbidden`, `bad-request`, ...
            #[must_use]
            pub fn name(&self) -> &str {
                self.parts().0
            }

            /// Returns the name and the description, which is empty for `Done`.
            fn parts(&self) -> (&str, &str) {
                match self {
                    $(Self::$variant(text) => ($name, text),)+
                    Self::Other { outcome, text } => (outcome, text),
                    Self::Done { done, .. } => (done.name(), ""),
                    $(Self::$other { .. } => ($other_name, ""),)?
                }
            }
        }

        impl $crate::named::Named for $error {
            fn ended(target: &str, ctx: &$crate::Context, done: $crate::Done) -> Self {
                let cause = ctx.cause().unwrap_or_else(|| $crate::Cause::from(done.name()));
                Self::Done { $target: target.to_owned(), done, cause }
            }

            #[cfg(any(target_arch = "wasm32", test))]
            fn named(target: &str, failure: $crate::wire::Failure) -> Self {
                let $crate::wire::Failure { outcome, text, cause } = failure;
                let done = match &*outcome {
                    hourglass_abi::cause::CANCELED => $crate::Done::Canceled,
                    hourglass_abi::cause::DEADLINE_EXCEEDED => $crate::Done::DeadlineExceeded,
                    name => {
                        let text = format!(concat!($shown, ": {}"), target, text);
                        return match name {
                            $($name => Self::$variant(text),)+
                            _ => Self::Other { outcome, text },
                        };
                    }
                };
                Self::Done { $target: target.to_owned(), done, cause: (&*cause).into() }
            }
        }

        impl std::fmt::Display for $error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    Self::Done { $target, done, cause } => {
                        write!(f, concat!($shown, ": {} (cause: {})"), $target, done, cause)
                    }
                    $(Self::$other { $target, error } => {
                        write!(f, concat!($shown, ": {}: {}"), $target, $other_text, error)
                    })?
                    other => f.write_str(other.parts().1),
                }
            }
        }
    };
}

pub(crate) use named;
