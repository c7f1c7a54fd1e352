//! Mounts: the folders of the host that a function may read, each at a path of
//! the guest. By default a function reads no folder.
//!
//! As with a mount of the system, a folder is opened once, when the function is
//! deployed. The function reads from the folder that is there at that time,
//! even if it is moved or replaced later. An invocation pays nothing for it.
//! See [`disk`] for waiting for disks. Folders that expose the kernel's state
//! are refused: see [`kernel`].

mod disk;
mod kernel;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};

pub(crate) use self::disk::Disk;
pub(crate) use self::kernel::has as is_kernels;
use crate::escape::OneLine;

/// The mounts of a function, each with its path in the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mounts(Vec<(String, PathBuf)>);

/// A mount, with its folder open.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) path: String,
    pub(crate) folder: Arc<OwnedFd>,
    pub(crate) disk: Disk,
}

/// A folder can't be mounted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// Nothing can be mounted at this path of the guest.
    #[error("nothing can be mounted at `{}`: {reason}", OneLine(path))]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The folder can't be used.
    #[error("{} can't be mounted at `{}`", OneLine(folder.display()), OneLine(path))]
    Folder {
        /// The path in the guest.
        path: String,
        /// The folder.
        folder: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Mounts {
    /// The folders' paths in the function.
    #[cfg(feature = "server")]
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(path, _)| &**path)
    }

    /// Adds a folder at a path.
    pub(crate) fn add(&mut self, path: String, folder: PathBuf) {
        self.0.push((path, folder));
    }

    /// Opens all folders.
    ///
    /// # Errors
    /// The first folder that can't be mounted.
    pub(crate) fn open(&self) -> Result<Box<[Mount]>, MountError> {
        let mounts = self.0.iter().enumerate().map(|(place, (path, folder))| {
            let taken = self.0.iter().take(place).any(|(other, _)| other == path);
            let reason = if taken { Some("it is taken") } else { unusable(path) };
            if let Some(reason) = reason {
                return Err(MountError::Path { path: path.clone(), reason });
            }
            let opened = directory(folder).and_then(|opened| Ok((Disk::of(&opened)?, opened)));
            let (disk, opened) = opened.map_err(|source| {
                let (path, folder) = (path.clone(), folder.clone());
                MountError::Folder { path, folder, source }
            })?;
            Ok(Mount { path: path.clone(), folder: Arc::new(opened), disk })
        });
        mounts.collect()
    }
}

/// The reason why a path is invalid, if it is.
fn unusable(path: &str) -> Option<&'static str> {
    let Some(inside) = path.strip_prefix('/') else {
        return Some("write an absolute path, such as `/data`");
    };
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    let plain = inside.is_empty() || inside.split('/').all(plain);
    (!plain).then_some("write it without `.`, `..` and a `/` too many")
}

fn directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(path, flags, Mode::empty())?;
    // Checks that the system supports `BENEATH`, which keeps paths beneath the
    // folder.
    openat2(&folder, ".", flags, Mode::empty(), ResolveFlags::BENEATH)?;
    kernel::refuse(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::unusable;

    #[test]
    fn paths_are_absolute_and_plain() {
        for good in ["/", "/data", "/a/b.c/ä ö"] {
            assert_eq!(unusable(good), None, "{good}");
        }
        for bad in ["", "data", "./data", "/data/", "//data", "/a/../b", "/./a", "/a\0"] {
            assert!(unusable(bad).is_some(), "{bad:?}");
        }
    }
}
