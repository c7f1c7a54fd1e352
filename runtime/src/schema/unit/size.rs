//! Sizes, such as `64MiB`.

use super::period::part;
use super::{Form, Notation, Unit, ValueError};

/// The units of size in bytes, the largest first.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A number of bytes.
pub(crate) struct Size {
    least: u64,
    most: u64,
}

impl Size {
    /// Zero is allowed.
    pub(crate) const ANY: Self = Self::within(0, u64::MAX);
    /// Zero is not allowed.
    pub(crate) const POSITIVE: Self = Self::within(1, u64::MAX);

    pub(crate) const fn within(least: u64, most: u64) -> Self {
        Self { least, most }
    }

    /// A size as it is written.
    fn text(bytes: u64) -> String {
        let fits = |(_, worth): &&(&str, u64)| bytes >= *worth && bytes.is_multiple_of(*worth);
        match UNITS.iter().find(fits) {
            Some((unit, worth)) => format!("{}{unit}", bytes / worth),
            None => bytes.to_string(),
        }
    }
}

impl Unit for Size {
    type Value = u64;

    fn form(&self) -> Form {
        Form::new(
            "SIZE",
            Notation::StringOrNumber,
            r#"a size in quotes, such as "64MiB", or a number of bytes"#,
        )
    }

    fn range(&self) -> String {
        match (self.least, self.most) {
            (0, u64::MAX) => String::new(),
            (least, u64::MAX) => format!("{} or more", Self::text(least)),
            (least, most) => format!("{} to {}", Self::text(least), Self::text(most)),
        }
    }

    fn parse(&self, text: &str) -> Result<u64, ValueError> {
        let bytes = bytes(text).ok_or_else(|| {
            let instead =
                "a whole number of KiB, MiB or GiB, such as `64MiB`, or a number of bytes alone";
            ValueError::new(text, "not a size", instead)
        })?;
        if (self.least..=self.most).contains(&bytes) {
            return Ok(bytes);
        }
        let instead = match self.most {
            u64::MAX => "a size such as `10MiB`, or leave it out".to_owned(),
            _ => format!("a size from {}, or leave it out", self.range()),
        };
        Err(ValueError::new(text, "out of range", instead))
    }

    fn show(&self, value: &u64) -> String {
        Self::text(*value)
    }
}

fn bytes(text: &str) -> Option<u64> {
    match part(text)? {
        (number, "", "") => Some(number),
        (number, unit, "") => {
            let (_, worth) = UNITS.iter().find(|(name, _)| *name == unit)?;
            number.checked_mul(*worth)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit_or_of_bytes() {
        for (text, expected) in
            [("64MiB", 64 << 20), ("10KiB", 10 << 10), ("1GiB", 1 << 30), ("4096", 4096), ("0", 0)]
        {
            assert_eq!(Size::ANY.parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_malformed_size_is_refused_with_an_example() {
        for text in
            ["", "MiB", "64MB", "64 MiB", "64mib", "1MiB1KiB", "-1", "1.5GiB", "99999999999GiB"]
        {
            let error = Size::ANY.parse(text).expect_err(text).to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("`64MiB`"), "{error}");
        }
    }

    #[test]
    fn a_size_out_of_range_is_refused_with_the_range() {
        let memory = Size::within(64 << 10, 4 << 30);
        for good in ["64KiB", "4GiB"] {
            assert!(memory.parse(good).is_ok(), "{good}");
        }
        for bad in ["8GiB", "4294967297", "0", "65535"] {
            let error = memory.parse(bad).expect_err(bad).to_string();
            assert!(error.contains("from 64KiB to 4GiB"), "{error}");
        }
        for bad in ["0", "0MiB"] {
            let error = Size::POSITIVE.parse(bad).expect_err(bad).to_string();
            assert!(error.contains("such as `10MiB`"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_size_is_read_as_it_is_shown(bytes: u64) {
            prop_assert_eq!(Size::ANY.parse(&Size::text(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(text: String) {
            let _ = Size::ANY.parse(&text);
        }
    }
}
