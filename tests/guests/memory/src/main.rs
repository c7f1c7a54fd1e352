//! Fills all of its memory with a pattern, or searches it for the pattern.
//!
//! `/fill/PATTERN/END` fills the stack, the statics and the heap with the 64 bits that PATTERN is
//! in hexadecimal, and then ends as END says. `/search/PATTERN` tells how often it finds them.

#![allow(unsafe_code, reason = "it reads all of its linear memory")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use hourglass_sdk::{Context, Error, Request, Result, serve};

/// What [`STATICS`] hold at first.
const FIRST: u64 = 0x0123_4567_89ab_cdef;

static STATICS: [AtomicU64; 4_096] = [const { AtomicU64::new(FIRST) }; 4_096];
static ZEROS: [AtomicU64; 4_096] = [const { AtomicU64::new(0) }; 4_096];

fn main() {
    serve(memory)
}

fn memory(_: &Context, req: Request) -> Result<String> {
    let path: Vec<&str> = req.uri().path().split('/').collect();
    let ["", _, what, pattern, rest @ ..] = path.as_slice() else {
        return Err(Error::new("the path has too few segments"));
    };
    let pattern = u64::from_str_radix(pattern, 16)?;
    match *what {
        "fill" => fill(pattern, rest),
        "search" => Ok(search(pattern)),
        _ => Err(Error::new("no such thing to do")),
    }
}

fn fill(pattern: u64, end: &[&str]) -> Result<String> {
    fill_stack(pattern, 100);
    for word in STATICS.iter().chain(&ZEROS) {
        word.store(pattern, Ordering::Relaxed);
    }
    let heap = fill_heap(pattern);
    println!("filled");
    match end {
        ["return"] => Ok(format!("{heap}")),
        ["panic"] => panic!("as requested"),
        _ => loop {
            black_box(pattern);
        },
    }
}

/// Fills most of the megabyte that a stack has, 8 KiB a frame.
#[inline(never)]
fn fill_stack(pattern: u64, frames: u32) {
    let mut frame = [pattern; 1_024];
    black_box(&mut frame);
    if frames > 0 {
        fill_stack(pattern, frames - 1);
    }
    black_box(&frame);
}

/// Fills what the heap can be, and says how many bytes that were. Leaves a little of it free
/// again, for what is still to be done.
fn fill_heap(pattern: u64) -> usize {
    const PIECE: usize = 4_096;
    let (mut total, mut last) = (0, Vec::new());
    loop {
        let mut piece: Vec<u64> = Vec::new();
        if piece.try_reserve_exact(PIECE).is_err() {
            return total;
        }
        piece.resize(PIECE, pattern);
        total += PIECE * size_of::<u64>();
        std::mem::forget(std::mem::replace(&mut last, black_box(piece)));
    }
}

/// Remains of other invocations: the pattern, changed statics, and nonzero new memory.
fn search(pattern: u64) -> String {
    let is_first = |word: &AtomicU64, first| word.load(Ordering::Relaxed) == first;
    let statics = STATICS.iter().filter(|word| !is_first(word, FIRST)).count();
    let zeros = ZEROS.iter().filter(|word| !is_first(word, 0)).count();
    let seen = count(32..whole::size(), |words| words == [pattern; 4]);
    let old = whole::size();
    whole::grow();
    let grown = count(old..whole::size(), |words| words != [0; 4]);
    let searched = whole::size();
    format!("searched {searched}: {} left over", statics + zeros + seen + grown)
}

/// How many groups of four words in a range of memory are as `is` says. A single word that looks
/// like the pattern may be this very search's own.
fn count(range: std::ops::Range<usize>, is: impl Fn([u64; 4]) -> bool) -> usize {
    range.step_by(32).filter(|&at| is(whole::words(at))).count()
}

/// The whole linear memory.
#[cfg(target_arch = "wasm32")]
mod whole {
    use std::arch::wasm32::{memory_grow, memory_size};

    const PAGE: usize = 1 << 16;

    pub(super) fn size() -> usize {
        memory_size::<0>() * PAGE
    }

    /// Makes it as large as it can be.
    pub(super) fn grow() {
        while memory_grow::<0>(1) != usize::MAX {}
    }

    /// Four words of it; `at` is a multiple of 32 below [`size`], and not 0.
    pub(super) fn words(at: usize) -> [u64; 4] {
        let words = std::ptr::with_exposed_provenance::<[u64; 4]>(at);
        // SAFETY: the address is aligned, not null and inside the memory, in which every bit
        // pattern is a number. The read is volatile because other code may own this memory.
        unsafe { words.read_volatile() }
    }
}

/// Outside of a host there is no memory to search.
#[cfg(not(target_arch = "wasm32"))]
mod whole {
    pub(super) fn size() -> usize {
        0
    }

    pub(super) fn grow() {}

    pub(super) fn words(_: usize) -> [u64; 4] {
        [0; 4]
    }
}
