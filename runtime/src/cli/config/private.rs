//! Deserializes the parts of the file that may hold a secret. The errors of a
//! derived implementation quote the value; these say only what to write.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::environment::{EnvTable, SecretSource, SecretTable};

/// The value of a variable.
pub(super) struct Value(pub(super) String);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}

/// A type whose errors do not quote the value.
trait Private: Sized {
    /// The error for any other value: what to write.
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

impl Private for EnvTable {
    const EXPECTED: &str =
        "settings are a table: write `NAME = \"value\"` below `[function.NAME.env]`";

    fn table<'de, A: MapAccess<'de>>(table: A) -> Result<Self, A::Error> {
        entries(table).map(Self)
    }
}

impl Private for SecretTable {
    const EXPECTED: &str = "secrets are a table: write `NAME = { env = \"VARIABLE\" }` below \
                            `[function.NAME.secrets]`";

    fn table<'de, A: MapAccess<'de>>(table: A) -> Result<Self, A::Error> {
        entries(table).map(Self)
    }
}

impl Private for SecretSource {
    const EXPECTED: &str = "the file does not hold a secret, only its place: write \
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

private!(Value, EnvTable, SecretTable, SecretSource);

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
