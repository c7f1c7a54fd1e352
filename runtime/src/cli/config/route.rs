//! A route: a path, or a table with a path and more.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::http::Route;

/// One of a function's `routes`. The derived function reads a table; the
/// implementation of the trait below reads a string or a table.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(super) struct RouteEntry {
    path: String,
    #[serde(default)]
    baggage: Vec<String>,
}

impl RouteEntry {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The route to a function.
    pub(super) fn to(&self, function: &str) -> Route {
        Route::new(&self.path, function).baggage(self.baggage.iter().map(String::as_str))
    }
}

impl<'de> Deserialize<'de> for RouteEntry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // The errors of an untagged enum have no place and no cause.
        from.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = RouteEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path in quotes, such as \"/images/{id}\", or a table with a `path`")
    }

    fn visit_str<E: Error>(self, path: &str) -> Result<RouteEntry, E> {
        Ok(RouteEntry { path: path.to_owned(), baggage: Vec::new() })
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<RouteEntry, A::Error> {
        RouteEntry::deserialize(MapAccessDeserializer::new(table))
    }
}
