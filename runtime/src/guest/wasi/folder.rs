//! Reads files beneath a folder of the host, and nothing else.
//!
//! The kernel confines the lookup: no path, no `..` and no link leads out of
//! the folder (`openat2` with `RESOLVE_BENEATH`). Only regular files and
//! folders are ever opened. Opening a pipe waits for its other end, and tells
//! that end that it was opened. Opening a device does whatever the device does.
//!
//! All of this may block on a disk, so it is for threads that may block. What
//! the kernel has cached of a local disk can be read without blocking. A
//! non-blocking request that would block, or that is for another disk, is
//! [`errno::AGAIN`].

use std::io::IoSliceMut;
use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom};
use rustix::fs::{Statx, StatxFlags, StatxTimestamp};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::errno;
use crate::mounts::{Disk, is_kernels};

/// The most lookups of a path that changes during the lookup.
const TRIES: u32 = 16;

/// The most bytes of a folder that are read at once.
const ENTRIES: usize = 32 << 10;

/// The types of files, as WASI counts them.
pub(crate) const FOLDER: u8 = 3;
pub(crate) const FILE: u8 = 4;
const LINK: u8 = 7;

/// A path beneath a folder.
pub(crate) struct Lookup<'a> {
    pub(crate) folder: &'a OwnedFd,
    /// The disk of the folder.
    pub(crate) disk: &'a Disk,
    pub(crate) path: &'a [u8],
    /// Whether a link at the end of the path is followed.
    pub(crate) follow: bool,
    /// Whether only cached data is wanted, without blocking.
    pub(crate) cached: bool,
}

/// A regular file or a folder, open.
#[derive(Debug)]
pub(crate) struct FoundFile {
    pub(crate) file: OwnedFd,
    pub(crate) kind: u8,
    pub(crate) disk: Disk,
}

impl Lookup<'_> {
    fn find(&self, flags: OFlags) -> Result<OwnedFd, i32> {
        let follow = if self.follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = flags | follow | OFlags::CLOEXEC;
        let cached = ResolveFlags::CACHED | ResolveFlags::NO_XDEV;
        let cached = if self.cached { cached } else { ResolveFlags::empty() };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | cached;
        let find = || fs::openat2(self.folder, self.path, flags, Mode::empty(), resolve);
        if self.cached {
            // Kernels before 5.12 do not support it. A path that leads out of
            // the folder looks the same as one on another disk.
            return find().map_err(|error| match error {
                Errno::INVAL | Errno::XDEV => errno::AGAIN,
                error => errno::from(error),
            });
        }
        let again = |found: &Result<_, _>| matches!(found, Err(Errno::AGAIN | Errno::INTR));
        let found = (1..TRIES).map(|_| find()).find(|found| !again(found)).unwrap_or_else(find);
        found.map_err(errno::from)
    }

    /// Opens a regular file or a folder.
    pub(crate) fn open(&self, folder: bool) -> Result<FoundFile, i32> {
        // Checked before and after it is opened, because it may be replaced in
        // between (TOCTOU).
        openable(&self.look(&self.find(OFlags::PATH)?)?, folder)?;
        let file = self.find(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let stat = self.look(&file)?;
        let kind = openable(&stat, folder)?;
        Ok(FoundFile { file, kind, disk: self.disk.beneath(&stat) })
    }

    /// The metadata of a file of any type.
    pub(crate) fn stat(&self) -> Result<[u8; 64], i32> {
        Ok(layout(&self.look(&self.find(OFlags::PATH)?)?))
    }

    /// Reads the metadata of an open file, and refuses file systems that show
    /// the kernel's state: one may have been mounted there after the function
    /// was deployed.
    fn look(&self, found: &OwnedFd) -> Result<Statx, i32> {
        let stat = stat(found, self.cached)?;
        if !self.disk.has(&stat) && is_kernels(found) {
            return Err(errno::ACCES);
        }
        Ok(stat)
    }

    /// The target of a link.
    pub(crate) fn link(&self) -> Result<Vec<u8>, i32> {
        if self.cached {
            return Err(errno::AGAIN);
        }
        let found = self.find(OFlags::PATH)?;
        self.look(&found)?;
        let link = fs::readlinkat(found, "", Vec::new());
        // A file that is not a link has no such entry.
        link.map(|path| path.into_bytes()).map_err(|error| match error {
            Errno::NOENT => errno::INVAL,
            error => errno::from(error),
        })
    }
}

fn openable(stat: &Statx, folder: bool) -> Result<u8, i32> {
    match kind(FileType::from_raw_mode(stat.stx_mode.into())) {
        FILE if folder => Err(errno::NOTDIR),
        LINK => Err(errno::LOOP),
        kind @ (FILE | FOLDER) => Ok(kind),
        _ => Err(errno::NOTSUP),
    }
}

/// The metadata of an open file. With `cached`, a remote file is answered from
/// the cache, without a request to its server.
fn stat(file: &OwnedFd, cached: bool) -> Result<Statx, i32> {
    let sync = if cached { AtFlags::STATX_DONT_SYNC } else { AtFlags::empty() };
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let stat = fs::statx(file, "", AtFlags::EMPTY_PATH | sync, wanted);
    stat.map_err(errno::from)
}

/// The metadata of an open file, in the layout of WASI.
pub(crate) fn about(file: &OwnedFd, cached: bool) -> Result<[u8; 64], i32> {
    Ok(layout(&stat(file, cached)?))
}

/// The length of an open file.
pub(crate) fn length(file: &OwnedFd, cached: bool) -> Result<u64, i32> {
    Ok(stat(file, cached)?.stx_size)
}

/// Reads at most `most` bytes at a position.
pub(crate) fn read(
    file: &OwnedFd,
    position: u64,
    most: usize,
    cached: bool,
) -> Result<Vec<u8>, i32> {
    if i64::try_from(position).is_err() {
        return Err(errno::INVAL);
    }
    let mut bytes = vec![0; most];
    let wait = if cached { ReadWriteFlags::NOWAIT } else { ReadWriteFlags::empty() };
    let read = preadv2(file, &mut [IoSliceMut::new(&mut bytes)], position, wait);
    bytes.truncate(read.map_err(|error| match error {
        // Not every file system supports it.
        Errno::OPNOTSUPP if cached => errno::AGAIN,
        error => errno::from(error),
    })?);
    Ok(bytes)
}

/// Lists a folder from an entry on, in the layout of WASI, in at most `most`
/// bytes. If that is too short, the last entry is truncated.
pub(crate) fn list(folder: &OwnedFd, from: u64, most: usize) -> Result<Vec<u8>, i32> {
    // A file description of its own, because the position in the folder is part
    // of it.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = fs::openat(folder, ".", flags, Mode::empty()).map_err(errno::from)?;
    fs::seek(&folder, SeekFrom::Start(from)).map_err(errno::from)?;
    let (mut listed, mut room) = (Vec::new(), Vec::with_capacity(ENTRIES));
    let mut entries = RawDir::new(&folder, room.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(errno::from)?;
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

/// The type of a file, as WASI counts it.
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

/// The metadata of a file, in the layout of WASI.
fn layout(stat: &Statx) -> [u8; 64] {
    let fields = [
        fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        stat.stx_ino,
        kind(FileType::from_raw_mode(stat.stx_mode.into())).into(),
        stat.stx_nlink.into(),
        stat.stx_size,
        nanos(&stat.stx_atime),
        nanos(&stat.stx_mtime),
        nanos(&stat.stx_ctime),
    ];
    let mut laid_out = [0; 64];
    for (room, field) in laid_out.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
        *room = field.to_le_bytes();
    }
    laid_out
}

/// A time as WASI counts it. A time before 1970 becomes 1970.
fn nanos(time: &StatxTimestamp) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of this crate, its disk, and the crate's manifest.
    fn folder() -> (OwnedFd, Disk, Vec<u8>) {
        let path = env!("CARGO_MANIFEST_DIR");
        let folder = fs::open(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty());
        let manifest = std::fs::read(format!("{path}/Cargo.toml")).expect("there is one");
        let folder = folder.expect("it is there");
        let disk = Disk::of(&folder).expect("it is a folder");
        (folder, disk, manifest)
    }

    #[test]
    fn what_is_cached_is_what_is_there() {
        let (folder, disk, manifest) = folder();
        for cached in [false, true] {
            let lookup = |path| Lookup { folder: &folder, disk: &disk, path, follow: true, cached };
            let found = match lookup(b"Cargo.toml").open(false) {
                // Not cached, or not supported here.
                Err(errno::AGAIN) if cached => return,
                opened => opened.expect("it is a file"),
            };
            let FoundFile { file, kind, disk: found } = found;
            assert_eq!((kind, found.is_local()), (FILE, disk.is_local()));
            assert_eq!(length(&file, cached), Ok(manifest.len() as u64));
            let read = read(&file, 2, 1 << 20, cached);
            assert!(read == Err(errno::AGAIN) || read.as_deref() == Ok(&manifest[2..]));
            assert_eq!(lookup(b"Cargo.toml").stat(), about(&file, cached));
            assert_eq!(lookup(b"src").open(true).map(|found| found.kind), Ok(FOLDER));
            for (path, code) in [
                (&b"Cargo.toml"[..], errno::NOTDIR),
                (b"../Cargo.toml", errno::PERM),
                (b"/etc/passwd", errno::PERM),
                (b"missing", errno::NOENT),
                (b"", errno::NOENT),
            ] {
                let opened = lookup(path).open(true).map(drop);
                assert!(opened == Err(code) || cached && opened == Err(errno::AGAIN), "{path:?}");
            }
        }
    }

    #[test]
    fn a_list_goes_on_where_it_was_cut_off() {
        let (folder, disk, _) = folder();
        let src =
            Lookup { folder: &folder, disk: &disk, path: b"src", follow: true, cached: false };
        let FoundFile { file: src, .. } = src.open(true).expect("it is a folder");
        let whole = list(&src, 0, 1 << 20).expect("it is a folder");
        let (mut parts, mut from) = (Vec::new(), 0);
        loop {
            let mut part = list(&src, from, 64).expect("it is a folder");
            if part.len() < 64 {
                parts.extend(part);
                break;
            }
            // If the list is truncated, its first entry is complete.
            let len = u32::from_le_bytes(*part[16..].first_chunk().expect("an entry")) as usize;
            from = u64::from_le_bytes(*part.first_chunk().expect("an entry"));
            part.truncate(24 + len);
            parts.extend(part);
        }
        assert!(parts == whole && whole.len() > 500, "{} and {}", parts.len(), whole.len());
    }
}
