//! The parameters of a request, in its query.

use percent_encoding::percent_decode_str;

use crate::escape::OneLine;
use crate::runtime::ALL;

/// The parameters of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) weight: Option<u8>,
    pub(super) version: Option<String>,
}

impl Parameters {
    /// Parses a query string. A parameter that is unknown may be a misspelled
    /// weight, without which a version would get all invocations.
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy();
            match name {
                "weight" => {
                    let weight = value.parse().ok().filter(|weight| *weight <= ALL);
                    let weight = weight.ok_or("`weight` is a percentage from 0 to 100")?;
                    parameters.weight = Some(weight);
                }
                "version" => parameters.version = Some(value.into_owned()),
                other => {
                    let other = OneLine(other);
                    return Err(format!(
                        "unknown parameter `{other}`: there are weight and version"
                    ));
                }
            }
        }
        Ok(parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked() {
        let parse = Parameters::parse;
        let whole = Parameters { weight: Some(10), version: Some("a b".to_owned()) };
        assert_eq!(parse("weight=10&version=a%20b"), Ok(whole));
        assert_eq!(parse(""), Ok(Parameters::default()));
        for (query, reason) in [
            ("weight=101", "from 0 to 100"),
            ("weight=-1", "from 0 to 100"),
            ("weight=", "from 0 to 100"),
            ("wieght=10", "unknown parameter `wieght`"),
        ] {
            let error = parse(query).expect_err(query);
            assert!(error.contains(reason), "{query}: {error}");
        }
    }
}
