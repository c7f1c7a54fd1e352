//! File systems that expose the kernel's state, such as `/proc` and `/sys`. A
//! function must not read them: `/proc/self` contains the host's environment
//! and memory.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::fstatfs;

/// Their magic numbers: proc, sysfs, devpts, debugfs, tracefs, securityfs, bpf,
/// efivarfs, pstore, SELinux, binfmt_misc, fuse's control, cgroup and cgroup2.
const MAGIC: [u32; 14] = [
    0x9fa0, 0x62656572, 0x1cd1, 0x64626720, 0x74726163, 0x73636673, 0xcafe4a11, 0xde5e81e4,
    0x6165676c, 0xf97cff8c, 0x42494e4d, 0x65735543, 0x27e0eb, 0x63677270,
];

/// Their names in the mount table, and that of `/dev`, which has the magic
/// number of tmpfs.
const NAMES: [&str; 15] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "debugfs",
    "tracefs",
    "securityfs",
    "bpf",
    "efivarfs",
    "pstore",
    "selinuxfs",
    "binfmt_misc",
    "fusectl",
    "cgroup",
    "cgroup2",
];

/// Whether an open file is on one of them. They always report their type; a
/// remote server may not.
pub(crate) fn has(file: &OwnedFd) -> bool {
    fstatfs(file).is_ok_and(|system| MAGIC.contains(&(system.f_type as u32)))
}

/// Refuses a folder that is on one of them, or has one mounted beneath it.
///
/// # Errors
/// The folder is refused, or the system does not report its mounts.
pub(super) fn refuse(folder: &OwnedFd) -> io::Result<()> {
    if has(folder) {
        return Err(refused("it shows the kernel's state"));
    }
    let path = std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    match beneath(&path, &table) {
        Some(inside) => {
            let inside = inside.display();
            Err(refused(&format!(
                "`{inside}` in it shows the kernel's state: mount a folder in it"
            )))
        }
        None => Ok(()),
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// The first such file system at a path or beneath it, in the mount table
/// (proc_pid_mountinfo(5)).
fn beneath(path: &Path, table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let name = system.split(' ').next().filter(|name| NAMES.contains(name));
        let point = unescaped(mount.split(' ').nth(4)?);
        (name.is_some() && point.starts_with(path)).then_some(point)
    })
}

/// Decodes a path of the mount table, in which these characters are escaped.
fn unescaped(text: &str) -> PathBuf {
    // The backslash last: replacing one must not begin another escape.
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    let decode = |text: String, (escape, plain)| text.replace(escape, plain);
    escapes.into_iter().fold(text.to_owned(), decode).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
21 1 0:20 / / rw - ext4 /dev/root rw
22 21 0:21 / /proc rw,nosuid shared:5 - proc proc rw
23 21 0:22 / /srv/a\\040jail/proc rw - proc proc rw
24 21 0:23 /self/environ /data/x rw - proc proc rw
25 21 0:24 / /mnt rw - tmpfs tmpfs rw
";

    #[test]
    fn what_is_mounted_beneath_a_folder_is_found() {
        for (path, inside) in [
            ("/", Some("/proc")),
            ("/proc", Some("/proc")),
            ("/srv", Some("/srv/a jail/proc")),
            ("/srv/a jail", Some("/srv/a jail/proc")),
            ("/data", Some("/data/x")),
            ("/mnt", None),
            ("/pro", None),
            ("/srv/a", None),
        ] {
            assert_eq!(beneath(path.as_ref(), TABLE).as_deref(), inside.map(Path::new), "{path}");
        }
    }
}
