//! The description of a setting.

use std::ffi::OsStr;

use super::{Form, ValueError};

/// A struct of settings, declared with [`settings!`](super::settings).
pub(crate) trait Schema: Clone + Default + Send + Sync + 'static {
    /// The description of each field, in the order of the declaration.
    const SETTINGS: &'static [Setting<Self>];
}

/// A setting, which is a field of `S`.
#[derive(Debug)]
pub(crate) struct Setting<S: 'static> {
    /// The key in `hourglass.toml`, and the name of the field.
    pub(crate) name: &'static str,
    /// The lines of the field's documentation.
    pub(crate) doc: &'static [&'static str],
    /// How a value is written.
    pub(crate) form: fn() -> Form,
    /// The values allowed, for the reference page.
    #[cfg(test)]
    pub(crate) range: fn() -> String,
    pub(crate) default: fn() -> String,
    /// Parses a value and stores it.
    pub(crate) set: fn(&mut S, &OsStr) -> Result<(), ValueError>,
    /// Copies the value from one struct to another.
    pub(crate) copy: fn(&S, &mut S),
}

impl<S> Setting<S> {
    /// The flag without its dashes, such as `fetch-body`.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The environment variable, such as `HOURGLASS_FETCH_BODY`.
    pub(crate) fn variable(&self) -> String {
        format!("HOURGLASS_{}", self.name.to_uppercase())
    }

    /// The first paragraph of the documentation, without the period at its end.
    pub(crate) fn help(&self) -> String {
        let lines = self.doc.iter().map(|line| line.trim()).take_while(|line| !line.is_empty());
        let text = lines.collect::<Vec<_>>().join(" ");
        text.strip_suffix('.').unwrap_or(&text).to_owned()
    }
}
