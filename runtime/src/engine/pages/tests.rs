//! Memories are reset byte for byte, with each way to query the kernel, and a
//! fault-count snapshot is trusted only as far as it is reliable.
//!
//! The tests map a memory as the pool does: a private mapping of a file holds
//! the initial content, and zeros follow it.

use std::ffi::c_void;
use std::ops::{Deref, DerefMut};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::null_mut;

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use super::faults::FaultWatch;
use super::*;

impl PageMap {
    /// Makes the page map rely on fault counts, whatever it detected when it
    /// was opened: otherwise a test could pass without using them.
    pub(crate) fn believe_in_faults(&mut self) {
        self.counts_faults = true;
    }
}

const PAGES: usize = 200;
/// Ends within a page.
const FIRST: usize = 37 * 4_096 + 100;

struct Mapping {
    start: *mut c_void,
    len: usize,
}

impl Mapping {
    fn new(first: &[u8]) -> Self {
        let page = rustix::param::page_size();
        let (len, shown) = (PAGES * page, first.len().next_multiple_of(page));
        // SAFETY: the name is a C string; the descriptor is new, so nothing
        // else owns it.
        let image = unsafe {
            let descriptor = libc::memfd_create(c"first".as_ptr(), libc::MFD_CLOEXEC);
            assert!(descriptor >= 0, "{}", io::Error::last_os_error());
            File::from(OwnedFd::from_raw_fd(descriptor))
        };
        image.write_all_at(first, 0).expect("there is memory");
        image.set_len(shown as u64).expect("there is memory");
        let (access, private) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: the first mapping is new, and the second one lies inside of
        // it, which nothing refers to yet.
        let start = unsafe {
            let start = mmap_anonymous(null_mut(), len, access, private).expect("there is room");
            mmap(start, shown, access, private | MapFlags::FIXED, &image, 0).expect("as above");
            start
        };
        Self { start, len }
    }
}

impl Mapping {
    /// Leaves a page in the state of one that the kernel merged with its zero
    /// page (KSM with `use_zero_pages`): it reads as zeros, is present, and is
    /// neither the file's page nor one of this process's.
    fn merge_with_zeros(&mut self, page: usize) {
        let size = rustix::param::page_size();
        assert!((page + 1) * size <= self.len);
        let (access, private) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: the page is part of this mapping, which is exclusively
        // borrowed, and any content is a valid `[u8]`.
        unsafe {
            let at = self.start.byte_add(page * size);
            mmap_anonymous(at, size, access, private | MapFlags::FIXED).expect("there is room");
            // Reading maps the zero page.
            assert_eq!(at.cast::<u8>().read_volatile(), 0);
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.len) }
    }
}

impl DerefMut for Mapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: it is also writable, and exclusively borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.start.cast(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing refers to it any
        // more.
        let _ = unsafe { munmap(self.start, self.len) };
    }
}

/// A pseudo-random generator with a fixed seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    /// Writes at random places, sometimes across the edge of a page.
    fn scribble(&mut self, memory: &mut [u8]) {
        for _ in 0..=self.below(40) {
            let at = self.below(memory.len() - 16);
            let len = 1 + self.below(16);
            memory[at..at + len].fill(self.below(256) as u8);
        }
    }
}

fn first() -> Vec<u8> {
    let mut dice = Dice(7);
    (0..FIRST).map(|_| dice.below(256) as u8).collect()
}

/// Page maps for each way to query the kernel.
fn page_maps(keep: usize) -> impl Iterator<Item = PageMap> {
    let both = [true, false].map(|scans| {
        let mut map = PageMap::open(keep).expect("this machine has a page map");
        map.scans &= scans;
        map.believe_in_faults();
        map
    });
    assert!(!both[1].scans);
    both.into_iter()
}

/// Without `assert_eq`, which would print a megabyte.
fn assert_is_first(memory: &[u8], first: &[u8], what: &str) {
    let (data, zeros) = memory.split_at(first.len());
    assert!(data == first, "{what}: the content differs");
    assert!(zeros.iter().all(|&byte| byte == 0), "{what}: not zero behind it");
}

#[test]
fn whatever_is_written_is_reset() {
    let first = first();
    for pages in page_maps(2 << 20) {
        let mut memory = Mapping::new(&first);
        let mut dice = Dice(1);
        let mut touched = pages.watch(&mut memory);
        for round in 0..300 {
            let snapshot = if round % 3 == 0 { None } else { faults::snapshot() };
            dice.scribble(&mut memory);
            assert!(pages.reset(&mut memory, &first, &mut touched, faults::is_unchanged(snapshot)));
            assert_is_first(&memory, &first, &format!("{}, {round}", pages.scans));
            assert!(touched.bytes() <= memory.len());
        }
        assert!(touched.bytes() > memory.len() / 2, "hardly anything was written");
    }
}

#[test]
fn whatever_is_written_is_restored() {
    let first = first();
    // More than is ever touched, and less than is touched in most rounds, so
    // that the rest is returned to the system.
    for keep in [2 << 20, 16 << 12, 1 << 12] {
        for pages in page_maps(keep) {
            let mut memory = Mapping::new(&first);
            let mut dice = Dice(keep as u64);
            for round in 0..50 {
                dice.scribble(&mut memory);
                pages.restore(&mut memory, &first);
                assert_is_first(&memory, &first, &format!("{}, {keep}, {round}", pages.scans));
            }
        }
    }
}

#[test]
fn only_what_was_touched_is_counted() {
    let first = first();
    for pages in page_maps(2 << 20) {
        let mut memory = Mapping::new(&first);
        let mut touched = pages.watch(&mut memory);
        for at in [0, 36, 37, 100, PAGES - 1] {
            memory[at * pages.page] = 1;
        }
        assert!(pages.reset(&mut memory, &first, &mut touched, false));
        assert_eq!(touched.bytes(), 5 * pages.page, "{}", pages.scans);
    }
}

#[test]
fn too_much_is_not_reset_but_restored() {
    let first = first();
    for pages in page_maps(64 << 10) {
        let mut memory = Mapping::new(&first);
        let mut touched = pages.watch(&mut memory);
        let page = pages.page;
        memory[50 * page..][..10 * page].fill(1);
        assert!(pages.reset(&mut memory, &first, &mut touched, false));
        assert_is_first(&memory, &first, "a little");
        memory[50 * page..][..100 * page].fill(2);
        assert!(!pages.reset(&mut memory, &first, &mut touched, false), "{}", pages.scans);
        pages.restore(&mut memory, &first);
        assert_is_first(&memory, &first, "much");
    }
}

/// A memory may have pages that a former instance touched, which no fault of
/// this instance reports.
#[test]
fn a_first_reset_looks_at_the_pages_whatever_the_witness_says() {
    let first = first();
    for pages in page_maps(2 << 20) {
        let mut believed = 0;
        for round in 0..50 {
            let mut memory = Mapping::new(&first);
            Dice(round + 1).scribble(&mut memory);
            let mut touched = pages.watch(&mut memory);
            faults::is_unchanged(None);
            let snapshot = faults::snapshot();
            believed += usize::from(faults::is_unchanged(snapshot));
            assert!(pages.reset(&mut memory, &first, &mut touched, faults::is_unchanged(snapshot)));
            assert_is_first(&memory, &first, &format!("{}, {round}", pages.scans));
        }
        assert!(believed > 0, "none of the witnesses held");
    }
}

/// The pages of the next run are found after a fault that the snapshot
/// detected.
#[test]
fn a_page_that_was_not_known_is_found_by_its_fault() {
    let first = first();
    for pages in page_maps(2 << 20) {
        let mut memory = Mapping::new(&first);
        let mut touched = pages.watch(&mut memory);
        for page in (0..PAGES).rev() {
            faults::is_unchanged(None);
            let snapshot = faults::snapshot();
            assert!(snapshot.is_some());
            memory[page * pages.page + 5] = 9;
            assert!(pages.reset(&mut memory, &first, &mut touched, faults::is_unchanged(snapshot)));
            assert_eq!(
                memory[page * pages.page + 5],
                first.get(page * pages.page + 5).copied().unwrap_or(0)
            );
        }
        assert_eq!(touched.bytes(), memory.len());
    }
}

#[test]
fn a_witness_does_not_hold_after_a_fault() {
    for _ in 0..20 {
        let mut memory = Mapping::new(&[1]);
        faults::is_unchanged(None);
        let snapshot = faults::snapshot();
        assert!(snapshot.is_some());
        memory[100 * 4_096] = 1;
        // Taken after the fault, but from the count before it.
        let late = faults::snapshot();
        assert!(!faults::is_unchanged(snapshot));
        assert!(!faults::is_unchanged(late));
    }
}

#[test]
fn a_witness_holds_where_nothing_faults() {
    let mut memory = vec![0_u8; 4_096];
    // Anything may cause a fault now and then.
    let held = (0..1_000).any(|round| {
        memory.fill(round as u8);
        faults::is_unchanged(None);
        let snapshot = faults::snapshot();
        memory.fill(1);
        faults::is_unchanged(snapshot)
    });
    assert!(held);
    assert!(!faults::is_unchanged(None));
}

#[test]
fn a_thread_has_no_witness_before_it_has_counted() {
    let called = std::thread::spawn(|| {
        let before = faults::snapshot();
        faults::is_unchanged(before);
        (before.is_some(), faults::snapshot().is_some())
    });
    assert_eq!(called.join().expect("no panic"), (false, true));
}

/// Every runtime of a process checks again.
#[test]
fn faults_are_counted_whenever_it_is_asked() {
    let counted: Vec<_> = (0..8).map(|_| faults::are_counted()).collect();
    assert_eq!(counted, [true; 8]);
}

/// Pages full of zeros that the kernel has merged hold what a guest wrote.
#[test]
fn zeros_that_were_merged_are_put_back() {
    let first = first();
    for pages in page_maps(2 << 20) {
        for restores in [false, true] {
            let mut memory = Mapping::new(&first);
            let mut touched = pages.watch(&mut memory);
            // Pages of the data, the last of them partly data, and pages behind
            // it.
            for page in [0, 3, 4, 37, 38, 100] {
                memory.merge_with_zeros(page);
            }
            if restores {
                pages.restore(&mut memory, &first);
            } else {
                assert!(pages.reset(&mut memory, &first, &mut touched, false));
            }
            assert_is_first(&memory, &first, &format!("{}, {restores}", pages.scans));
            if pages.scans && !restores {
                assert_eq!(touched.bytes(), 4 * pages.page, "zeros behind the data are untouched");
            }
        }
    }
}

/// Memory that was only read is the zero page, however large it is.
#[test]
fn what_was_only_read_is_not_touched() {
    let first = first();
    let pages = PageMap::open(2 << 20).expect("this machine has a page map");
    if !pages.scans {
        return;
    }
    let mut memory = Mapping::new(&first);
    let mut touched = pages.watch(&mut memory);
    let read = memory.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    assert!(read > 0 && pages.reset(&mut memory, &first, &mut touched, false));
    assert_eq!(touched.bytes(), 0);
}

/// Gives a run three turns, each on a thread of its own, and has a page fault
/// in one of them. Returns whether the watch saw no fault.
fn turns(faults_in: Option<usize>) -> bool {
    let mut watch = FaultWatch::default();
    for turn in 0..3 {
        let turn_of_run = || {
            let mut memory = Mapping::new(&[1]);
            faults::is_unchanged(None);
            watch.begin();
            if faults_in == Some(turn) {
                memory[100 * 4_096] = 1;
            }
            watch.end();
        };
        std::thread::scope(|scope| scope.spawn(turn_of_run).join()).expect("no panic");
    }
    watch.saw_none()
}

#[test]
fn a_fault_in_any_turn_is_seen_wherever_the_run_ends() {
    for turn in 0..3 {
        assert!(!turns(Some(turn)), "turn {turn}");
    }
    // Anything may cause a fault now and then.
    assert!((0..1_000).any(|_| turns(None)));
    assert!(!FaultWatch::unknown().saw_none());
}
