//! Failures that the host identifies by name. Each name is listed once.

/// Implements the conversion between the host's names of failures and the variants of an error
/// type. The listed variants hold a description. In addition, the type has a `Done` with a field
/// `done`, and an `Other` with an `outcome` and a `text`.
macro_rules! named {
    ($error:ident { $($variant:ident = $name:path,)+ $(; $other:ident = $other_name:path)? }) => {
        impl $error {
            /// Returns the name and the description, which is empty for `Done`.
            fn told(&self) -> (&str, &str) {
                match self {
                    $(Self::$variant(text) => ($name, text),)+
                    Self::Other { outcome, text } => (outcome, text),
                    Self::Done { done, .. } => (done.name(), ""),
                    $(Self::$other { .. } => ($other_name, ""),)?
                }
            }

            /// Returns the variant for a name, of those that hold only a description.
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
