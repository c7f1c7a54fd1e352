//! Reads what is beneath a folder of the host's, and nothing else.
//!
//! The kernel holds the way there: no path, no `..` and no link leads out of the
//! folder (`openat2` with `RESOLVE_BENEATH`). Only plain files and folders are
//! ever opened: to open a pipe waits for its other end, and tells that it is
//! there; to open a device does whatever the device does.
//!
//! All of this may have to wait for a disk, so it is for threads that may.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom, Stat};
use rustix::io::Errno;

use super::errno;

/// How often a path is looked up again that changed meanwhile.
const TRIES: u32 = 16;

/// How much is read of a folder at once, in bytes.
const ENTRIES: usize = 32 << 10;

/// The kinds of files, as WASI counts them.
pub(super) const FOLDER: u8 = 3;
pub(super) const FILE: u8 = 4;
const LINK: u8 = 7;

/// A path beneath a folder.
pub(super) struct Place<'a> {
    pub(super) folder: &'a OwnedFd,
    pub(super) path: &'a [u8],
    /// Whether a link at its end is followed.
    pub(super) follow: bool,
}

impl Place<'_> {
    fn find(&self, flags: OFlags) -> Result<OwnedFd, i32> {
        let follow = if self.follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = flags | follow | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let find = || fs::openat2(self.folder, self.path, flags, Mode::empty(), resolve);
        let again = |found: &Result<_, _>| matches!(found, Err(Errno::AGAIN | Errno::INTR));
        let found = (1..TRIES).map(|_| find()).find(|found| !again(found)).unwrap_or_else(find);
        found.map_err(errno::of)
    }

    /// Opens a plain file or a folder, and tells which it is.
    pub(super) fn open(&self, folder: bool) -> Result<(OwnedFd, u8), i32> {
        // It is looked at first, and once more when it is open, as it may have
        // become something else.
        openable(&stat(&self.find(OFlags::PATH)?)?, folder)?;
        let file = self.find(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let kind = openable(&stat(&file)?, folder)?;
        Ok((file, kind))
    }

    /// What is known about it, whatever it is.
    pub(super) fn stat(&self) -> Result<[u8; 64], i32> {
        Ok(layout(&stat(&self.find(OFlags::PATH)?)?))
    }

    /// Where a link leads to.
    pub(super) fn link(&self) -> Result<Vec<u8>, i32> {
        let link = fs::readlinkat(self.find(OFlags::PATH)?, "", Vec::new());
        // What is no link has no such entry.
        link.map(|path| path.into_bytes()).map_err(|error| match error {
            Errno::NOENT => errno::INVAL,
            error => errno::of(error),
        })
    }
}

fn openable(stat: &Stat, folder: bool) -> Result<u8, i32> {
    match kind(FileType::from_raw_mode(stat.st_mode)) {
        FILE if folder => Err(errno::NOTDIR),
        LINK => Err(errno::LOOP),
        kind @ (FILE | FOLDER) => Ok(kind),
        _ => Err(errno::NOTSUP),
    }
}

fn stat(file: impl AsFd) -> Result<Stat, i32> {
    fs::fstat(file).map_err(errno::of)
}

/// What is known about an open file.
pub(super) fn about(file: &OwnedFd) -> Result<[u8; 64], i32> {
    Ok(layout(&stat(file)?))
}

/// How long an open file is.
pub(super) fn length(file: &OwnedFd) -> Result<u64, i32> {
    Ok(u64::try_from(stat(file)?.st_size).unwrap_or_default())
}

/// Reads at a position, at most so much.
pub(super) fn read(file: &OwnedFd, position: u64, most: usize) -> Result<Vec<u8>, i32> {
    let mut bytes = vec![0; most];
    let len = rustix::io::pread(file, &mut bytes, position).map_err(errno::of)?;
    bytes.truncate(len);
    Ok(bytes)
}

/// Lists a folder from an entry on, as WASI lays the entries out, until so many
/// bytes are full; the last entry is then cut off.
pub(super) fn list(folder: &OwnedFd, from: u64, most: usize) -> Result<Vec<u8>, i32> {
    // A description of its own, as its place in the folder is nobody else's.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = fs::openat(folder, ".", flags, Mode::empty()).map_err(errno::of)?;
    fs::seek(&folder, SeekFrom::Start(from)).map_err(errno::of)?;
    let (mut listed, mut room) = (Vec::new(), Vec::with_capacity(ENTRIES));
    let mut entries = RawDir::new(&folder, room.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(errno::of)?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        listed.extend_from_slice(&entry.next_entry_cookie().to_le_bytes());
        listed.extend_from_slice(&entry.ino().to_le_bytes());
        listed.extend_from_slice(&(name.len() as u32).to_le_bytes());
        listed.extend_from_slice(&[kind(entry.file_type()), 0, 0, 0]);
        listed.extend_from_slice(name);
        if listed.len() >= most {
            listed.truncate(most);
            break;
        }
    }
    Ok(listed)
}

/// A kind of file as WASI counts it.
fn kind(kind: FileType) -> u8 {
    match kind {
        FileType::BlockDevice => 1,
        FileType::CharacterDevice => 2,
        FileType::Directory => FOLDER,
        FileType::RegularFile => FILE,
        FileType::Socket => 6,
        FileType::Symlink => LINK,
        _ => 0,
    }
}

/// What is known about a file, as WASI lays it out.
fn layout(stat: &Stat) -> [u8; 64] {
    let nanos = |seconds: i64, nanos: u64| {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    };
    let fields = [
        stat.st_dev,
        stat.st_ino,
        kind(FileType::from_raw_mode(stat.st_mode)).into(),
        stat.st_nlink,
        u64::try_from(stat.st_size).unwrap_or_default(),
        nanos(stat.st_atime, stat.st_atime_nsec),
        nanos(stat.st_mtime, stat.st_mtime_nsec),
        nanos(stat.st_ctime, stat.st_ctime_nsec),
    ];
    let mut laid_out = [0; 64];
    for (room, field) in laid_out.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
        *room = field.to_le_bytes();
    }
    laid_out
}
