//! Failures that have a name at the host: each is written down once.

/// Gives an error type the way from the host's name of a failure to a variant, and back. The
/// variants listed hold what happened in words; beside them the type has a `Done`, with a field
/// `done`, and an `Other`, with an `outcome` and a `text`.
macro_rules! named {
    ($error:ident { $($variant:ident = $name:path,)+ $(; $other:ident = $other_name:path)? }) => {
        impl $error {
            /// Its name, and what happened in words, which one that is done has none of.
            fn told(&self) -> (&str, &str) {
                match self {
                    $(Self::$variant(text) => ($name, text),)+
                    Self::Other { outcome, text } => (outcome, text),
                    Self::Done { done, .. } => (done.name(), ""),
                    $(Self::$other { .. } => ($other_name, ""),)?
                }
            }

            /// The one of a name, of those that are words alone.
            #[cfg(any(target_arch = "wasm32", test))]
            fn of_name(outcome: String, text: String) -> Self {
                match &*outcome {
                    $($name => Self::$variant(text),)+
                    _ => Self::Other { outcome, text },
                }
            }
        }
    };
}

pub(crate) use named;
