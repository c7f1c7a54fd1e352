//! The open files of an invocation: the folders that its function may read, and
//! the files it has opened beneath them.
//!
//! Each has a descriptor. The descriptors start after the standard ones, with
//! those of the folders. A guest without folders has none, at no cost.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use rustix::process::{Resource, getrlimit};

use crate::guest::wasi::errno;
use crate::guest::wasi::folder::{FILE, FOLDER, Found};
use crate::mounts::{Disk, Mount};

/// The first descriptor after the standard ones.
pub(crate) const FIRST: u32 = 3;

/// The most open files of one invocation.
const MOST: usize = 32;

/// The number of open files of all guests.
static OPEN: AtomicU64 = AtomicU64::new(0);

/// The most open files of all guests: a quarter of the process's limit, because
/// the rest is for its clients.
static LIMIT: LazyLock<u64> =
    LazyLock::new(|| getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 4);

/// The open files of one invocation.
#[derive(Default)]
pub(crate) struct Files {
    /// The descriptor of an entry is its index plus [`FIRST`].
    open: Vec<Option<Open>>,
    /// Whether the folders have been added.
    begun: bool,
}

/// An open file or folder.
pub(crate) struct Open {
    pub(crate) file: Arc<OwnedFd>,
    pub(crate) kind: u8,
    pub(crate) disk: Disk,
    /// The position of the next read.
    pub(crate) position: u64,
    /// The index of the mount, if this is the folder of one.
    pub(crate) mount: Option<usize>,
    _one: Option<One>,
}

/// One of the open files of all guests. Counted from creation to drop.
struct One;

impl Files {
    /// The file or folder of a descriptor.
    ///
    /// # Errors
    /// The code for a bad descriptor.
    pub(crate) fn get(&mut self, mounts: &[Mount], fd: u32) -> Result<&mut Open, i32> {
        self.place(mounts, fd)?.as_mut().ok_or(errno::BADF)
    }

    /// The folder of a descriptor, and its disk.
    ///
    /// # Errors
    /// The code for a bad descriptor, or for one that is not a folder.
    pub(crate) fn folder(
        &mut self,
        mounts: &[Mount],
        fd: u32,
    ) -> Result<(Arc<OwnedFd>, Disk), i32> {
        let open = self.get(mounts, fd)?;
        let folder = (open.kind == FOLDER).then(|| open.parts());
        folder.ok_or(errno::NOTDIR)
    }

    /// The file of a descriptor.
    ///
    /// # Errors
    /// The code for a bad descriptor, or for one that is not a file.
    pub(crate) fn file(&mut self, mounts: &[Mount], fd: u32) -> Result<&mut Open, i32> {
        let open = self.get(mounts, fd)?;
        if open.kind == FILE { Ok(open) } else { Err(errno::ISDIR) }
    }

    /// Checks that one more may be opened.
    ///
    /// # Errors
    /// The code for too many open files.
    pub(crate) fn has_room(&self) -> Result<(), i32> {
        let open = self.open.iter().flatten().filter(|open| open.mount.is_none());
        if open.count() < MOST { Ok(()) } else { Err(errno::MFILE) }
    }

    /// Gives a file or a folder a descriptor.
    ///
    /// # Errors
    /// The code for too many open files of all guests.
    pub(crate) fn add(&mut self, found: Found) -> Result<u32, i32> {
        let Found { file, kind, disk } = found;
        let Some(one) = One::take() else {
            disk.let_go(file);
            return Err(errno::NFILE);
        };
        let (file, one) = (Arc::new(file), Some(one));
        let open = Open { file, kind, disk, position: 0, mount: None, _one: one };
        let place = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        match self.open.get_mut(place) {
            Some(free) => *free = Some(open),
            None => self.open.push(Some(open)),
        }
        Ok(FIRST.saturating_add(place as u32))
    }

    /// Closes a descriptor.
    ///
    /// # Errors
    /// The code for a bad descriptor.
    pub(crate) fn close(&mut self, mounts: &[Mount], fd: u32) -> Result<(), i32> {
        self.place(mounts, fd)?.take().map(Open::close).ok_or(errno::BADF)
    }

    fn place(&mut self, mounts: &[Mount], fd: u32) -> Result<&mut Option<Open>, i32> {
        if !self.begun {
            self.begun = true;
            self.open.extend(mounts.iter().enumerate().map(|(place, mount)| {
                let (file, disk) = (mount.folder.clone(), mount.disk.clone());
                let mount = Some(place);
                Some(Open { file, kind: FOLDER, disk, position: 0, mount, _one: None })
            }));
        }
        let place = fd.checked_sub(FIRST).ok_or(errno::BADF)?;
        self.open.get_mut(place as usize).ok_or(errno::BADF)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.open.drain(..).flatten().for_each(Open::close);
    }
}

impl Open {
    /// The parts that a read of it needs.
    pub(crate) fn parts(&self) -> (Arc<OwnedFd>, Disk) {
        (self.file.clone(), self.disk.clone())
    }

    /// Closes it. Some file systems have to be notified of that.
    fn close(self) {
        // A folder of a mount stays open.
        if self.mount.is_none() {
            self.disk.clone().let_go(self);
        }
    }
}

impl One {
    fn take() -> Option<Self> {
        // The counter orders no other memory, so `Relaxed` is enough.
        let before = OPEN.fetch_add(1, Ordering::Relaxed);
        let one = Self;
        (before < *LIMIT).then_some(one)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}
