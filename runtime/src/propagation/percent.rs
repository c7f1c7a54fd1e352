//! Percent-encoding, as in paths and in baggage.

use std::borrow::Cow;

/// Decodes a text. `None` if a `%` is not followed by two hexadecimal digits,
/// or if the decoded bytes are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Encodes a text. Only ASCII letters, digits and four signs are not escaped.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            plain if plain.is_ascii_alphanumeric() => encoded.push(char::from(plain)),
            other => {
                encoded.push('%');
                for half in [other >> 4, other & 0xf] {
                    encoded.push(
                        char::from_digit(half.into(), 16).unwrap_or('0').to_ascii_uppercase(),
                    );
                }
            }
        }
    }
    encoded
}

fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        _ => return None,
    })
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
            let encoded = encode(&text);
            prop_assert!(encoded.is_ascii() && !encoded.contains(',') && !encoded.contains('"'));
            prop_assert_eq!(decode(&encoded), Some(Cow::Borrowed(&*text)));
            prop_assert_eq!(decode(&escaped), Some(Cow::Owned(text)));
            let _ = decode(&strange);
        }
    }
}
