//! Plain numbers: counts and shares.

use super::{Form, Notation, Unit, ValueError};

/// A whole number.
pub(crate) struct Count {
    least: u32,
    most: u32,
}

impl Count {
    /// Zero is allowed.
    pub(crate) const ANY: Self = Self::within(0, u32::MAX);
    /// Zero is not allowed.
    pub(crate) const POSITIVE: Self = Self::within(1, u32::MAX);

    pub(crate) const fn within(least: u32, most: u32) -> Self {
        Self { least, most }
    }
}

impl Unit for Count {
    type Value = u32;

    fn form(&self) -> Form {
        Form::new(
            "N",
            Notation::Number,
            format!("a whole number from {}, without quotes", self.range()),
        )
    }

    fn range(&self) -> String {
        format!("{} to {}", self.least, self.most)
    }

    fn parse(&self, text: &str) -> Result<u32, ValueError> {
        let count = text.parse().ok().filter(|count| (self.least..=self.most).contains(count));
        count.ok_or_else(|| {
            let instead = format!("a whole number from {}, or leave it out", self.range());
            ValueError::new(text, "not allowed", instead)
        })
    }

    fn show(&self, value: &u32) -> String {
        value.to_string()
    }
}

/// A part of a whole: at most 1.
pub(crate) struct Share {
    has_zero: bool,
}

impl Share {
    /// Above 0.
    pub(crate) const POSITIVE: Self = Self { has_zero: false };
    /// At least 0.
    pub(crate) const ANY: Self = Self { has_zero: true };

    /// A valid number, in words.
    fn expected(&self) -> &'static str {
        if self.has_zero {
            "a number from 0 to 1, such as 0.5"
        } else {
            "a number above 0 and at most 1, such as 0.5"
        }
    }
}

impl Unit for Share {
    type Value = f64;

    fn form(&self) -> Form {
        Form::new("SHARE", Notation::Number, format!("{}, without quotes", self.expected()))
    }

    fn range(&self) -> String {
        if self.has_zero { "0 to 1" } else { "above 0, at most 1" }.to_owned()
    }

    fn parse(&self, text: &str) -> Result<f64, ValueError> {
        let fits = |share: &f64| (0.0..=1.0).contains(share) && (self.has_zero || *share > 0.0);
        let share = text.parse().ok().filter(fits);
        share.ok_or_else(|| ValueError::new(text, "not a share", self.expected()))
    }

    fn show(&self, value: &f64) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_out_of_range_is_refused_with_the_range() {
        assert_eq!(Count::ANY.parse("0"), Ok(0));
        assert_eq!(Count::within(16, 256).parse("256"), Ok(256));
        for (count, bad, range) in [
            (Count::POSITIVE, "0", "from 1 to 4294967295"),
            (Count::POSITIVE, "-1", "from 1 to 4294967295"),
            (Count::POSITIVE, "4294967296", "from 1 to 4294967295"),
            (Count::ANY, "-1", "from 0 to 4294967295"),
            (Count::ANY, "", "from 0 to 4294967295"),
            (Count::within(16, 256), "15", "from 16 to 256"),
            (Count::within(16, 256), "257", "from 16 to 256"),
        ] {
            let error = count.parse(bad).expect_err(bad).to_string();
            assert!(error.contains(range), "{error}");
        }
    }

    #[test]
    fn a_share_is_at_most_one() {
        for (text, expected) in [("0.5", 0.5), ("1", 1.0), (".25", 0.25)] {
            assert_eq!(Share::POSITIVE.parse(text), Ok(expected), "{text}");
            assert_eq!(Share::ANY.parse(text), Ok(expected), "{text}");
        }
        assert_eq!(Share::ANY.parse("0"), Ok(0.0));
        assert!(Share::POSITIVE.parse("0").is_err());
        for bad in ["-1", "1.01", "50%", "NaN", "inf", ""] {
            for share in [Share::POSITIVE, Share::ANY] {
                let error = share.parse(bad).expect_err(bad).to_string();
                assert!(error.contains("such as 0.5"), "{error}");
            }
        }
    }
}
