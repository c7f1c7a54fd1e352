//! Batches: jobs as lines of JSON, and results as lines of JSON. The program and
//! the HTTP front read and write the same lines.
//!
//! # Layout
//! - [`Reader`]: bytes as jobs; `lines`: bytes as lines of bounded length.
//! - [`Job`](job::Job): a line as a request.
//! - [`write`]: a result as a line.

mod job;
mod lines;
mod reader;
mod record;

pub(crate) use self::reader::{Entry, Reader};
pub(crate) use self::record::{Rejected, write, write_rejected};
