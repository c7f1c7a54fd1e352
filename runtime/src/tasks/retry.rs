//! When a failed attempt is followed by another one, and after how long.

use std::time::Duration;

use crate::body::Response;
use crate::error::InvokeError;

/// When a failed attempt is repeated: how often, after which failures, and after
/// which delay.
///
/// The delay before retry `n` is a random time between zero and `first * 2^n`,
/// at most `longest`: exponential backoff with full jitter, so that what failed
/// together does not come back together.
///
/// The default never retries. [`times`](Self::times) retries after the failures
/// that another attempt may not have:
///
/// | name | failure |
/// |---|---|
/// | `busy` | the host was full |
/// | `deadline-exceeded` | the attempt took too long |
/// | `trap`, `exit`, `out-of-memory`, `bad-response` | the function failed |
/// | `host` | the host failed |
/// | `server-error` | the function answered with the status 429 or 5xx |
///
/// ```
/// use std::time::Duration;
/// use hourglass::Retry;
///
/// let retry = Retry::times(5).backoff(Duration::from_millis(50), Duration::from_secs(5));
/// assert_eq!(retry.ceiling(0), Duration::from_millis(50));
/// assert_eq!(retry.ceiling(3), Duration::from_millis(400));
/// assert_eq!(retry.ceiling(60), Duration::from_secs(5));
/// assert!(retry.delay(3) <= retry.ceiling(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    retries: u32,
    first: Duration,
    longest: Duration,
    /// A bit for each name of [`NAMES`].
    after: u32,
}

/// A name that is not that of a failure which [`Retry`] knows.
#[derive(Debug, thiserror::Error)]
#[error("no failure is called `{0}`; write one of {names}", names = NAMES.join(", "))]
pub struct UnknownFailure(String);

/// A response with the status 429 or 5xx.
const SERVER_ERROR: &str = "server-error";

/// The failures after which a retry may be asked for. The others fail again:
/// such as a missing function, or a body that is too long.
const NAMES: [&str; 8] = [
    "busy",
    "deadline-exceeded",
    "trap",
    "exit",
    "out-of-memory",
    "bad-response",
    "host",
    SERVER_ERROR,
];

impl Default for Retry {
    fn default() -> Self {
        Self::NEVER
    }
}

impl Retry {
    /// One attempt.
    pub const NEVER: Self = Self::times(0);

    /// As many attempts after the first one, each after one of the failures in
    /// the table above. The delays begin with 100 ms and end with 10 s.
    pub const fn times(retries: u32) -> Self {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(10));
        Self { retries, first, longest, after: (1 << NAMES.len()) - 1 }
    }

    /// Sets the longest delay before the first retry, and before any.
    #[must_use]
    pub const fn backoff(self, first: Duration, longest: Duration) -> Self {
        Self { first, longest, ..self }
    }

    /// Retries only after the failures with these names, which are in the table
    /// above.
    ///
    /// # Errors
    /// [`UnknownFailure`], if there is no failure of a name.
    pub fn after<'a>(
        self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, UnknownFailure> {
        let mut after = 0;
        for name in names {
            after |= bit(name).ok_or_else(|| UnknownFailure(name.to_owned()))?;
        }
        Ok(Self { after, ..self })
    }

    /// The number of attempts after the first one.
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// The longest delay before retry `n`, counted from zero.
    pub fn ceiling(&self, n: u32) -> Duration {
        let factor = 1_u32.checked_shl(n).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// A random delay before retry `n`, counted from zero.
    pub fn delay(&self, n: u32) -> Duration {
        self.ceiling(n).mul_f64(fastrand::f64())
    }

    /// Whether the result of an attempt is one of the failures that this retries
    /// after. The number of attempts so far does not matter here.
    pub fn is_retried(&self, result: &Result<Response, InvokeError>) -> bool {
        let name = match result {
            Ok(response) if is_server_error(response) => SERVER_ERROR,
            Ok(_) => return false,
            Err(error) => error.outcome().name(),
        };
        bit(name).is_some_and(|bit| self.after & bit != 0)
    }

    /// The delay until the next attempt, if `result` is the result of attempt
    /// `attempt`, counted from 1, and another one follows.
    pub(crate) fn next(
        &self,
        attempt: u32,
        result: &Result<Response, InvokeError>,
    ) -> Option<Duration> {
        let follows = attempt <= self.retries && self.is_retried(result);
        follows.then(|| self.delay(attempt.saturating_sub(1)))
    }
}

fn bit(name: &str) -> Option<u32> {
    Some(1 << NAMES.iter().position(|known| *known == name)?)
}

/// Whether a response says that a later request may succeed.
fn is_server_error(response: &Response) -> bool {
    response.status().is_server_error() || response.status().as_u16() == 429
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;

    fn failed(outcome: Outcome) -> Result<Response, InvokeError> {
        Err(InvokeError::refused("f".into(), outcome))
    }

    fn answered(status: u16) -> Result<Response, InvokeError> {
        let mut response = Response::default();
        *response.status_mut() = status.try_into().expect("a status");
        Ok(response)
    }

    #[test]
    fn every_name_is_one_of_an_outcome() {
        for name in NAMES.iter().filter(|name| **name != SERVER_ERROR) {
            assert!(Outcome::NAMES.contains(name), "{name}");
        }
    }

    #[test]
    fn only_what_may_succeed_later_is_retried() {
        let retry = Retry::times(1);
        for (result, retried) in [
            (failed(Outcome::Busy), true),
            (failed(Outcome::Exit(1)), true),
            (failed(Outcome::NotFound), false),
            (failed(Outcome::Draining), false),
            (answered(200), false),
            (answered(404), false),
            (answered(429), true),
            (answered(503), true),
        ] {
            assert_eq!(retry.is_retried(&result), retried, "{result:?}");
            assert_eq!(retry.next(1, &result).is_some(), retried);
            assert_eq!(retry.next(2, &result), None);
        }
    }

    #[test]
    fn failures_are_chosen_by_name() {
        let retry = Retry::times(1).after(["trap", "server-error"]).expect("known names");
        assert!(!retry.is_retried(&failed(Outcome::Busy)));
        assert!(retry.is_retried(&answered(500)));
        let error = retry.after(["timeout"]).expect_err("an unknown name");
        assert!(error.to_string().contains("deadline-exceeded"), "{error}");
    }

    #[test]
    fn delays_are_spread_below_a_ceiling_that_doubles() {
        let retry = Retry::times(9).backoff(Duration::from_millis(8), Duration::from_secs(1));
        let ceilings: Vec<_> = (0..9).map(|n| retry.ceiling(n).as_millis()).collect();
        assert_eq!(ceilings, [8, 16, 32, 64, 128, 256, 512, 1_000, 1_000]);
        assert_eq!(retry.ceiling(u32::MAX), Duration::from_secs(1));
        let delays: Vec<_> = (0..200).map(|_| retry.delay(7)).collect();
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(1)));
        assert!(delays.iter().any(|delay| *delay < Duration::from_millis(300)));
        assert!(delays.iter().any(|delay| *delay > Duration::from_millis(700)));
    }
}
