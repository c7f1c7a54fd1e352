//! WASI's error codes.

use rustix::io::Errno;

pub(crate) const SUCCESS: i32 = 0;
pub(crate) const ACCES: i32 = 2;
pub(crate) const AGAIN: i32 = 6;
pub(crate) const BADF: i32 = 8;
pub(crate) const CANCELED: i32 = 11;
pub(crate) const INTR: i32 = 27;
pub(crate) const INVAL: i32 = 28;
pub(crate) const IO: i32 = 29;
pub(crate) const ISDIR: i32 = 31;
pub(crate) const LOOP: i32 = 32;
pub(crate) const MFILE: i32 = 33;
pub(crate) const NAMETOOLONG: i32 = 37;
pub(crate) const NFILE: i32 = 41;
pub(crate) const NOENT: i32 = 44;
pub(crate) const NOTDIR: i32 = 54;
pub(crate) const NOTSOCK: i32 = 57;
pub(crate) const NOTSUP: i32 = 58;
pub(crate) const OVERFLOW: i32 = 61;
pub(crate) const PERM: i32 = 63;
pub(crate) const PIPE: i32 = 64;
pub(crate) const ROFS: i32 = 69;
pub(crate) const SPIPE: i32 = 70;

/// The code for an error of the system.
pub(crate) fn from(error: Errno) -> i32 {
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
