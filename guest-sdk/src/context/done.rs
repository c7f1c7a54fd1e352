//! How a context is done.

use std::fmt;

use hourglass_abi::cause;

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
