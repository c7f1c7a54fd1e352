//! Keeps the kernel from merging pages of this process with equal ones (KSM).
//!
//! A process can be opted into KSM from outside: child processes inherit
//! systemd's `MemoryKSM=`. A merged page loses its identity, which breaks two
//! things. With `use_zero_pages` a page full of zeros becomes the kernel's
//! shared zero page, which looks as if it had never been written. And merging
//! is a timing side channel: one guest can find out what another has in memory.
//!
//! Opting out splits pages that were merged before.
#![allow(unsafe_code, reason = "prctl has no safe wrapper for these requests")]

use std::io;

/// Opts this process out of merging.
///
/// # Errors
/// The kernel refused; pages may still be merged.
pub(super) fn opt_out() -> io::Result<()> {
    if !is_on() {
        return Ok(());
    }
    // SAFETY: the request takes a number and no pointer.
    let set = unsafe { libc::prctl(libc::PR_SET_MEMORY_MERGE, 0, 0, 0, 0) };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    if is_on() { Err(io::Error::other("the kernel did not take it")) } else { Ok(()) }
}

/// Whether this process is opted in. Kernels before 6.4 have no such request,
/// and merge only memory that a process marks for it, which this one never
/// does.
fn is_on() -> bool {
    // SAFETY: the request takes no pointer.
    unsafe { libc::prctl(libc::PR_GET_MEMORY_MERGE, 0, 0, 0, 0) == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opting in needs a kernel with KSM; without it there is nothing to opt
    /// out of.
    #[test]
    fn a_process_that_was_opted_in_is_opted_out() {
        // SAFETY: the request takes a number and no pointer.
        let opted_in = unsafe { libc::prctl(libc::PR_SET_MEMORY_MERGE, 1, 0, 0, 0) } == 0;
        assert_eq!(is_on(), opted_in);
        assert!(opt_out().is_ok());
        assert!(!is_on());
    }
}
