//! Sums of records, and the counts of those that were lost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::Amounts;

/// The sum of records. It saturates: a damaged file must not stop a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) invocations: u64,
    /// Those without a response.
    pub(crate) failures: u64,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// Peak memory times wall time, in bytes times nanoseconds.
    pub(crate) byte_nanos: u128,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) calls: u64,
    pub(crate) fetches: u64,
}

/// The number of lost records by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Losses {
    /// The buffer was full because the disk was too slow.
    pub(crate) buffer_full: u64,
    /// Writing failed.
    pub(crate) write_failed: u64,
    /// The process ended without writing them.
    pub(crate) killed: u64,
}

impl Totals {
    /// Adds a record.
    pub(crate) fn add(&mut self, amounts: &Amounts, is_failure: bool) {
        let add = |sum: &mut u64, more| *sum = sum.saturating_add(more);
        add(&mut self.invocations, 1);
        add(&mut self.failures, is_failure.into());
        self.wall = self.wall.saturating_add(Duration::from_nanos(amounts.wall));
        self.cpu = self.cpu.saturating_add(Duration::from_nanos(amounts.cpu));
        let byte_nanos = u128::from(amounts.peak_memory) * u128::from(amounts.wall);
        self.byte_nanos = self.byte_nanos.saturating_add(byte_nanos);
        add(&mut self.request_bytes, amounts.request_bytes);
        add(&mut self.response_bytes, amounts.response_bytes);
        add(&mut self.calls, amounts.calls.into());
        add(&mut self.fetches, amounts.fetches.into());
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            invocations: self.invocations.saturating_add(other.invocations),
            failures: self.failures.saturating_add(other.failures),
            wall: self.wall.saturating_add(other.wall),
            cpu: self.cpu.saturating_add(other.cpu),
            byte_nanos: self.byte_nanos.saturating_add(other.byte_nanos),
            request_bytes: self.request_bytes.saturating_add(other.request_bytes),
            response_bytes: self.response_bytes.saturating_add(other.response_bytes),
            calls: self.calls.saturating_add(other.calls),
            fetches: self.fetches.saturating_add(other.fetches),
        }
    }

    pub(crate) fn minus(&self, other: &Self) -> Self {
        Self {
            invocations: self.invocations.saturating_sub(other.invocations),
            failures: self.failures.saturating_sub(other.failures),
            wall: self.wall.saturating_sub(other.wall),
            cpu: self.cpu.saturating_sub(other.cpu),
            byte_nanos: self.byte_nanos.saturating_sub(other.byte_nanos),
            request_bytes: self.request_bytes.saturating_sub(other.request_bytes),
            response_bytes: self.response_bytes.saturating_sub(other.response_bytes),
            calls: self.calls.saturating_sub(other.calls),
            fetches: self.fetches.saturating_sub(other.fetches),
        }
    }
}

impl Losses {
    /// Each count with the reason's name, as metrics and reports have it.
    pub(crate) fn by_reason(&self) -> [(&'static str, u64); 3] {
        [
            ("buffer-full", self.buffer_full),
            ("write-failed", self.write_failed),
            ("killed", self.killed),
        ]
    }

    pub(crate) fn sum(&self) -> u64 {
        self.by_reason().iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            buffer_full: self.buffer_full.saturating_add(other.buffer_full),
            write_failed: self.write_failed.saturating_add(other.write_failed),
            killed: self.killed.saturating_add(other.killed),
        }
    }
}
