//! The counts of a run, in a file that is mapped into memory.
//!
//! The kernel has a shared mapping's pages, not the process. So what a store
//! put there survives `kill -9` at any instruction, and costs no system call.
//!
//! # Layout of the file
//! A [`Head::Run`] block in the first 128 bytes, then 128 bytes for each core,
//! which are a [`Slot`] of its own: no two cores write to one cache line.
//!
//! # What could go wrong
//! Storing to a page that the file system can't provide ends the process with
//! SIGBUS. The whole file is therefore written before it is mapped, and not
//! copied on write where the file system has such a switch (btrfs). Another
//! process that truncates the file has the same effect: only its owner can.
#![allow(unsafe_code, reason = "mapping a file is unsafe by nature")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fs::{IFlags, OFlags, ioctl_getflags, ioctl_setflags};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::block::{self, Block, Head, RunStart};

/// The name of the file.
const NAME: &str = "counts";

/// The size of the first block's place, and of each slot.
const LINE: usize = 128;

/// The longest file that a reader accepts: more cores than Linux has.
const LONGEST: u64 = (LINE * (1 + 8_192)) as u64;

/// The counts of one core. Only the holder of that core's buffer writes them,
/// so a load and a store suffice where others need a locked instruction.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Records that were put into the buffer.
    accepted: AtomicU64,
    /// Records that did not fit.
    buffer_full: AtomicU64,
    /// Records that could not be written. Only the writer's thread counts
    /// them, in the first slot.
    write_failed: AtomicU64,
}

/// The counts of a run, or their sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) accepted: u64,
    pub(crate) buffer_full: u64,
    pub(crate) write_failed: u64,
}

/// The mapped counts of this run.
#[derive(Debug)]
pub(super) struct Counts {
    /// The slots inside the mapping.
    slots: NonNull<[Slot]>,
    mapping: NonNull<[u8]>,
}

// SAFETY: the mapping belongs to this value alone, and is accessed only through
// atomics.
unsafe impl Send for Counts {}
// SAFETY: as above.
unsafe impl Sync for Counts {}

impl Counts {
    /// Begins the counts of a run with this number of slots, in place of those
    /// of the former run.
    pub(super) fn create(dir: &Path, start: &RunStart, slots: usize) -> io::Result<Self> {
        let (path, temporary) = (path(dir), dir.join("counts.new"));
        let mut content = block::encode(&Head::Run(*start));
        content.resize(LINE * (1 + slots), 0);
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&temporary)?;
        // Most file systems do not have the flag.
        if let Ok(flags) = ioctl_getflags(&file) {
            let _ = ioctl_setflags(&file, flags | IFlags::NOCOW);
        }
        file.write_all(&content)?;
        // Allocates the space on disk, so that a full disk is an error here.
        file.sync_all()?;
        let counts = Self::map(&file, content.len())?;
        fs::rename(&temporary, &path)?;
        Ok(counts)
    }

    fn map(file: &File, len: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses a free range for the new mapping.
        let start = unsafe { mmap(ptr::null_mut(), len, access, MapFlags::SHARED, file, 0)? };
        let start = NonNull::new(start.cast::<u8>())
            .ok_or_else(|| io::Error::other("the mapping begins at address zero"))?;
        // SAFETY: `len` is at least `LINE`, so this stays inside the mapping.
        let first = unsafe { start.add(LINE) }.cast::<Slot>();
        Ok(Self {
            slots: NonNull::slice_from_raw_parts(first, (len - LINE) / LINE),
            mapping: NonNull::slice_from_raw_parts(start, len),
        })
    }

    fn slots(&self) -> &[Slot] {
        // SAFETY: the slots lie within the mapping, which lives as long as
        // `self` and is page aligned, so they are aligned too. A `Slot` consists
        // of atomics, for which every content is valid. Others access the pages
        // only by reading the file, which is no access to this memory.
        unsafe { self.slots.as_ref() }
    }

    /// The slot of a core.
    pub(super) fn slot(&self, core: usize) -> Option<&Slot> {
        self.slots().get(core)
    }

    /// The sums.
    pub(super) fn sum(&self) -> Counted {
        let slots = self.slots().iter();
        slots.fold(Counted::default(), |sum, slot| Counted {
            accepted: sum.accepted + slot.accepted.load(Relaxed),
            buffer_full: sum.buffer_full + slot.buffer_full.load(Relaxed),
            write_failed: sum.write_failed + slot.write_failed.load(Relaxed),
        })
    }

    /// Counts records that could not be written.
    pub(super) fn write_failed(&self, records: u64) {
        if let Some(slot) = self.slot(0) {
            slot.write_failed.fetch_add(records, Relaxed);
        }
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, and no reference to it is left.
        let _ = unsafe { munmap(self.mapping.as_ptr().cast(), self.mapping.len()) };
    }
}

impl Slot {
    /// Counts a record that is about to be put into the buffer. The caller
    /// holds the buffer's lock.
    pub(super) fn accept(&self) {
        self.accepted.store(self.accepted.load(Relaxed) + 1, Relaxed);
    }

    /// Counts a record that does not fit. The caller holds the buffer's lock.
    pub(super) fn refuse(&self) {
        self.buffer_full.store(self.buffer_full.load(Relaxed) + 1, Relaxed);
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Whether a directory has the file.
pub(super) fn exist(dir: &Path) -> bool {
    path(dir).exists()
}

/// Reads the counts of the latest run; `None` if they are missing or damaged.
pub(super) fn read(dir: &Path) -> io::Result<Option<(RunStart, Counted)>> {
    let file = match File::open(path(dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut content = Vec::new();
    file.take(LONGEST).read_to_end(&mut content)?;
    Ok(decode(&content))
}

fn decode(content: &[u8]) -> Option<(RunStart, Counted)> {
    let (first, slots) = content.split_at_checked(LINE)?;
    let block = Block::decode(first.get(..block::length(first)?)?)?;
    let Head::Run(start) = block.head else { return None };
    let mut sum = Counted::default();
    for slot in slots.chunks_exact(LINE) {
        let (counts, _) = slot.as_chunks::<8>();
        let [accepted, full, failed, ..] = counts else { return None };
        sum.accepted = sum.accepted.saturating_add(u64::from_ne_bytes(*accepted));
        sum.buffer_full = sum.buffer_full.saturating_add(u64::from_ne_bytes(*full));
        sum.write_failed = sum.write_failed.saturating_add(u64::from_ne_bytes(*failed));
    }
    Some((start, sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: RunStart = RunStart { run: 7, started: -1, boot: u128::MAX, pid: u32::MAX };

    #[test]
    fn counts_are_in_the_file_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let counts = Counts::create(dir.path(), &START, 3).expect("it is mapped");
        let slot = |core| counts.slot(core).expect("there is one");
        slot(0).accept();
        slot(2).accept();
        slot(2).refuse();
        counts.write_failed(5);
        let sum = Counted { accepted: 2, buffer_full: 1, write_failed: 5 };
        assert_eq!(counts.sum(), sum);
        assert_eq!(read(dir.path()).expect("a file"), Some((START, sum)));
        assert!(counts.slot(3).is_none());
        let next = RunStart { run: 8, ..START };
        let counts = Counts::create(dir.path(), &next, 1).expect("it replaces the former");
        assert_eq!(read(dir.path()).expect("a file"), Some((next, Counted::default())));
        drop(counts);
    }

    #[test]
    fn a_damaged_file_has_no_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read(dir.path()).expect("no file"), None);
        drop(Counts::create(dir.path(), &START, 1));
        let content = fs::read(path(dir.path())).expect("a file");
        assert!(decode(&content).is_some());
        for at in 0..16 {
            let mut damaged = content.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None, "{at}");
        }
        for len in 0..LINE {
            assert_eq!(decode(&content[..len]), None, "{len}");
        }
    }
}
