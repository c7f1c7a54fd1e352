//! How an invocation ended: one enum, the same in the API, the HTTP status,
//! the log, the trace and the metric label.

use std::fmt;
use std::time::Duration;

use hourglass_abi::{cause, failure};
use http::StatusCode;

use crate::context::{Cause, Done};
use crate::escape::OneLine;
use crate::limits::{bytes, fixed};

/// How an invocation ended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Outcome {
    /// The function returned a response.
    #[error("the function answered")]
    Response,
    /// No function of that name is deployed.
    #[error("no function of that name is deployed")]
    NotFound,
    /// As many invocations are in flight as the runtime allows. Or the
    /// responses that clients have not read yet use up the budget of the
    /// [front](crate::http).
    #[error(
        "the host is full: `max_in_flight` invocations are in flight, or responses that clients have \
         not received fill `response_memory`"
    )]
    Busy,
    /// The runtime accepts no more invocations because it is shutting down.
    #[error("the host is shutting down")]
    Draining,
    /// The context was done before the function responded.
    #[error("{0} (cause: {1})")]
    Done(Done, Cause),
    /// The guest trapped.
    #[error("{0}")]
    Trap(Trap),
    /// The guest exited with this code, which is not zero.
    #[error("the guest exited with code {0}")]
    Exit(i32),
    /// The guest reached its memory limit and gave up.
    #[error("the guest needed more than its {} of memory; raise `memory`", bytes::shown(*limit))]
    OutOfMemory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The guest ended without a response, or with one that is not valid HTTP.
    #[error("the guest gave no usable response: {}", OneLine(.0))]
    BadResponse(String),
    /// The request's body was longer than the function accepts.
    #[error("the request's body is longer than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The response's body was longer than its limit, or than its caller can
    /// hold.
    #[error("the response's body is longer than {limit} bytes")]
    ResponseTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The request's body broke off or was malformed. Or a call's target is
    /// invalid for the function on another host that it names.
    #[error("the request can't be used: {}", OneLine(.0))]
    BadRequest(String),
    /// The caller is a function that must not call this one.
    #[error("the caller's `calls` does not name it")]
    Forbidden,
    /// The caller is a function that already has as many callers above it as
    /// the runtime allows.
    #[error("calls are nested more deeply than {limit}, the host's `max_depth`")]
    DepthExceeded {
        /// The limit.
        limit: u32,
    },
    /// The caller is a function that has made as many calls as its limit
    /// allows.
    #[error("the caller has made {limit} calls, which is its `max_calls`")]
    CallsExceeded {
        /// The limit.
        limit: u32,
    },
    /// The host failed; the text is for the operator, not for the client.
    #[error("the host failed: {}", OneLine(.0))]
    Host(String),
}

impl Outcome {
    /// The [names](Self::name) of all outcomes.
    pub(crate) const NAMES: [&str; 17] = [
        "response",
        failure::NOT_FOUND,
        failure::BUSY,
        failure::DRAINING,
        cause::CANCELED,
        cause::DEADLINE_EXCEEDED,
        failure::TRAP,
        failure::EXIT,
        failure::OUT_OF_MEMORY,
        failure::BAD_RESPONSE,
        failure::BODY_TOO_LARGE,
        failure::RESPONSE_TOO_LARGE,
        failure::BAD_REQUEST,
        failure::FORBIDDEN,
        failure::DEPTH_EXCEEDED,
        failure::CALLS_EXCEEDED,
        failure::HOST,
    ];

    /// The outcome's name in logs, problem documents and metric labels.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::NotFound => failure::NOT_FOUND,
            Self::Busy => failure::BUSY,
            Self::Draining => failure::DRAINING,
            Self::Done(done, _) => done.name(),
            Self::Trap(_) => failure::TRAP,
            Self::Exit(_) => failure::EXIT,
            Self::OutOfMemory { .. } => failure::OUT_OF_MEMORY,
            Self::BadResponse(_) => failure::BAD_RESPONSE,
            Self::BodyTooLarge { .. } => failure::BODY_TOO_LARGE,
            Self::ResponseTooLarge { .. } => failure::RESPONSE_TOO_LARGE,
            Self::BadRequest(_) => failure::BAD_REQUEST,
            Self::Forbidden => failure::FORBIDDEN,
            Self::DepthExceeded { .. } => failure::DEPTH_EXCEEDED,
            Self::CallsExceeded { .. } => failure::CALLS_EXCEEDED,
            Self::Host(_) => failure::HOST,
        }
    }

    /// The outcome with texts of bounded length, because callers hold failures
    /// and guests choose their texts.
    pub(crate) fn bounded(mut self) -> Self {
        match &mut self {
            Self::BadResponse(text) | Self::BadRequest(text) | Self::Host(text) => {
                fixed::shorten(text, fixed::MESSAGE);
            }
            Self::Trap(trap) => fixed::shorten(&mut trap.reason, fixed::MESSAGE),
            _ => {}
        }
        self
    }

    /// The HTTP status of the outcome, for hosts that respond over HTTP. The
    /// [front](crate::http) uses it. A client that has disconnected is 499, as
    /// other servers log it. [`Response`](Self::Response) is 200; the response
    /// has a status of its own.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Response => StatusCode::OK,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Busy | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::Done(Done::DeadlineExceeded, _) => StatusCode::GATEWAY_TIMEOUT,
            // No client is left to read it, but logs and metrics do.
            Self::Done(_, Cause::ClientDisconnected) => {
                StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
            }
            Self::Done(..) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Trap(_) | Self::Exit(_) | Self::OutOfMemory { .. } | Self::Host(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::BadResponse(_) | Self::ResponseTooLarge { .. } => StatusCode::BAD_GATEWAY,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            // Outcomes of calls between functions. A client's request never has
            // them.
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::DepthExceeded { .. } | Self::CallsExceeded { .. } => StatusCode::LOOP_DETECTED,
        }
    }

    /// Why the context was done, if that ended the invocation.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Done(_, cause) => Some(cause),
            _ => None,
        }
    }
}

/// A guest's trap: the reason, and the position in the guest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trap {
    /// The reason, in the engine's words.
    pub reason: String,
    /// The guest's functions on the stack, innermost first, by their demangled
    /// names: at most 20, each of at most 256 bytes. Empty if the module
    /// contains no names.
    pub backtrace: Vec<String>,
    /// The last lines that the guest wrote to its standard error or logged as
    /// an error; for a Rust guest that panicked, the panic's message. At most 4
    /// KiB.
    pub stderr: String,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest trapped: {}", OneLine(&self.reason))?;
        if let Some(words) = self.last_words() {
            write!(f, " ({})", OneLine(fixed::cut(words, fixed::TEXT)))?;
        }
        if let Some(name) = self.backtrace.first() {
            write!(f, ", in {}", OneLine(fixed::cut(name, fixed::TEXT)))?;
        }
        Ok(())
    }
}

impl Trap {
    /// The last line on standard error that is about this trap.
    fn last_words(&self) -> Option<&str> {
        // A panic ends with advice on how to run natively.
        let about_it = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
        self.stderr.lines().rfind(about_it)
    }
}

/// The usage of one invocation.
///
/// It is in the extensions of a response, and in
/// [`usage`](crate::InvokeError::usage) of an
/// [`InvokeError`](crate::InvokeError).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Time from admission to the end: the sum of [`checkout`](Self::checkout),
    /// [`run`](Self::run) and [`grace`](Self::grace).
    pub wall: Duration,
    /// Time that it waited for its admission, before `wall`. Only calls wait.
    pub queue: Duration,
    /// Time to get its instance.
    pub checkout: Duration,
    /// Time from when its context was done to the end.
    pub grace: Duration,
    /// Processor time spent on the guest and on its host calls.
    pub cpu: Duration,
    /// The largest linear memory in bytes.
    pub peak_memory: u64,
    /// Bytes of the request's body that the host has received for it.
    pub request_bytes: u64,
    /// Bytes of the response's body that it wrote.
    pub response_bytes: u64,
    /// The number of its calls of other functions.
    pub calls: u32,
    /// The number of its requests to other hosts.
    pub fetches: u32,
}

impl Usage {
    /// Time from when it had its instance until its context was done, or else
    /// to the end.
    pub fn run(&self) -> Duration {
        self.wall.saturating_sub(self.checkout).saturating_sub(self.grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_listed_once() {
        let limit = 0;
        let done = |done| Outcome::Done(done, Cause::Canceled);
        let trap = Trap { reason: String::new(), backtrace: Vec::new(), stderr: String::new() };
        let outcomes = [
            Outcome::Response,
            Outcome::NotFound,
            Outcome::Busy,
            Outcome::Draining,
            done(Done::Canceled),
            done(Done::DeadlineExceeded),
            Outcome::Trap(trap),
            Outcome::Exit(1),
            Outcome::OutOfMemory { limit },
            Outcome::BadResponse(String::new()),
            Outcome::BodyTooLarge { limit },
            Outcome::ResponseTooLarge { limit },
            Outcome::BadRequest(String::new()),
            Outcome::Forbidden,
            Outcome::DepthExceeded { limit: 0 },
            Outcome::CallsExceeded { limit: 0 },
            Outcome::Host(String::new()),
        ];
        assert_eq!(outcomes.each_ref().map(Outcome::name), Outcome::NAMES);
        // A new variant makes this fail to compile until it is listed above.
        let _ = |outcome: Outcome| match outcome {
            Outcome::Response | Outcome::NotFound | Outcome::Busy | Outcome::Draining => {}
            Outcome::Done(..) | Outcome::Trap(_) | Outcome::Exit(_) => {}
            Outcome::OutOfMemory { .. } | Outcome::BadResponse(_) => {}
            Outcome::BodyTooLarge { .. } | Outcome::ResponseTooLarge { .. } => {}
            Outcome::BadRequest(_) | Outcome::Forbidden | Outcome::DepthExceeded { .. } => {}
            Outcome::CallsExceeded { .. } | Outcome::Host(_) => {}
        };
    }

    #[test]
    fn a_limit_of_the_host_is_shown_with_its_setting() {
        let memory = Outcome::OutOfMemory { limit: 128 << 20 };
        for (outcome, parts) in [
            (Outcome::Busy, ["`max_in_flight`", "`response_memory`"]),
            (memory, ["128MiB", "`memory`"]),
        ] {
            let text = outcome.to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }
}
