//! WASI's error codes.

use rustix::io::Errno;

pub(super) const SUCCESS: i32 = 0;
pub(super) const ACCES: i32 = 2;
pub(super) const AGAIN: i32 = 6;
pub(super) const BADF: i32 = 8;
pub(super) const CANCELED: i32 = 11;
pub(super) const INTR: i32 = 27;
pub(super) const INVAL: i32 = 28;
pub(super) const IO: i32 = 29;
pub(super) const ISDIR: i32 = 31;
pub(super) const LOOP: i32 = 32;
pub(super) const MFILE: i32 = 33;
pub(super) const NAMETOOLONG: i32 = 37;
pub(super) const NFILE: i32 = 41;
pub(super) const NOENT: i32 = 44;
pub(super) const NOTDIR: i32 = 54;
pub(super) const NOTSOCK: i32 = 57;
pub(super) const NOTSUP: i32 = 58;
pub(super) const OVERFLOW: i32 = 61;
pub(super) const PERM: i32 = 63;
pub(super) const PIPE: i32 = 64;
pub(super) const ROFS: i32 = 69;
pub(super) const SPIPE: i32 = 70;

/// What a guest is told where the system fails in this way.
pub(super) fn of(error: Errno) -> i32 {
    match error {
        Errno::ACCESS => ACCES,
        Errno::AGAIN => AGAIN,
        Errno::INVAL => INVAL,
        Errno::ISDIR => ISDIR,
        Errno::LOOP => LOOP,
        Errno::MFILE | Errno::NFILE => NFILE,
        Errno::NAMETOOLONG => NAMETOOLONG,
        Errno::NOENT => NOENT,
        Errno::NOTDIR => NOTDIR,
        Errno::OVERFLOW => OVERFLOW,
        // A path that leads out of its folder.
        Errno::PERM | Errno::XDEV => PERM,
        _ => IO,
    }
}
