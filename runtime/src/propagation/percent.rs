//! Percent-encoding, as in paths and in baggage.

use std::borrow::Cow;
use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but ASCII letters, digits and four signs.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Decodes a text. `None` if a `%` is not followed by two hexadecimal digits,
/// or if the decoded bytes are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    let is_escape = |part: &str| {
        part.as_bytes()
            .first_chunk()
            .is_some_and(|two: &[u8; 2]| two.iter().all(u8::is_ascii_hexdigit))
    };
    text.split('%').skip(1).all(is_escape).then_some(())?;
    percent_decode_str(text).decode_utf8().ok()
}

/// Encodes a text.
pub(crate) fn encode(text: &str) -> impl Display {
    utf8_percent_encode(text, ESCAPED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_bytes_of_utf_8() {
        for (text, meant) in [
            ("", Some("")),
            ("plain+text", Some("plain+text")),
            ("a%20b%2Fc%2f", Some("a b/c/")),
            ("gr%C3%BCn", Some("grün")),
            ("100%25", Some("100%")),
            ("%", None),
            ("%4", None),
            ("%4g", None),
            ("%+4", None),
            ("%ü", None),
            ("%C3", None),
            ("%FF", None),
        ] {
            assert_eq!(decode(text).as_deref(), meant, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_meant(text: String, strange in "[%0-9a-fä]{0,9}") {
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let encoded = encode(&text).to_string();
            prop_assert!(encoded.is_ascii() && !encoded.contains(',') && !encoded.contains('"'));
            prop_assert_eq!(decode(&encoded), Some(Cow::Borrowed(&*text)));
            prop_assert_eq!(decode(&escaped), Some(Cow::Owned(text)));
            let _ = decode(&strange);
        }
    }
}
