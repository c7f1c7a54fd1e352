//! The access log: one record for each request of a client.
//!
//! Records do not pass through `tracing`, whose formatter and one write for
//! each record would cost a short request a fifth of its time. Each core formats
//! its records into a buffer, and a thread writes the buffers.
//!
//! # Layout
//! - [`AccessLog`]: a log and its settings.
//! - [`record`]: one request; [`format`]: a record as a line; [`writer`]: the
//!   buffers and the thread.

mod format;
mod record;
mod writer;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

pub(crate) use self::record::AccessRecord;
use self::writer::Writer;
use crate::body::Response;
use crate::error::InvokeError;
use crate::outcome::{Outcome, Usage};
use crate::propagation::trace;

/// A log with one record for each request that a [`Server`](crate::http::Server)
/// has answered. Cheap to clone; the clones are one log.
///
/// A record has the method, the path with its query, the route, the function and
/// its version, the status, the outcome and cause, the bytes of both bodies, the time that
/// the client waited (`wall`) and the parts of it (`queue`, `checkout`, `run`,
/// `grace`), processor time, and the ids of request, trace and span, the
/// principal, and the client's address. It is written when the invocation has
/// ended, with status 499 if the client had left before. A request that is not
/// valid HTTP has no record.
///
/// Records are written within a tenth of a second, in order for each core. Up
/// to 1 MiB of each core wait for the writer. If it is slower, further records
/// are left out, and a line says how many.
///
/// ```no_run
/// # fn example(server: hourglass::http::Server) -> std::io::Result<()> {
/// use hourglass::http::{AccessFormat, AccessLog};
///
/// let file = std::fs::File::options().create(true).append(true).open("access.log")?;
/// let log = AccessLog::new(file, AccessFormat::Json)?.sample(0.1);
/// let server = server.access_log(log);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AccessLog {
    writer: Arc<Writer>,
    format: AccessFormat,
    /// A request is logged if a random number is less than this.
    threshold: u64,
}

/// How the records of an [`AccessLog`] are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessFormat {
    /// A line for people and for tools that read fields: the time, the request,
    /// the status, then `name=value` for everything that is known.
    Text,
    /// A JSON object a line, with the same names. Every member is always
    /// present; what is unknown is null. Durations are in microseconds.
    Json,
    /// A short line with the time of day, the request, the status, the function
    /// and the duration.
    Compact {
        /// Whether it is colored for a terminal.
        color: bool,
    },
}

impl AccessLog {
    /// Starts a log. `writer` gets whole lines, many in one call, from a thread
    /// of its own, so it may block.
    ///
    /// # Errors
    /// The system's error if the thread can't be started.
    pub fn new(writer: impl Write + Send + 'static, format: AccessFormat) -> io::Result<Self> {
        let writer = Writer::start(Box::new(writer), format)?;
        Ok(Self { writer, format, threshold: u64::MAX })
    }

    /// Logs only this share of the requests, between 0 and 1, chosen at random.
    /// Requests that failed, or were answered with a status of 500 or more, are
    /// always logged. Default: 1.
    #[must_use]
    pub fn sample(mut self, share: f64) -> Self {
        // A number out of range is clamped.
        self.threshold = (share * u64::MAX as f64) as u64;
        self
    }

    /// Writes all records so far. It blocks as the writer does.
    pub fn flush(&self) {
        self.writer.flush();
    }

    /// Writes the record of a request that led to an invocation.
    pub(crate) fn answered(
        &self,
        mut record: Box<AccessRecord>,
        result: &Result<(Response, Usage), InvokeError>,
        (function, version): (&Arc<str>, &Arc<str>),
    ) {
        let (outcome, status, usage) = match result {
            Ok((response, usage)) => (&Outcome::Response, response.status(), *usage),
            Err(error) => (error.outcome(), error.outcome().status(), error.usage()),
        };
        record.set_function(function, version);
        record.set_outcome(outcome);
        self.write(&record, status.as_u16(), Some(&usage));
    }

    /// Writes the record of a request that was answered.
    pub(crate) fn write(&self, record: &AccessRecord, status: u16, usage: Option<&Usage>) {
        if !record.is_failed(status) && !self.is_sampled() {
            return;
        }
        self.writer.add(|line| format::write(line, self.format, record, status, usage));
    }

    fn is_sampled(&self) -> bool {
        self.threshold == u64::MAX || trace::random() < self.threshold
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("format", &self.format).finish_non_exhaustive()
    }
}
