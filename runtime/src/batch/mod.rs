//! Batches: jobs as lines of JSON, and results as lines of JSON. The program and
//! the HTTP front read and write the same lines.
//!
//! # Layout
//! - [`Lines`]: bytes as lines of bounded length.
//! - [`Parser`]: a line as a [`Job`], which is a request; [`Reader`]: bytes as jobs.
//! - `record`: a result as a line.

mod job;
mod lines;
mod reader;
mod record;

#[cfg(feature = "cli")]
pub(crate) use self::job::{Id, Job};
#[cfg(feature = "cli")]
pub(crate) use self::lines::{Line, Lines};
pub(crate) use self::reader::Reader;
pub(crate) use self::reader::{Entry, Parser};
pub(crate) use self::record::write_task;
#[cfg(feature = "cli")]
pub(crate) use self::record::{Ended, write};
pub(crate) use self::record::{Rejected, write_rejected};
