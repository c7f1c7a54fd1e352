//! A function's settings and secrets: what its environment is made of.
//!
//! A secret is not in the file, so that the file can be shown to anybody: the
//! file says where it is, which is another file or a variable of the host's
//! own environment.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::private::Value;
use super::{ConfigError, Source};
use crate::environment::Environment;

/// What a function's table says of its settings.
#[derive(Debug, Default)]
pub(crate) struct Settings(pub(super) BTreeMap<String, Spanned<Value>>);

impl Settings {
    /// Where the first is.
    pub(super) fn first(&self) -> Option<Range<usize>> {
        self.0.values().map(Spanned::span).next()
    }
}

/// Where its secrets are.
#[derive(Debug, Default)]
pub(crate) struct Secrets(pub(super) BTreeMap<String, Spanned<Place>>);

impl Secrets {
    /// Where the first is.
    pub(super) fn first(&self) -> Option<Range<usize>> {
        self.0.values().map(Spanned::span).next()
    }
}

/// Where one secret is.
#[derive(Debug)]
pub(super) enum Place {
    /// The file's content, without a line's end behind it.
    File(PathBuf),
    /// A variable's value.
    Env(String),
}

/// Puts an environment together. Files are relative to `folder`.
pub(super) fn environment(
    source: &Source,
    settings: &Settings,
    secrets: &Secrets,
    folder: &Path,
) -> Result<Environment, ConfigError> {
    let mut environment = Environment::default();
    let mut set = |name: &String, value: String, span: Range<usize>| {
        environment.set(name.clone(), value);
        // All that came before was usable.
        environment.check().map_err(|unusable| source.error(span, unusable))
    };
    for (name, value) in &settings.0 {
        set(name, value.get_ref().0.clone(), value.span())?;
    }
    for (name, place) in &secrets.0 {
        if settings.0.contains_key(name) {
            let reason = format!("`{name}` is a setting and a secret; keep one of them");
            return Err(source.error(place.span(), reason));
        }
        let value = place.get_ref().read(folder);
        let value = value.map_err(|reason| source.error(place.span(), reason))?;
        set(name, value, place.span())?;
    }
    Ok(environment)
}

impl Place {
    /// The secret, or why it can't be had, without a word of it.
    fn read(&self, folder: &Path) -> Result<String, String> {
        match self {
            Self::File(file) => {
                let file = folder.join(file);
                let text = std::fs::read_to_string(&file)
                    .map_err(|cause| format!("{} can't be read: {cause}", file.display()))?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
            }
            // What is no name may be the secret itself.
            Self::Env(name) if !is_variable(name) => Err("`env` names the variable that holds \
                 the secret: write a name such as `API_KEY`, and set that"
                .to_owned()),
            Self::Env(name) => std::env::var(name).map_err(|cause| match cause {
                std::env::VarError::NotPresent => {
                    format!("the variable {name} is not set; set it for the host")
                }
                std::env::VarError::NotUnicode(_) => format!("the variable {name} is no text"),
            }),
        }
    }
}

fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(plain)
}
