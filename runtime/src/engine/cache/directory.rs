//! A directory that only this user can write, and the files in it.
//!
//! The directory is opened once, and its files are opened relative to that
//! descriptor, so that nothing can be exchanged between check and use (TOCTOU).
//! A symbolic link at the end of a path is not followed. The parent directories
//! are not checked: an attacker with write access to one of them can exchange
//! the directory only for another that passes these checks, and the files in
//! that one lack the keyed hash.

use std::ffi::CStr;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, lstat, openat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::error::CacheError;

/// Flags for every file: links are not followed, opening a FIFO or terminal
/// does not block, and child processes do not inherit the descriptor.
const SAFE: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The permissions on a directory that only its owner may have: to write to it.
const WRITE_BY_OTHERS: u32 = 0o022;

/// The permissions on a file that only its owner may have: all. Version control
/// and archives do not create such files by default.
const ANY_BY_OTHERS: u32 = 0o077;

const LINK: &str = "is a symbolic link; remove it, or name its target";
const NOT_A_FILE: &str = "is not a regular file; remove it";

/// An open directory that belongs to the effective user.
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens a directory. Creates it and its parents if they are missing.
    pub(super) fn open(path: &Path) -> Result<Self, CacheError> {
        // Removes a trailing slash, which would follow a link.
        let path: PathBuf = path.components().collect();
        let failed = |source| CacheError::Io { path: path.clone(), source };
        if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(&path)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(failed(error));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | SAFE;
        let fd = match openat(CWD, &path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let is_link = lstat(&path).is_ok_and(|stat| kind(&stat) == FileType::Symlink);
                let problem =
                    if is_link { LINK } else { "is not a directory; remove it, or name another" };
                return Err(CacheError::Unusable { path, problem });
            }
            Err(error) => return Err(failed(error.into())),
        };
        let stat = fstat(&fd).map_err(|error| failed(error.into()))?;
        check(&stat, WRITE_BY_OTHERS, &path)?;
        Ok(Self { fd, path })
    }

    /// Whether both are the same directory.
    pub(super) fn is_same(&self, other: &Self) -> Result<bool, CacheError> {
        let place = |dir: &Self| {
            let stat = fstat(&dir.fd).map_err(|error| self.failed(error))?;
            Ok((stat.st_dev, stat.st_ino))
        };
        Ok(place(self)? == place(other)?)
    }

    /// The path of a file, for messages.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file to read it; `None` if it is missing.
    pub(super) fn open_file(&self, name: &str) -> Result<Option<File>, CacheError> {
        match self.open_with(name, OFlags::RDONLY) {
            Err(CacheError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    /// Opens a file and checks the opened file.
    pub(super) fn open_with(&self, name: &str, flags: OFlags) -> Result<File, CacheError> {
        let path = self.path_of(name);
        let opened = openat(&self.fd, name, flags | SAFE, Mode::RUSR | Mode::WUSR);
        let file = File::from(match opened {
            Ok(fd) => fd,
            Err(Errno::LOOP) => return Err(CacheError::Unusable { path, problem: LINK }),
            // The error of opening a socket, or a FIFO for writing.
            Err(Errno::NXIO | Errno::ISDIR) => {
                return Err(CacheError::Unusable { path, problem: NOT_A_FILE });
            }
            Err(error) => return Err(CacheError::Io { path, source: error.into() }),
        });
        let stat = fstat(&file);
        let stat =
            stat.map_err(|error| CacheError::Io { path: path.clone(), source: error.into() })?;
        if kind(&stat) != FileType::RegularFile {
            return Err(CacheError::Unusable { path, problem: NOT_A_FILE });
        }
        check(&stat, ANY_BY_OTHERS, &path)?;
        Ok(file)
    }

    /// Reads a whole file, once, if it is within the size limit.
    pub(super) fn read(
        &self,
        mut file: &File,
        name: &str,
        most: usize,
    ) -> Result<Vec<u8>, CacheError> {
        let failed = |source| CacheError::Io { path: self.path_of(name), source };
        let size = file.metadata().map_err(failed)?.len();
        let size = usize::try_from(size).ok().filter(|size| *size <= most);
        let size = size.ok_or_else(|| failed(io::ErrorKind::FileTooLarge.into()))?;
        let mut content = Vec::new();
        content.try_reserve_exact(size).map_err(|error| failed(error.into()))?;
        content.resize(size, 0);
        file.read_exact(&mut content).map_err(failed)?;
        Ok(content)
    }

    /// Writes a file under a temporary name, and renames it once it is
    /// complete.
    pub(super) fn replace(&self, name: &str, parts: &[&[u8]]) -> Result<(), CacheError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".{name}.{}.{count}", std::process::id());
        let written = (|| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | SAFE;
            let mut file =
                File::from(openat(&self.fd, &*temporary, flags, Mode::RUSR | Mode::WUSR)?);
            parts.iter().try_for_each(|part| file.write_all(part))?;
            Ok(renameat(&self.fd, &*temporary, &self.fd, name)?)
        })();
        written.map_err(|source| {
            let _ = unlinkat(&self.fd, &*temporary, AtFlags::empty());
            CacheError::Io { path: self.path_of(name), source }
        })
    }

    /// The regular files of this user, each as its name and `lstat` result.
    pub(super) fn files(&self) -> Result<Vec<(String, Stat)>, CacheError> {
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(|error| self.failed(error))? {
            let entry = entry.map_err(|error| self.failed(error))?;
            let name: &CStr = entry.file_name();
            // Another process may have removed it since.
            let Ok(stat) = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let ours = kind(&stat) == FileType::RegularFile && stat.st_uid == geteuid().as_raw();
            if let (true, Ok(name)) = (ours, name.to_str()) {
                files.push((name.to_owned(), stat));
            }
        }
        Ok(files)
    }

    /// Removes a file. A file that is already gone is not an error.
    pub(super) fn remove(&self, name: &str) -> Result<(), CacheError> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: Errno) -> CacheError {
        CacheError::Io { path: self.path.clone(), source: error.into() }
    }
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Checks that the file belongs to the effective user and that other users lack
/// these permissions.
fn check(stat: &Stat, rights: u32, path: &Path) -> Result<(), CacheError> {
    let (path, user) = (path.to_owned(), geteuid().as_raw());
    if stat.st_uid != user {
        return Err(CacheError::Owner { path, owner: stat.st_uid, user });
    }
    let mode = Mode::from_raw_mode(stat.st_mode).bits();
    if mode & rights != 0 {
        let remove = if rights == ANY_BY_OTHERS { "go-rwx" } else { "go-w" };
        return Err(CacheError::Mode { path, mode, remove });
    }
    Ok(())
}
