//! How the parts of the file are read that may hold a secret. A derived reader
//! tells in its errors what it found; this one tells only what to write.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::settings::{Place, Secrets, Settings};

/// A setting's value.
pub(super) struct Value(pub(super) String);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}

/// What is read, and what is said where something else is found.
trait Private: Sized {
    const EXPECTED: &str;

    fn text(_text: &str) -> Option<Self> {
        None
    }

    fn table<'de, A: MapAccess<'de>>(_table: A) -> Result<Self, A::Error> {
        Err(de::Error::custom(Self::EXPECTED))
    }
}

impl Private for Value {
    const EXPECTED: &str = "a value in this place is a string: write it in quotes";

    fn text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
}

impl Private for Settings {
    const EXPECTED: &str =
        "settings are a table: write `NAME = \"value\"` below `[function.NAME.env]`";

    fn table<'de, A: MapAccess<'de>>(table: A) -> Result<Self, A::Error> {
        entries(table).map(Self)
    }
}

impl Private for Secrets {
    const EXPECTED: &str = "secrets are a table: write `NAME = { env = \"VARIABLE\" }` below \
                            `[function.NAME.secrets]`";

    fn table<'de, A: MapAccess<'de>>(table: A) -> Result<Self, A::Error> {
        entries(table).map(Self)
    }
}

impl Private for Place {
    const EXPECTED: &str = "a secret is not written here, only where it is: write \
                            `{ file = \"PATH\" }` or `{ env = \"VARIABLE\" }`";

    fn table<'de, A: MapAccess<'de>>(mut table: A) -> Result<Self, A::Error> {
        let refused = || de::Error::custom(Self::EXPECTED);
        let key: String = table.next_key()?.ok_or_else(refused)?;
        let Value(place) = table.next_value()?;
        let place = match &*key {
            "file" if place.is_empty() => return Err(refused()),
            "file" => Self::File(place.into()),
            "env" => Self::Env(place),
            _ => return Err(refused()),
        };
        match table.next_key::<String>()? {
            None => Ok(place),
            Some(_) => Err(refused()),
        }
    }
}

fn entries<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    mut table: A,
) -> Result<BTreeMap<String, Spanned<T>>, A::Error> {
    let mut entries = BTreeMap::new();
    while let Some((name, entry)) = table.next_entry()? {
        entries.insert(name, entry);
    }
    Ok(entries)
}

struct Reader<T>(PhantomData<T>);

impl<T: Private> Reader<T> {
    fn refuse<E: de::Error>() -> Result<T, E> {
        Err(E::custom(T::EXPECTED))
    }
}

impl<'de, T: Private> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::text(text).map_or_else(Self::refuse, Ok)
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<T, A::Error> {
        T::table(table)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<T, E> {
        Self::refuse()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<T, E> {
        Self::refuse()
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<T, E> {
        Self::refuse()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<T, E> {
        Self::refuse()
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<T, E> {
        Self::refuse()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<T, E> {
        Self::refuse()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<T, A::Error> {
        Self::refuse()
    }
}

macro_rules! private {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Reader(PhantomData))
            }
        }
    )*};
}

private!(Value, Settings, Secrets, Place);
