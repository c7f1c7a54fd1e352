//! A table of the file. A reader takes the keys it knows; any remaining key is
//! an error.

use std::ops::Range;

use serde::de::{Deserialize, IntoDeserializer as _};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Source;
use crate::cli::nearest::nearest;
use crate::schema::{Form, Notation, Partial, Schema, Unit};

/// The entries of a table, in the order of the file.
type Entries<T> = Vec<(Spanned<String>, T)>;

/// A table, and the keys that its reader has asked for.
pub(super) struct Table<'a> {
    pub(super) source: &'a Source,
    entries: DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn parse(source: &'a Source) -> anyhow::Result<Self> {
        let entries = DeTable::parse(&source.text)
            .map_err(|error| source.toml_error(&error, Range::default()))?;
        Ok(Self::new(source, entries.into_inner()))
    }

    pub(super) fn new(source: &'a Source, entries: DeTable<'a>) -> Self {
        Self { source, entries, known: Vec::new() }
    }

    /// Takes the settings that the [schema](crate::schema) declares.
    pub(super) fn settings<S: Schema>(&mut self) -> anyhow::Result<Partial<S>> {
        let source = self.source;
        let mut settings = Partial::default();
        for setting in S::SETTINGS {
            let Some(value) = self.remove(setting.name) else { continue };
            let span = value.span();
            let text = text(source, value, &(setting.form)())?;
            settings.set(setting, text).map_err(|error| source.error(span, error))?;
        }
        Ok(settings)
    }

    /// Takes a value that is written in a unit.
    pub(super) fn unit<U: Unit>(
        &mut self,
        key: &'static str,
        unit: &U,
    ) -> anyhow::Result<Option<Spanned<U::Value>>> {
        let source = self.source;
        self.remove(key).map(|value| with_unit(source, value, unit)).transpose()
    }

    /// Takes a table of values that are written in a unit.
    pub(super) fn units<U: Unit>(
        &mut self,
        key: &'static str,
        unit: &U,
    ) -> anyhow::Result<Entries<U::Value>> {
        let source = self.source;
        let entries = self.entries(key)?.into_iter();
        entries
            .map(|(name, value)| Ok((name, with_unit(source, value, unit)?.into_inner())))
            .collect()
    }

    /// Takes a table of tables.
    pub(super) fn tables(&mut self, key: &'static str) -> anyhow::Result<Entries<Table<'a>>> {
        let source = self.source;
        let entries = self.entries(key)?.into_iter();
        entries
            .map(|(name, value)| {
                let entries = into_entries(source, name.get_ref(), value)?;
                Ok((name, Self::new(source, entries)))
            })
            .collect()
    }

    /// Takes a value of another type. `example` is how it is written.
    pub(super) fn take<T: Deserialize<'a>>(
        &mut self,
        key: &'static str,
        example: &str,
    ) -> anyhow::Result<Option<T>> {
        let Some(value) = self.remove(key) else { return Ok(None) };
        let span = value.span();
        T::deserialize(value.into_deserializer()).map(Some).map_err(|error| {
            let reason = format!("{}; write it as `{key} = {example}`", error.message());
            self.source.error(error.span().unwrap_or(span), reason)
        })
    }

    /// Takes a value as it is written.
    pub(super) fn remove(&mut self, key: &'static str) -> Option<Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.entries.remove(key)
    }

    /// Takes the entries of a table.
    pub(super) fn entries(
        &mut self,
        key: &'static str,
    ) -> anyhow::Result<Entries<Spanned<DeValue<'a>>>> {
        let Some(value) = self.remove(key) else { return Ok(Vec::new()) };
        let entries = into_entries(self.source, key, value)?.into_iter();
        let mut entries: Vec<_> = entries
            .map(|(name, value)| (Spanned::new(name.span(), name.into_inner().into_owned()), value))
            .collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        Ok(entries)
    }

    /// Fails if a key remains. `elsewhere` says what to write instead of a key
    /// that belongs to another place.
    pub(super) fn finish(
        self,
        elsewhere: impl FnOnce(&str) -> Option<String>,
    ) -> anyhow::Result<()> {
        let Some(key) = self.entries.keys().min_by_key(|key| key.span().start) else {
            return Ok(());
        };
        let known: Vec<_> = self.known.iter().map(|known| format!("`{known}`")).collect();
        let near = nearest(key.get_ref(), self.known.iter().copied());
        let instead = match (elsewhere(key.get_ref()), near) {
            (Some(elsewhere), _) => elsewhere,
            (None, Some(near)) => format!("write `{near}`, or another of {}", known.join(", ")),
            (None, None) => format!("write one of {}", known.join(", ")),
        };
        Err(self.source.error(key.span(), format!("unknown key `{}`: {instead}", key.get_ref())))
    }

    /// The keys that a reader takes. Every key may be left out.
    pub(super) fn keys_of<T>(
        read: impl FnOnce(&mut Table<'_>) -> anyhow::Result<T>,
    ) -> Vec<&'static str> {
        let source = Source::default();
        let mut table = Table::new(&source, DeTable::new());
        let _ = read(&mut table);
        table.known
    }
}

fn into_entries<'a>(
    source: &Source,
    name: &str,
    value: Spanned<DeValue<'a>>,
) -> anyhow::Result<DeTable<'a>> {
    let span = value.span();
    match value.into_inner() {
        DeValue::Table(entries) => Ok(entries),
        other => {
            let kind = other.type_str();
            Err(source.error(span, format!("`{name}` must be a table, and is of type {kind}")))
        }
    }
}

fn with_unit<U: Unit>(
    source: &Source,
    value: Spanned<DeValue<'_>>,
    unit: &U,
) -> anyhow::Result<Spanned<U::Value>> {
    let span = value.span();
    let text = text(source, value, &unit.form())?;
    let value = unit.parse(&text).map_err(|error| source.error(span.clone(), error))?;
    Ok(Spanned::new(span, value))
}

/// The text of a string, a number or a boolean.
fn text(source: &Source, value: Spanned<DeValue<'_>>, form: &Form) -> anyhow::Result<String> {
    let span = value.span();
    match (value.into_inner(), form.notation) {
        (DeValue::String(text), Notation::String | Notation::StringOrNumber) => {
            Ok(text.into_owned())
        }
        (DeValue::Integer(number), Notation::Number | Notation::StringOrNumber) => {
            // A number out of range is out of the setting's range too.
            let decimal = i128::from_str_radix(number.as_str(), number.radix());
            Ok(decimal.map_or_else(|_| number.to_string(), |number| number.to_string()))
        }
        (DeValue::Float(number), Notation::Number) => Ok(number.to_string()),
        (DeValue::Boolean(value), Notation::Boolean) => Ok(value.to_string()),
        (other, _) => Err(wrong_type(source, span, &other, &form.expected)),
    }
}

/// The error for a value of another type. It may show a number or a string.
pub(super) fn wrong_type(
    source: &Source,
    span: Range<usize>,
    value: &DeValue<'_>,
    expected: &str,
) -> anyhow::Error {
    let kind = value.type_str();
    let shown = match value {
        DeValue::String(text) => format!(" {text:?}"),
        DeValue::Integer(number) => format!(" `{number}`"),
        DeValue::Float(number) => format!(" `{number}`"),
        _ => String::new(),
    };
    source.error(span, format!("invalid type: {kind}{shown}, expected {expected}"))
}
