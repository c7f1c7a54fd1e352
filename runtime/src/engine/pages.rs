//! Resets a memory to its initial state, and writes only the pages that a guest
//! touched.
//!
//! Most of a guest's memory is stack that it never reaches. Copying all of it
//! back costs more than the run itself, and returning it to the system costs
//! page faults and, with several threads, interrupts between processors. Linux
//! tells which pages were touched, through the `PAGEMAP_SCAN` request on
//! `/proc/self/pagemap` or, before Linux 6.7, through that file's content.
//!
//! wasmtime's pool can use that request too, but asks for pages that are
//! *present*. A page that a guest wrote and that is swapped out at that moment,
//! or that the kernel is just moving, is not present: it would keep its
//! content, and the slot's next instance could read it. A machine without swap
//! is affected too, because memory compaction moves pages everywhere: on such a
//! machine, under compaction, 90 of 526,000 scans for present pages missed one
//! that had been written, and none of as many scans for pages that are present
//! **or swapped**, which is how the kernel reports a page on the move. That is
//! therefore the query used here, both to reset an instance in place and to
//! restore a memory before it goes back to the pool. Pages that the pool's own
//! scan then misses hold nothing of the invocation any more.
//!
//! The kernel's shared zero page is one that a guest has read and never
//! written, so it stays as it is if the initial content is zeros. If it is not,
//! a guest has written zeros and the kernel has merged the page (KSM, with
//! `use_zero_pages`): that page is restored. [`merging`](super::merging) opts
//! out of KSM; this holds even if the process is opted in again.
//!
//! This module, [`faults`](super::faults) and [`merging`](super::merging)
//! contain the crate's system calls that safe Rust lacks.
#![allow(unsafe_code, reason = "PAGEMAP_SCAN and madvise have no safe wrapper")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use rustix::ioctl::{Opcode, opcode};
use rustix::mm::{Advice, madvise};

use super::faults;
use super::merging;

/// The number of regions requested at once; a guest rarely touches more.
const REGIONS: usize = 64;

const PAGEMAP_SCAN: Opcode = opcode::read_write::<ScanArg>(b'f', 16);

const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

const ENTRY_IS_FILE: u64 = 1 << 61;
const ENTRY_IS_SWAPPED: u64 = 1 << 62;
const ENTRY_IS_PRESENT: u64 = 1 << 63;

/// This process's page map.
///
/// It belongs to the process that opened it: a process forked from it without
/// `exec` must create a runtime of its own.
pub(crate) struct PageMap {
    file: File,
    /// Whether the kernel has `PAGEMAP_SCAN`; otherwise its page table is read.
    pub(crate) scans: bool,
    /// Whether the kernel counts page faults.
    pub(crate) counts_faults: bool,
    keep: usize,
    page: usize,
}

/// The pages of a memory that may differ from its initial content.
pub(crate) struct DirtyPages {
    ranges: Vec<Range<usize>>,
    /// Whether the pages are known. Before the first scan they are not, since a
    /// memory may get the pages of a former one.
    known: bool,
    /// Whether a page can be added only by a page fault.
    by_faults_alone: bool,
}

impl DirtyPages {
    /// The size of these pages in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }
}

impl PageMap {
    /// Opens the page map. At most about `keep` bytes of a memory are copied
    /// back.
    ///
    /// Returns `None` if the kernel may merge pages of this process, because
    /// touched pages could not be identified reliably.
    pub(crate) fn open(keep: usize) -> Option<Self> {
        if let Err(error) = merging::opt_out() {
            tracing::warn!(
                %error,
                "the kernel merges pages of this process (KSM) and opting out failed: instances \
                 are not reset in place; start the process without KSM (systemd: MemoryKSM=no)"
            );
            return None;
        }
        let file = File::open("/proc/self/pagemap").ok()?;
        let counts_faults = faults::are_counted();
        let page = rustix::param::page_size();
        let mut map = Self { file, scans: true, counts_faults, keep, page };
        map.scans = map.scan(0..0, &mut [Region::default(); REGIONS]).is_ok();
        Some(map)
    }

    /// Prepares the memory of a new instance for resets.
    pub(crate) fn watch(&self, memory: &mut [u8]) -> DirtyPages {
        // SAFETY: the range is exclusively borrowed, and the advice does not
        // change its content.
        let alone =
            unsafe { madvise(memory.as_mut_ptr().cast(), memory.len(), Advice::LinuxNoHugepage) };
        DirtyPages {
            ranges: Vec::new(),
            known: false,
            by_faults_alone: self.counts_faults && alone.is_ok(),
        }
    }

    /// Makes `memory` equal to `first`, followed by zeros. `dirty` are the
    /// pages that had been touched before the memory's last reset, and are
    /// updated. `no_fault` says that the last run on it had no page fault, see
    /// [`FaultWatch`](super::faults::FaultWatch).
    ///
    /// Returns whether the memory was reset. It is not if more was touched than
    /// is worth copying; the memory is then unusable.
    pub(crate) fn reset(
        &self,
        memory: &mut [u8],
        first: &[u8],
        dirty: &mut DirtyPages,
        no_fault: bool,
    ) -> bool {
        if no_fault && dirty.by_faults_alone && dirty.known {
            if cfg!(debug_assertions) {
                let known = |page: usize| dirty.ranges.iter().any(|range| range.contains(&page));
                let check = |range: Range<usize>| {
                    assert!(range.step_by(self.page).all(known), "a page without a fault");
                };
                // A scan that fails finds nothing.
                let _ = self.copy_back(memory, first, check);
            }
            for range in &dirty.ranges {
                restore_range(memory, first, range.clone());
            }
            return true;
        }
        dirty.ranges.clear();
        match self.copy_back(memory, first, |range| dirty.ranges.push(range)) {
            Ok(reached) => {
                dirty.known = reached >= memory.len();
                dirty.known
            }
            Err(error) => {
                tracing::warn!(%error, "touched pages can't be told; dropping the instance");
                false
            }
        }
    }

    /// Like [`reset`](Self::reset), for a memory that goes back to the pool. It
    /// always succeeds.
    ///
    /// Dirty pages beyond `keep` bytes are returned to the system, which
    /// restores the mapping's initial content. If the kernel refuses anything,
    /// all of the memory is written instead.
    pub(crate) fn restore(&self, memory: &mut [u8], first: &[u8]) {
        let restored = self
            .copy_back(memory, first, drop)
            .and_then(|reached| self.discard(memory.get_mut(reached..).unwrap_or_default()));
        if let Err(error) = restored {
            tracing::warn!(%error, "touched pages can't be told; writing the whole memory");
            restore_range(memory, first, 0..memory.len());
        }
    }

    /// Restores the touched pages, at most about `keep` bytes of them, and
    /// passes their ranges to `note`. Returns the end of the part that was
    /// examined.
    fn copy_back(
        &self,
        memory: &mut [u8],
        first: &[u8],
        mut note: impl FnMut(Range<usize>),
    ) -> io::Result<usize> {
        let base = memory.as_ptr().addr();
        let mut regions = [Region::default(); REGIONS];
        let (mut reached, mut bytes) = (0, 0);
        while reached < memory.len() && bytes < self.keep {
            let scan = self.query(base + reached..base + memory.len(), &mut regions)?;
            let mut restore = |range: Range<usize>| {
                bytes += range.len();
                restore_range(memory, first, range.clone());
                note(range);
            };
            for region in regions.iter().take(scan.found) {
                let touched = region.offsets(base);
                if region.is_zeros() {
                    // Only the pages that were not zeros initially.
                    let (start, end) = (touched.start, touched.end.min(first.len()));
                    let pages = (start..end).step_by(self.page).map(|at| at..at + self.page);
                    pages
                        .filter(|page| initial(first, page).iter().any(|&byte| byte != 0))
                        .for_each(&mut restore);
                } else {
                    restore(touched);
                }
            }
            let end = scan.end.saturating_sub(base);
            if end <= reached {
                return Err(io::Error::other("the scan made no progress"));
            }
            reached = end;
        }
        Ok(reached)
    }

    /// Returns pages to the system, if it accepts them: they then read as the
    /// mapping's initial content again.
    pub(crate) fn release(&self, memory: &mut [u8]) {
        if let Err(error) = self.discard(memory) {
            tracing::debug!(%error, "pages can't be returned to the system");
        }
    }

    fn discard(&self, memory: &mut [u8]) -> io::Result<()> {
        if memory.is_empty() {
            return Ok(());
        }
        let aligned = memory.as_ptr().addr().is_multiple_of(self.page)
            && memory.len().is_multiple_of(self.page);
        if !aligned {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the range is exclusively borrowed and page-aligned, and any
        // content the pages have afterwards is a valid `[u8]`.
        unsafe { madvise(memory.as_mut_ptr().cast(), memory.len(), Advice::LinuxDontNeed)? };
        Ok(())
    }

    /// The touched pages in `range`, at most as many regions as `regions` can
    /// hold.
    fn query(&self, range: Range<usize>, regions: &mut [Region; REGIONS]) -> io::Result<Scan> {
        if self.scans { self.scan(range, regions) } else { self.read(range, regions) }
    }

    fn scan(&self, range: Range<usize>, regions: &mut [Region; REGIONS]) -> io::Result<Scan> {
        let mut arg = ScanArg {
            size: size_of::<ScanArg>() as u64,
            start: range.start as u64,
            end: range.end as u64,
            vec: regions.as_mut_ptr().expose_provenance() as u64,
            vec_len: REGIONS as u64,
            max_pages: (self.keep / self.page) as u64,
            // Private pages only, not the file's own.
            category_inverted: PAGE_IS_FILE,
            category_mask: PAGE_IS_FILE,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            // Separates runs of the zero page from all others.
            return_mask: PAGE_IS_PFNZERO,
            ..ScanArg::default()
        };
        // SAFETY: `ScanArg` is the request's argument as the kernel defines it;
        // the kernel writes to it and to at most `REGIONS` of `regions`, both
        // alive and exclusively borrowed during the call. Scanning changes no
        // page.
        let found = unsafe { libc::ioctl(self.file.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut arg) };
        let found = usize::try_from(found).map_err(|_| io::Error::last_os_error())?;
        Ok(Scan { found, end: arg.walk_end as usize })
    }

    /// Like `query`, from the page table that every kernel has: one word per
    /// page.
    fn read(&self, range: Range<usize>, regions: &mut [Region; REGIONS]) -> io::Result<Scan> {
        const WORD: usize = size_of::<u64>();
        let mut words = [0; 512 * WORD];
        let pages = (range.len() / self.page).min(words.len() / WORD);
        let room = words.get_mut(..pages * WORD).unwrap_or_default();
        self.file.read_exact_at(room, (range.start / self.page * WORD) as u64)?;
        let mut scan = Scan { found: 0, end: range.start };
        for word in room.as_chunks().0 {
            let word = u64::from_ne_bytes(*word);
            let next = scan.end + self.page;
            if word & ENTRY_IS_FILE == 0 && word & (ENTRY_IS_PRESENT | ENTRY_IS_SWAPPED) != 0 {
                let Some(region) = regions.get_mut(scan.found) else { break };
                *region = Region { start: scan.end as u64, end: next as u64, categories: 0 };
                scan.found += 1;
            }
            scan.end = next;
        }
        Ok(scan)
    }
}

/// The initial content of a range of a memory, without the zeros at its end.
fn initial<'a>(first: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    let end = first.len();
    first.get(range.start.min(end)..range.end.min(end)).unwrap_or_default()
}

/// Copies `range` of a memory back from its initial content.
fn restore_range(memory: &mut [u8], first: &[u8], range: Range<usize>) {
    let known = initial(first, &range);
    let Some(touched) = memory.get_mut(range) else { return };
    let (data, zeros) = touched.split_at_mut(known.len());
    data.copy_from_slice(known);
    zeros.fill(0);
}

/// A run of touched pages, as the kernel reports it (`struct page_region`).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

impl Region {
    /// Whether all of it is the kernel's zero page.
    fn is_zeros(&self) -> bool {
        self.categories & PAGE_IS_PFNZERO != 0
    }

    fn offsets(&self, base: usize) -> Range<usize> {
        (self.start as usize).saturating_sub(base)..(self.end as usize).saturating_sub(base)
    }
}

/// How far a scan came, and how many regions it found.
struct Scan {
    found: usize,
    end: usize,
}

/// The request's argument (`struct pm_scan_arg`).
#[repr(C)]
#[derive(Default)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

#[cfg(test)]
mod tests;
