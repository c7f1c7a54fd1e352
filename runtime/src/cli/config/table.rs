//! A table of the file. A reader takes the keys it knows; any remaining key is
//! an error.

use std::fmt;
use std::ops::Range;

use serde::de::{
    Deserialize, Deserializer as _, Error, IntoDeserializer as _, Unexpected, Visitor,
};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Source};
use crate::cli::nearest::nearest;
use crate::schema::{Notation, Partial, Schema, Unit};

/// The entries of a table, in the order of the file.
type Entries<T> = Vec<(Spanned<String>, T)>;

/// A table, and the keys that its reader has asked for.
pub(super) struct Table<'a> {
    source: &'a Source,
    entries: DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn parse(source: &'a Source) -> Result<Self, ConfigError> {
        let entries = DeTable::parse(source.text())
            .map_err(|error| source.toml_error(&error, Range::default()))?;
        Ok(Self::new(source, entries.into_inner()))
    }

    fn new(source: &'a Source, entries: DeTable<'a>) -> Self {
        Self { source, entries, known: Vec::new() }
    }

    /// Takes the settings that the [schema](crate::schema) declares.
    pub(super) fn settings<S: Schema>(&mut self) -> Result<Partial<S>, ConfigError> {
        let source = self.source;
        let mut given = Partial::default();
        for setting in S::SETTINGS {
            let Some(value) = self.remove(setting.name) else { continue };
            let written =
                Written { notation: (setting.notation)(), expected: (setting.expected)() };
            let text = written.read(source, value)?;
            let set = given.set(setting, text.get_ref());
            set.map_err(|error| source.error(text.span(), error))?;
        }
        Ok(given)
    }

    /// Takes a value that is written in a unit.
    pub(super) fn unit<U: Unit>(
        &mut self,
        key: &'static str,
        unit: &U,
    ) -> Result<Option<Spanned<U::Value>>, ConfigError> {
        let source = self.source;
        self.remove(key).map(|value| read_unit(source, value, unit)).transpose()
    }

    /// Takes a table of values that are written in a unit.
    pub(super) fn units<U: Unit>(
        &mut self,
        key: &'static str,
        unit: &U,
    ) -> Result<Entries<U::Value>, ConfigError> {
        let source = self.source;
        let entries = self.entries(key)?.into_iter();
        entries
            .map(|(name, value)| Ok((name, read_unit(source, value, unit)?.into_inner())))
            .collect()
    }

    /// Takes a table of tables.
    pub(super) fn tables(&mut self, key: &'static str) -> Result<Entries<Table<'a>>, ConfigError> {
        let source = self.source;
        let entries = self.entries(key)?.into_iter();
        entries
            .map(|(name, value)| {
                let table = Self::new(source, into_table(source, name.get_ref(), value)?);
                Ok((name, table))
            })
            .collect()
    }

    /// Takes a value of another type.
    pub(super) fn take<T: Deserialize<'a>>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.remove(key) else { return Ok(None) };
        let span = value.span();
        let value = T::deserialize(value.into_deserializer());
        value.map(Some).map_err(|error| self.source.toml_error(&error, span))
    }

    fn remove(&mut self, key: &'static str) -> Option<Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.entries.remove(key)
    }

    /// Takes the entries of a table.
    fn entries(&mut self, key: &'static str) -> Result<Entries<Spanned<DeValue<'a>>>, ConfigError> {
        let Some(value) = self.remove(key) else { return Ok(Vec::new()) };
        let entries = into_table(self.source, key, value)?.into_iter();
        let mut entries: Vec<_> = entries
            .map(|(name, value)| (Spanned::new(name.span(), name.into_inner().into_owned()), value))
            .collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        Ok(entries)
    }

    /// Fails if a key remains.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let Some(key) = self.entries.keys().min_by_key(|key| key.span().start) else {
            return Ok(());
        };
        let known: Vec<_> = self.known.iter().map(|known| format!("`{known}`")).collect();
        let instead = match nearest(key.get_ref(), self.known.iter().copied()) {
            Some(nearest) => format!("write `{nearest}`, or another of {}", known.join(", ")),
            None => format!("write one of {}", known.join(", ")),
        };
        Err(self.source.error(key.span(), format!("unknown key `{}`: {instead}", key.get_ref())))
    }

    /// The keys that a reader takes.
    #[cfg(test)]
    pub(super) fn keys_of<T>(
        read: impl FnOnce(&mut Table<'_>) -> Result<T, ConfigError>,
    ) -> Vec<&'static str> {
        let source = Source::default();
        let mut table = Table::new(&source, DeTable::new());
        read(&mut table).map(drop).expect("every key may be left out");
        table.known
    }
}

fn into_table<'a>(
    source: &Source,
    name: &str,
    value: Spanned<DeValue<'a>>,
) -> Result<DeTable<'a>, ConfigError> {
    let span = value.span();
    match value.into_inner() {
        DeValue::Table(entries) => Ok(entries),
        other => {
            let kind = other.type_str();
            Err(source.error(span, format!("`{name}` must be a table, and is of type {kind}")))
        }
    }
}

fn read_unit<U: Unit>(
    source: &Source,
    value: Spanned<DeValue<'_>>,
    unit: &U,
) -> Result<Spanned<U::Value>, ConfigError> {
    let written = Written { notation: unit.notation(), expected: unit.expected() };
    let text = written.read(source, value)?;
    let value = unit.parse(text.get_ref());
    let value = value.map_err(|error| source.error(text.span(), error))?;
    Ok(Spanned::new(text.span(), value))
}

/// Reads the text of a value: of a string, or of a number.
struct Written {
    notation: Notation,
    expected: String,
}

impl Written {
    fn read(
        self,
        source: &Source,
        value: Spanned<DeValue<'_>>,
    ) -> Result<Spanned<String>, ConfigError> {
        let span = value.span();
        match value.into_deserializer().deserialize_any(self) {
            Ok(text) => Ok(Spanned::new(span, text)),
            Err(error) => Err(source.toml_error(&error, span)),
        }
    }
}

impl Visitor<'_> for Written {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        match self.notation {
            Notation::Number => Err(E::invalid_type(Unexpected::Str(text), &self)),
            Notation::String | Notation::StringOrNumber => Ok(text.to_owned()),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        match self.notation {
            Notation::String => Err(E::invalid_type(Unexpected::Signed(number), &self)),
            Notation::Number | Notation::StringOrNumber => Ok(number.to_string()),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
        match self.notation {
            Notation::Number => Ok(number.to_string()),
            Notation::String | Notation::StringOrNumber => {
                Err(E::invalid_type(Unexpected::Float(number), &self))
            }
        }
    }
}
