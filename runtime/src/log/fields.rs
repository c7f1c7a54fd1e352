//! A guest's own fields of a log record. Their names are not known in advance,
//! so all of them are one field of the record: an object in JSON, and for human
//! readers `name=value name="another value"`.

use std::error::Error;
use std::fmt::{self, Display, Write as _};

use super::text::Word;
use crate::escape::is_layout;

/// A guest's own fields, in the guest's encoding.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) pairs: &'a [(&'a [u8], &'a [u8])],
    /// Whether the values have types. If not, they are texts.
    pub(crate) typed: bool,
}

/// A value of a field.
#[derive(Debug, PartialEq)]
enum Value<'a> {
    Text(&'a [u8]),
    /// A number, `true`, `false` or `null`, as JSON writes them.
    Literal(&'a str),
}

/// The fields, encoded for a log. A subscriber may need them in another form
/// than text. They implement `Error`, because `tracing` passes an error to a
/// subscriber unformatted.
#[derive(Debug)]
pub(crate) struct Logged {
    text: String,
    #[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "only the exporter needs it"))]
    json: String,
}

impl<'a> Fields<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Their length in bytes, before escaping.
    pub(super) fn len(&self) -> usize {
        self.values().fold(0, |len, (name, value)| {
            let value = match value {
                Value::Text(text) => text.len(),
                Value::Literal(text) => text.len(),
            };
            len.saturating_add(name.len()).saturating_add(value)
        })
    }

    /// Encodes the fields for a log.
    pub(super) fn logged(&self) -> Logged {
        Logged { text: self.to_string(), json: Object(*self).to_string() }
    }

    /// The longest form that any log shows.
    pub(super) fn longest(self) -> impl Display {
        Object(self)
    }

    fn values(self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> {
        self.pairs.iter().map(move |(name, value)| {
            (*name, if self.typed { Value::typed(value) } else { Value::Text(value) })
        })
    }
}

impl<'a> Value<'a> {
    fn typed(value: &'a [u8]) -> Self {
        if let [b'"', text @ ..] = value {
            return Self::Text(text);
        }
        match std::str::from_utf8(value) {
            Ok(text @ ("true" | "false" | "null")) => Self::Literal(text),
            Ok(text) if is_number(text) => Self::Literal(text),
            _ => Self::Text(value),
        }
    }
}

/// Whether a text is a number in JSON.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unzip();
    let mantissa = mantissa.unwrap_or(text);
    let (whole, fraction) = mantissa.split_once('.').unzip();
    let whole = whole.unwrap_or(mantissa);
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

impl Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.values().enumerate() {
            write!(f, "{}{}=", if place > 0 { " " } else { "" }, Word(name))?;
            match value {
                Value::Text(text) => Word(text).fmt(f)?,
                Value::Literal(text) => f.write_str(text)?,
            }
        }
        Ok(())
    }
}

/// The fields as an object in JSON.
struct Object<'a>(Fields<'a>);

impl Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (place, (name, value)) in self.0.values().enumerate() {
            write!(f, "{}{}:", if place > 0 { "," } else { "" }, Quoted(name))?;
            match value {
                Value::Text(text) => Quoted(text).fmt(f)?,
                Value::Literal(text) => f.write_str(text)?,
            }
        }
        f.write_char('}')
    }
}

/// A text as a JSON string, escaped for terminals too.
struct Quoted<'a>(&'a [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in String::from_utf8_lossy(self.0).chars() {
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                // None of them is outside the Basic Multilingual Plane.
                char if char.is_control() || is_layout(char) => {
                    write!(f, "\\u{:04x}", u32::from(char))?;
                }
                char => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}

impl Logged {
    /// The fields as an object in JSON.
    #[cfg(feature = "otlp")]
    pub(crate) fn json(&self) -> &str {
        &self.json
    }
}

impl Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Logged {}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [(&[u8], &[u8]); 7] = [
        (b"user", b"\"ada"),
        (b"at", b"\"a b=\"c\"\\\xff"),
        (b"x y", b""),
        (b"n", b"-1.5"),
        (b"ok", b"true"),
        (b"odd", b"01"),
        ("\u{202e}".as_bytes(), b"\"\x1b\n"),
    ];

    #[test]
    fn fields_are_told_apart() {
        let expected = r#"user=ada at="a b=\"c\"\\\u{fffd}" "x y"="" n=-1.5 ok=true odd=01 "\u{202e}"="\u{1b}\n""#;
        let shown = Fields { pairs: &PAIRS, typed: true }.to_string();
        assert_eq!(shown.replace('\u{fffd}', r"\u{fffd}"), expected);
        let texts = Fields { pairs: &PAIRS[3..4], typed: false };
        assert_eq!(texts.to_string(), "n=-1.5");
        assert_eq!(texts.logged().json, r#"{"n":"-1.5"}"#);
    }

    #[test]
    fn in_json_they_have_their_types() {
        let json = Fields { pairs: &PAIRS, typed: true }.logged().json;
        let expected = "{\"user\":\"ada\",\"at\":\"a b=\\\"c\\\"\\\\\u{fffd}\",\"x y\":\"\",\"n\":-1.5,\
                        \"ok\":true,\"odd\":\"01\",\"\\u202e\":\"\\u001b\\n\"}";
        assert_eq!(json, expected);
    }

    #[test]
    fn numbers_are_those_of_json() {
        for good in ["0", "-0", "10", "1.5", "-1.50e+7", "2E3", "1e-9"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "-", "01", ".5", "1.", "1e", "1e+", "+1", "0x1", "NaN", "1 ", "1,2", "1\n"]
        {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
