//! The metrics of this process, under the names that Prometheus recommends.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::DescriptorEncoder;

use super::metrics::{gauge_family, seconds};

/// The process at one moment.
#[derive(Debug)]
pub(super) struct Process {
    cpu: Duration,
    resident: u64,
    address_space: u64,
    threads: u64,
    open_files: u64,
    max_files: u64,
    /// Since the Unix epoch.
    started: u64,
}

impl Process {
    /// Reads `/proc`; `None` if that can't be read.
    pub(super) fn read() -> Option<Self> {
        let process = procfs::process::Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let ticks = procfs::ticks_per_second();
        let files = process.limits().ok()?.max_open_files.soft_limit;
        Some(Self {
            cpu: Duration::from_secs(stat.utime + stat.stime) / u32::try_from(ticks).ok()?,
            resident: stat.rss * procfs::page_size(),
            address_space: stat.vsize,
            threads: u64::try_from(stat.num_threads).ok()?,
            open_files: process.fd_count().ok()? as u64,
            max_files: match files {
                procfs::process::LimitValue::Value(files) => files,
                procfs::process::LimitValue::Unlimited => u64::MAX,
            },
            started: procfs::boot_time_secs().ok()? + stat.starttime / ticks,
        })
    }

    pub(super) fn cpu(&self) -> Duration {
        self.cpu
    }

    pub(super) fn resident(&self) -> u64 {
        self.resident
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        seconds(encoder, "process_cpu_seconds", "Processor time of this process", self.cpu)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory", self.resident),
            ("process_virtual_memory_bytes", "Reserved address space", self.address_space),
            ("process_threads", "Threads", self.threads),
            ("process_open_fds", "Open file descriptors", self.open_files),
            ("process_max_fds", "Limit on open file descriptors", self.max_files),
            ("process_start_time_seconds", "Start, since the Unix epoch", self.started),
        ] {
            gauge_family(encoder, name, help, value)?;
        }
        Ok(())
    }
}
