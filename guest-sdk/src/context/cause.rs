//! How and why a context is done.

use std::fmt;

use hourglass_abi::cause;

/// The reason why a context is done.
///
/// Its text form, in which the host sends it, is `name` or `name: message`.
/// [`Display`](fmt::Display) writes it and `from` reads it:
///
/// ```
/// use hourglass_sdk::Cause;
///
/// assert_eq!(Cause::from("shutdown"), Cause::Shutdown);
/// assert_eq!(Cause::LimitExceeded("fuel".into()).to_string(), "limit-exceeded: fuel");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// It was canceled without a specific cause.
    Canceled,
    /// Its deadline passed.
    DeadlineExceeded,
    /// The client that sent the request disconnected.
    ClientDisconnected,
    /// The operation that the invocation was part of has ended.
    ParentDone,
    /// The host shuts down.
    Shutdown,
    /// An operator of the host ended it.
    Operator,
    /// It exceeded a limit. The message says which.
    LimitExceeded(String),
    /// The embedder's own cause, with its message.
    Custom(String),
}

impl Cause {
    /// The cause's name, the same in the API, the host's log and its metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Canceled => cause::CANCELED,
            Self::DeadlineExceeded => cause::DEADLINE_EXCEEDED,
            Self::ClientDisconnected => cause::CLIENT_DISCONNECTED,
            Self::ParentDone => cause::PARENT_DONE,
            Self::Shutdown => cause::SHUTDOWN,
            Self::Operator => cause::OPERATOR,
            Self::LimitExceeded(_) => cause::LIMIT_EXCEEDED,
            Self::Custom(_) => cause::CUSTOM,
        }
    }
}

/// Parses the text form. A text with an unknown name, as from a newer host, becomes a
/// [`Cause::Custom`] with the whole text as the message.
impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        let (name, message) = text.split_once(": ").unwrap_or((text, ""));
        match name {
            cause::CANCELED => Self::Canceled,
            cause::DEADLINE_EXCEEDED => Self::DeadlineExceeded,
            cause::CLIENT_DISCONNECTED => Self::ClientDisconnected,
            cause::PARENT_DONE => Self::ParentDone,
            cause::SHUTDOWN => Self::Shutdown,
            cause::OPERATOR => Self::Operator,
            cause::LIMIT_EXCEEDED => Self::LimitExceeded(message.to_owned()),
            cause::CUSTOM => Self::Custom(message.to_owned()),
            _ => Self::Custom(text.to_owned()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::LimitExceeded(message) | Self::Custom(message) => write!(f, ": {message}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Cause {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_read_as_it_was_written() {
        let causes = [
            Cause::Canceled,
            Cause::DeadlineExceeded,
            Cause::ClientDisconnected,
            Cause::ParentDone,
            Cause::Shutdown,
            Cause::Operator,
            Cause::LimitExceeded("request body: 10 MiB".into()),
            Cause::Custom("quota: used up".into()),
        ];
        for cause in causes {
            assert_eq!(Cause::from(cause.to_string().as_str()), cause);
        }
    }

    #[test]
    fn a_cause_of_the_future_keeps_its_words() {
        assert_eq!(Cause::from("moved: away"), Cause::Custom("moved: away".into()));
        assert_eq!(Cause::from(""), Cause::Custom(String::new()));
    }
}

/// How a context is done. Its [`Cause`](crate::Cause) says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Done {
    /// It was canceled.
    Canceled,
    /// Its deadline passed.
    DeadlineExceeded,
}

impl Done {
    /// The name, which is also the host's: `canceled` or `deadline-exceeded`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Canceled => cause::CANCELED,
            Self::DeadlineExceeded => cause::DEADLINE_EXCEEDED,
        }
    }

    /// Whether time ran out, so that a retry with more time may help.
    #[must_use]
    pub const fn is_timeout(self) -> bool {
        matches!(self, Self::DeadlineExceeded)
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canceled => "context canceled",
            Self::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl std::error::Error for Done {}
