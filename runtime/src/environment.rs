//! A function's settings and secrets, which it reads as its environment.
//!
//! No value ever appears in a log, an error or debug output, whether it is a
//! secret or not, so callers do not have to distinguish them.

use std::collections::BTreeMap;
use std::fmt;

/// Names and values. WASI passes them as `NAME=value`, each with a zero byte at
/// the end.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Sets a value, and replaces an existing one of that name.
    pub(crate) fn set(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    /// Checks that all variables can be passed to a guest.
    ///
    /// # Errors
    /// The name of the first variable that cannot be passed, and the reason.
    pub(crate) fn check(&self) -> Result<(), (&str, &'static str)> {
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
            return Err((name, reason));
        }
        Ok(())
    }

    /// The names without the values.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Each variable in the form that a guest reads.
    pub(crate) fn variables(&self) -> impl ExactSizeIterator<Item = [&[u8]; 4]> {
        self.0.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\0"])
    }

    /// The size of all variables in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len() + 2).sum()
    }
}

/// Shows the names without the values.
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
        let environment = with("KEY", "hunter2\0");
        let (name, reason) = environment.check().expect_err("it has a zero byte");
        assert_eq!((name, reason), ("KEY", "its value has a zero byte"));
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
