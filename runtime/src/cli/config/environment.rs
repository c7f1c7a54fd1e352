//! The environment of a function: its variables and secrets.
//!
//! Secrets are not in the file, so that the file can be shown to anyone. The
//! file only names the source: another file, or a variable of the host. A value
//! in the wrong place may be a secret, so no error quotes one.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::Source;
use super::table::Table;
use crate::environment::Environment;

/// The variables and secrets of a function.
#[derive(Clone, Debug, Default)]
pub(super) struct EnvironmentTable(Vec<(String, Spanned<RawValue>)>);

/// The value of a variable, or the source of a secret.
#[derive(Clone)]
enum RawValue {
    Value(String),
    /// The content of a file, without the final line ending.
    File(String),
    /// The value of a variable of the host.
    Variable(String),
}

/// Shows no value.
impl fmt::Debug for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl EnvironmentTable {
    pub(super) fn take(table: &mut Table<'_>) -> anyhow::Result<Self> {
        let source = table.source;
        let mut entries: Vec<(String, Spanned<RawValue>)> = Vec::new();
        for (name, value) in table.entries("env")? {
            let span = value.span();
            let DeValue::String(text) = value.into_inner() else {
                let reason = "a value in this place is a string: write it in quotes";
                return Err(source.error(span, reason));
            };
            let entry = Spanned::new(span, RawValue::Value(text.into_owned()));
            entries.push((name.into_inner(), entry));
        }
        for (name, value) in table.entries("secrets")? {
            let (name, span) = (name.into_inner(), value.span());
            if entries.iter().any(|(known, _)| *known == name) {
                let reason = format!("`{name}` is a setting and a secret; keep one of them");
                return Err(source.error(span, reason));
            }
            let Some(secret) = RawValue::secret(value.get_ref()) else {
                let reason = "the file does not hold a secret, only its place: write \
                              `{ file = \"PATH\" }` or `{ env = \"VARIABLE\" }`";
                return Err(source.error(span, reason));
            };
            entries.push((name, Spanned::new(span, secret)));
        }
        Ok(Self(entries))
    }

    /// The place of the first.
    pub(super) fn first(&self) -> Option<Range<usize>> {
        self.0.first().map(|(_, entry)| entry.span())
    }

    /// Reads the variables and secrets. Files are relative to that of `source`.
    pub(super) fn read(&self, source: &Source) -> anyhow::Result<Environment> {
        let mut environment = Environment::default();
        for (name, entry) in &self.0 {
            let value = entry.get_ref().read(source.folder());
            let value = value.map_err(|reason| source.error(entry.span(), reason))?;
            environment.set(name.clone(), value);
            // All earlier ones were usable, so an error is about this one.
            environment.check().map_err(|(name, reason)| {
                source.error(entry.span(), format!("`{name}` can't be a setting: {reason}"))
            })?;
        }
        Ok(environment)
    }
}

impl RawValue {
    /// The source of a secret, if the value is one.
    fn secret(value: &DeValue<'_>) -> Option<Self> {
        let table = value.as_table().filter(|table| table.len() == 1)?;
        let (key, place) = table.iter().next()?;
        let place = place.get_ref().as_str()?.to_owned();
        match &**key.get_ref() {
            "file" if !place.is_empty() => Some(Self::File(place)),
            "env" => Some(Self::Variable(place)),
            _ => None,
        }
    }

    /// The value, or an error that does not contain it.
    fn read(&self, folder: &Path) -> Result<String, String> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(file) => {
                let file = folder.join(file);
                let text = std::fs::read_to_string(&file).map_err(|cause| {
                    format!("{} can't be read: {cause}; name the secret's file", file.display())
                })?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
            }
            // A text that is not a name may be the secret itself.
            Self::Variable(name) if !is_variable(name) => Err("`env` names the variable that \
                 holds the secret: write a name such as `API_KEY`, and set that"
                .to_owned()),
            Self::Variable(name) => std::env::var(name).map_err(|cause| match cause {
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

#[cfg(test)]
mod tests {
    use crate::cli::config::Config;
    use crate::cli::config::tests::{error, folder_with};

    #[test]
    fn what_may_be_a_secret_is_in_no_error() {
        for text in [
            "[function.f.secrets]\nA = \"hush\"",
            "[function.f.secrets]\nA = hush",
            "[function.f.secrets]\nA = \"hush",
            "[function.f.secrets]\nA = [\"hush\"]",
            "[function.f.secrets]\nA = { value = \"hush\" }",
            "[function.f.secrets]\nA = { env = \"hush hush\" }",
            "[function.f.secrets]\nA = { env = \"A\", hush = 1 }",
            "[function.f.secrets]\nA = { file = \"a\", env = \"hush\" }",
            "[function.f.secrets]\nA = \"\"\"\n-----hush=\\q\n\"\"\"",
            "[function.f.secrets]\nA = \'\'\'\nhush==\n",
            "[function.f]\nsecrets = \"hush\"",
            "[function.f]\nsecrets.A = \"hush\"",
            "[function.f]\nsecrets = { A = \"hush\" }",
            "[function.f]\nsecrets = [\"hush\"]",
            "[function.f]\napi_key = \"hush\"",
            "[function.f]\nenv = \"hush\"",
            "[function.f.env]\nA = [\"hush\"]",
            "[function.f.env]\nA = \"hush\\u0000\"",
            "admin_token = \"hush\"",
            "x = \"hush\"",
            "drain = \"1s\" hush",
        ] {
            let said = error(text);
            assert!(!said.contains("hush"), "{text:?}: {said}");
        }
        for (text, secret) in [
            ("[function.f.secrets]\nA = 4711", "4711"),
            ("[function.f.secrets]\nA = 47.11", "47.11"),
            ("[function.f.env]\nA = 4711", "4711"),
            ("[function.f]\nsecrets = 4711", "4711"),
        ] {
            assert!(!error(text).contains(secret), "{text:?}: {}", error(text));
        }
        let folder = folder_with("[function.f.env]\nA = \"hush\"\n");
        let config = Config::find(folder.path()).expect("a good file");
        assert!(!format!("{config:?}").contains("hush"), "{config:?}");
    }
}
