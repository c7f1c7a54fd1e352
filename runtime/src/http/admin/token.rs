//! The secret that an operator presents.

use std::fmt;
use std::str::FromStr;

/// The minimum length, in characters.
const MIN_LENGTH: usize = 16;

/// The secret that an operator presents to the [`Admin`](super::Admin)
/// listener: at least 16 visible ASCII characters, which should be random.
///
/// `Debug` does not print it.
#[derive(Clone)]
pub struct AdminToken(String);

/// A text that is not a valid token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a token: write at least 16 visible ASCII characters, such as what `openssl rand -hex 32` prints"
)]
#[non_exhaustive]
pub struct AdminTokenError;

impl AdminToken {
    /// The token itself.
    #[cfg(feature = "cli")]
    pub(super) fn secret(&self) -> &str {
        &self.0
    }

    /// Whether `shown` is this token. The comparison covers all bytes of two
    /// hashes, so its time reveals nothing about the token but its length.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        blake3::hash(self.0.as_bytes()) == blake3::hash(shown)
    }
}

impl FromStr for AdminToken {
    type Err = AdminTokenError;

    fn from_str(text: &str) -> Result<Self, AdminTokenError> {
        let good = text.len() >= MIN_LENGTH && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(Self(text.to_owned())) } else { Err(AdminTokenError) }
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_visible() {
        for text in ["", "short", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n"] {
            assert_eq!(text.parse::<AdminToken>().expect_err(text), AdminTokenError);
        }
        assert!(AdminTokenError.to_string().contains(&MIN_LENGTH.to_string()));
    }

    #[test]
    fn only_the_token_itself_is_the_token() {
        let token: AdminToken = "0123456789abcdef".parse().expect("a token");
        assert!(token.is(b"0123456789abcdef"));
        for other in ["", "0123456789abcde", "0123456789abcdeg", "0123456789abcdef0"] {
            assert!(!token.is(other.as_bytes()), "{other}");
        }
        assert!(!format!("{token:?}").contains("0123"));
    }
}
