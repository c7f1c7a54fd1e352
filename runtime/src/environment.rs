//! A function's settings and secrets, which it reads as its environment.
//!
//! Values never leave by way of a log, an error or a debug text, whether they
//! are secrets or not: nobody has to think of which is which.

use std::collections::BTreeMap;
use std::fmt;

/// Names and values, laid out as WASI hands them over: `NAME=value`, each with
/// a zero behind it.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

/// A name or a value that no environment can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` can't be a setting: {reason}")]
pub(crate) struct Unusable {
    pub(crate) name: String,
    pub(crate) reason: &'static str,
}

impl Environment {
    /// Sets a value, in place of one of that name.
    pub(crate) fn set(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    /// Whether a guest can be given all of it.
    ///
    /// # Errors
    /// The first that it can't be given.
    pub(crate) fn check(&self) -> Result<(), Unusable> {
        for (name, value) in &self.0 {
            let reason = if name.is_empty() {
                "it has no name"
            } else if name.contains(['=', '\0']) {
                "its name has a `=` or a zero byte"
            } else if value.contains('\0') {
                "its value has a zero byte"
            } else {
                continue;
            };
            return Err(Unusable { name: name.clone(), reason });
        }
        Ok(())
    }

    /// The names alone.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Each variable as a guest reads it.
    pub(crate) fn variables(&self) -> impl ExactSizeIterator<Item = [&[u8]; 4]> {
        self.0.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\0"])
    }

    /// How many bytes all variables take together.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len() + 2).sum()
    }
}

/// The names alone.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Environment {
        let mut environment = Environment::default();
        environment.set(name.to_owned(), value.to_owned());
        environment
    }

    #[test]
    fn a_value_is_never_shown() {
        assert_eq!(format!("{:?}", with("KEY", "hunter2")), r#"{"KEY"}"#);
        let unusable = with("KEY", "hunter2\0").check().expect_err("it has a zero byte");
        assert!(!unusable.to_string().contains("hunter2"), "{unusable}");
    }

    #[test]
    fn what_can_not_be_handed_over_is_refused() {
        for (name, value) in [("", "v"), ("a=b", "v"), ("a\0", "v"), ("a", "\0")] {
            assert!(with(name, value).check().is_err(), "{name:?} {value:?}");
        }
        assert_eq!(with("ä", "= ").check(), Ok(()));
        assert_eq!(Environment::default().check(), Ok(()));
    }

    #[test]
    fn the_length_is_that_of_all_variables() {
        let environment = with("NAME", "value");
        let text: Vec<_> = environment.variables().map(|variable| variable.concat()).collect();
        assert_eq!(text, [b"NAME=value\0"]);
        assert_eq!(environment.len(), 11);
    }
}
