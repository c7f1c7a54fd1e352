//! Why a context is done: [`Done`] is the short answer, an enum that will never
//! have more than its two values; [`Cause`] is the long one, for logs, metrics
//! and decisions.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use hourglass_abi::cause;

/// How a context ended.
///
/// As an [`Error`] it is the result of a function that stopped because its
/// context is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Done {
    /// The context, or one that it was derived from, was canceled.
    Canceled,
    /// The context's deadline has passed.
    DeadlineExceeded,
}

impl Done {
    /// The name used on the wire, in logs and in metrics: `canceled` or
    /// `deadline-exceeded`.
    pub const fn name(self) -> &'static str {
        match self {
            Done::Canceled => cause::CANCELED,
            Done::DeadlineExceeded => cause::DEADLINE_EXCEEDED,
        }
    }

    /// Whether time ran out, so that a retry with more time may help.
    pub const fn is_timeout(self) -> bool {
        matches!(self, Done::DeadlineExceeded)
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Done::Canceled => "context canceled",
            Done::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl Error for Done {}

/// Why a context ended.
///
/// Cheap to clone. Displays as its [name](Cause::name), followed by `: ` and
/// the message if there is one. Two causes are equal if they are the same
/// variant with the same text; two [`Custom`](Cause::Custom) ones only if they
/// are clones of each other, since errors cannot be compared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Canceled without a stated reason.
    Canceled,
    /// The deadline passed.
    DeadlineExceeded,
    /// The client that would read the response is gone.
    ClientDisconnected,
    /// The parent that asked for the work ended before the work did.
    ParentDone,
    /// The host is shutting down.
    Shutdown,
    /// An operator ended it by hand.
    Operator,
    /// A limit was exceeded; the text says which.
    LimitExceeded(Arc<str>),
    /// The embedder's own reason.
    Custom(Arc<dyn Error + Send + Sync>),
}

impl Cause {
    /// The [names](Self::name) of all causes.
    pub(crate) const NAMES: [&str; 8] = [
        cause::CANCELED,
        cause::DEADLINE_EXCEEDED,
        cause::CLIENT_DISCONNECTED,
        cause::PARENT_DONE,
        cause::SHUTDOWN,
        cause::OPERATOR,
        cause::LIMIT_EXCEEDED,
        cause::CUSTOM,
    ];

    /// A limit was exceeded; `text` says which, for people.
    pub fn limit_exceeded(text: impl Into<Arc<str>>) -> Cause {
        Cause::LimitExceeded(text.into())
    }

    /// A custom reason: an error, or a text.
    pub fn custom(error: impl Into<Box<dyn Error + Send + Sync>>) -> Cause {
        Cause::Custom(Arc::from(error.into()))
    }

    /// The name used on the wire, in logs and in metrics. It never changes and
    /// contains nothing that a caller chose.
    pub const fn name(&self) -> &'static str {
        match self {
            Cause::Canceled => cause::CANCELED,
            Cause::DeadlineExceeded => cause::DEADLINE_EXCEEDED,
            Cause::ClientDisconnected => cause::CLIENT_DISCONNECTED,
            Cause::ParentDone => cause::PARENT_DONE,
            Cause::Shutdown => cause::SHUTDOWN,
            Cause::Operator => cause::OPERATOR,
            Cause::LimitExceeded(_) => cause::LIMIT_EXCEEDED,
            Cause::Custom(_) => cause::CUSTOM,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::LimitExceeded(text) => write!(f, "{}: {text}", self.name()),
            Cause::Custom(error) => write!(f, "{}: {error}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Cause::Custom(error) => Some(&**error),
            _ => None,
        }
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Cause) -> bool {
        match (self, other) {
            (Cause::LimitExceeded(a), Cause::LimitExceeded(b)) => a == b,
            (Cause::Custom(a), Cause::Custom(b)) => Arc::ptr_eq(a, b),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Cause {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_and_messages_follow_them() {
        let causes = [
            (Cause::Canceled, "canceled"),
            (Cause::DeadlineExceeded, "deadline-exceeded"),
            (Cause::ClientDisconnected, "client-disconnected"),
            (Cause::ParentDone, "parent-done"),
            (Cause::Shutdown, "shutdown"),
            (Cause::Operator, "operator"),
            (Cause::limit_exceeded("memory: 64 MiB"), "limit-exceeded: memory: 64 MiB"),
            (Cause::custom("the moon is full"), "custom: the moon is full"),
        ];
        assert_eq!(causes.each_ref().map(|(cause, _)| cause.name()), Cause::NAMES);
        for (cause, text) in causes {
            assert_eq!(cause.to_string(), text);
            assert_eq!(text.split(':').next(), Some(cause.name()));
        }
    }

    #[test]
    fn custom_causes_are_equal_only_to_their_clones() {
        let cause = Cause::custom("mine");
        assert_eq!(cause, cause.clone());
        assert_ne!(cause, Cause::custom("mine"));
        assert_eq!(Cause::limit_exceeded("fuel"), Cause::limit_exceeded("fuel"));
        assert_ne!(Cause::limit_exceeded("fuel"), Cause::limit_exceeded("time"));
        assert_ne!(Cause::Shutdown, Cause::Operator);
    }

    #[test]
    fn a_custom_cause_hands_out_the_error_it_was_made_of() {
        let cause = Cause::custom(Done::DeadlineExceeded);
        let source = cause.source().and_then(|error| error.downcast_ref());
        assert_eq!(source, Some(&Done::DeadlineExceeded));
        assert!(Cause::Shutdown.source().is_none());
    }
}
