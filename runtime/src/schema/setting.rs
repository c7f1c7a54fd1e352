//! The description of a setting, and settings from one source: the file, or the
//! flags and variables.

use std::ffi::OsStr;

use super::{Form, ValueError};

/// A struct of settings, declared with [`settings!`](super::settings).
pub(crate) trait Schema: Clone + Default + Send + Sync + 'static {
    /// The description of each field, in the order of the declaration.
    const SETTINGS: &'static [Setting<Self>];
}

/// A setting, which is a field of `S`.
#[derive(Debug)]
pub(crate) struct Setting<S: 'static> {
    /// The key in `hourglass.toml`, and the name of the field.
    pub(crate) name: &'static str,
    /// The lines of the field's documentation.
    pub(crate) doc: &'static [&'static str],
    /// How a value is written.
    pub(crate) form: fn() -> Form,
    /// The values allowed, for the reference page.
    #[cfg(test)]
    pub(crate) range: fn() -> String,
    pub(crate) default: fn() -> String,
    /// Parses a value and stores it.
    pub(crate) set: fn(&mut S, &OsStr) -> Result<(), ValueError>,
    /// Copies the value from one struct to another.
    pub(crate) copy: fn(&S, &mut S),
}

impl<S> Setting<S> {
    /// The flag without its dashes, such as `fetch-body`.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The environment variable, such as `HOURGLASS_FETCH_BODY`.
    pub(crate) fn variable(&self) -> String {
        format!("HOURGLASS_{}", self.name.to_uppercase())
    }

    /// The first paragraph of the documentation, without the period at its end.
    pub(crate) fn help(&self) -> String {
        let lines = self.doc.iter().map(|line| line.trim()).take_while(|line| !line.is_empty());
        let text = lines.collect::<Vec<_>>().join(" ");
        text.strip_suffix('.').unwrap_or(&text).to_owned()
    }
}

/// Partially given settings. The others have their defaults.
#[derive(Clone, Debug)]
pub(crate) struct Partial<S: 'static> {
    values: S,
    given: Vec<&'static Setting<S>>,
}

impl<S: Schema> Default for Partial<S> {
    fn default() -> Self {
        Self { values: S::default(), given: Vec::new() }
    }
}

impl<S: Schema> Partial<S> {
    /// Parses a value and stores it.
    ///
    /// # Errors
    /// The text is not a value of this setting.
    pub(crate) fn set(
        &mut self,
        setting: &'static Setting<S>,
        text: impl AsRef<OsStr>,
    ) -> Result<(), ValueError> {
        (setting.set)(&mut self.values, text.as_ref())?;
        self.given.push(setting);
        Ok(())
    }

    /// Copies what is given in `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        for setting in &other.given {
            (setting.copy)(&other.values, &mut self.values);
        }
        self.given.extend(&other.given);
    }

    /// These settings if they are given, else those of `lower`, else the
    /// defaults.
    pub(crate) fn over(&self, lower: &Self) -> S {
        let mut merged = lower.clone();
        merged.merge(self);
        merged.values
    }

    /// The settings, with the defaults of those that are not given.
    pub(crate) fn values(&self) -> &S {
        &self.values
    }

    /// Changes values without making them given.
    pub(crate) fn map(mut self, change: impl FnOnce(&mut S)) -> Self {
        change(&mut self.values);
        self
    }

    /// The names of the settings that are given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.given.iter().map(|setting| setting.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Count, settings};
    use super::*;

    settings! {
        /// Settings of these tests.
        #[derive(Clone, Debug, PartialEq)]
        struct Example {
            /// The first setting,
            /// on two lines.
            ///
            /// It has a second paragraph.
            first_one: u32 = 1, Count::ANY;
            /// The second setting.
            second: Option<u32> = None, Count::POSITIVE, "no limit";
        }
    }

    fn given(values: &[(&str, &str)]) -> Partial<Example> {
        let mut partial = Partial::default();
        for (name, text) in values {
            let setting = Example::SETTINGS.iter().find(|setting| setting.name == *name);
            partial.set(setting.expect("it is declared"), text).expect("a good value");
        }
        partial
    }

    #[test]
    fn a_given_value_precedes_a_lower_one_and_that_precedes_the_default() {
        let (none, file) = (given(&[]), given(&[("first_one", "2"), ("second", "2")]));
        assert_eq!(none.over(&none), Example { first_one: 1, second: None });
        assert_eq!(none.over(&file), Example { first_one: 2, second: Some(2) });
        // A given value counts even if it equals the default.
        let flags = given(&[("first_one", "1")]);
        assert_eq!(flags.over(&file), Example { first_one: 1, second: Some(2) });
        assert_eq!(flags.names().collect::<Vec<_>>(), ["first_one"]);
    }

    #[test]
    fn a_value_out_of_range_is_not_given() {
        let mut partial = Partial::<Example>::default();
        partial.set(&Example::SETTINGS[1], "0").expect_err("it is out of range");
        assert_eq!(partial.names().count(), 0);
    }

    #[test]
    fn names_help_and_defaults_come_from_the_declaration() {
        let [first, second] = Example::SETTINGS else { panic!("there are two") };
        assert_eq!((&*first.flag(), &*first.variable()), ("first-one", "HOURGLASS_FIRST_ONE"));
        assert_eq!(first.help(), "The first setting, on two lines");
        assert_eq!(((first.default)(), (second.default)()), ("1".into(), "no limit".into()));
    }
}
