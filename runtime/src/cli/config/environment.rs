//! The environment of a function: its variables and secrets.
//!
//! Secrets are not in the file, so that the file can be shown to anyone. The
//! file only names the source: another file, or a variable of the host.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::private::Value;
use super::{ConfigError, Source};
use crate::environment::Environment;

/// The variables of a function.
#[derive(Debug, Default)]
pub(crate) struct EnvTable(pub(super) BTreeMap<String, Spanned<Value>>);

impl EnvTable {
    /// The place of the first.
    pub(super) fn first(&self) -> Option<Range<usize>> {
        self.0.values().map(Spanned::span).next()
    }
}

/// The secrets of a function.
#[derive(Debug, Default)]
pub(crate) struct SecretTable(pub(super) BTreeMap<String, Spanned<SecretSource>>);

impl SecretTable {
    /// The place of the first.
    pub(super) fn first(&self) -> Option<Range<usize>> {
        self.0.values().map(Spanned::span).next()
    }
}

/// The source of a secret.
#[derive(Debug)]
pub(super) enum SecretSource {
    /// The content of a file, without the final line ending.
    File(PathBuf),
    /// The value of a variable of the host.
    Env(String),
}

/// Reads the variables and secrets. Files are relative to that of `source`.
pub(super) fn read(
    source: &Source,
    env: &EnvTable,
    secrets: &SecretTable,
) -> Result<Environment, ConfigError> {
    let mut environment = Environment::default();
    let mut set = |name: &String, value: String, span: Range<usize>| {
        environment.set(name.clone(), value);
        // All earlier ones were usable, so an error is about this one.
        environment.check().map_err(|unusable| source.error(span, unusable))
    };
    for (name, value) in &env.0 {
        set(name, value.get_ref().0.clone(), value.span())?;
    }
    for (name, secret) in &secrets.0 {
        if env.0.contains_key(name) {
            let reason = format!("`{name}` is a setting and a secret; keep one of them");
            return Err(source.error(secret.span(), reason));
        }
        let value = secret.get_ref().read(source.folder());
        let value = value.map_err(|reason| source.error(secret.span(), reason))?;
        set(name, value, secret.span())?;
    }
    Ok(environment)
}

impl SecretSource {
    /// The secret, or an error that does not contain it.
    fn read(&self, folder: &Path) -> Result<String, String> {
        match self {
            Self::File(file) => {
                let file = folder.join(file);
                let text = std::fs::read_to_string(&file)
                    .map_err(|cause| format!("{} can't be read: {cause}", file.display()))?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
            }
            // A text that is not a name may be the secret itself.
            Self::Env(name) if !is_variable(name) => Err("`env` names the variable that holds \
                 the secret: write a name such as `API_KEY`, and set that"
                .to_owned()),
            Self::Env(name) => std::env::var(name).map_err(|cause| match cause {
                std::env::VarError::NotPresent => {
                    format!("the variable {name} is not set; set it for the host")
                }
                std::env::VarError::NotUnicode(_) => format!("the variable {name} is not UTF-8"),
            }),
        }
    }
}

fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(plain)
}
