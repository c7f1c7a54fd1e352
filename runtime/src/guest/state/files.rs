//! The files that an invocation has open: the folders that its function may
//! read, and what it has opened beneath them.
//!
//! They are known by descriptors, which begin behind the standard ones and with
//! the folders. A guest without folders has none, and pays for none.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use rustix::process::{Resource, getrlimit};

use crate::guest::wasi::errno;
use crate::guest::wasi::folder::{FILE, FOLDER, Found};
use crate::mounts::{Disk, Mount};

/// The first descriptor that is no standard one.
pub(crate) const FIRST: u32 = 3;

/// The most files that one invocation has open.
const MOST: usize = 32;

/// How many files all guests together have open.
static OPEN: AtomicU64 = AtomicU64::new(0);

/// How many they may: a quarter of what the process may, as it needs the others
/// for its clients.
static LIMIT: LazyLock<u64> =
    LazyLock::new(|| getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 4);

/// What one invocation has open.
#[derive(Default)]
pub(crate) struct Files {
    /// Each at the place that is its descriptor less [`FIRST`].
    open: Vec<Option<Open>>,
    /// Whether the folders are among them already.
    begun: bool,
}

/// An open file or folder.
pub(crate) struct Open {
    pub(crate) file: Arc<OwnedFd>,
    pub(crate) kind: u8,
    pub(crate) disk: Disk,
    /// Where the next read of a file begins.
    pub(crate) position: u64,
    /// Which of the function's folders it is, where it is one itself.
    pub(crate) mount: Option<usize>,
    _one: Option<One>,
}

/// One of those that all guests together may have open.
struct One;

impl Files {
    /// What a descriptor stands for.
    ///
    /// # Errors
    /// The code for a bad one.
    pub(crate) fn get(&mut self, mounts: &[Mount], fd: u32) -> Result<&mut Open, i32> {
        self.place(mounts, fd)?.as_mut().ok_or(errno::BADF)
    }

    /// The folder that a descriptor stands for, and its disk.
    ///
    /// # Errors
    /// The code for a bad one, and for what is no folder.
    pub(crate) fn folder(
        &mut self,
        mounts: &[Mount],
        fd: u32,
    ) -> Result<(Arc<OwnedFd>, Disk), i32> {
        let open = self.get(mounts, fd)?;
        let folder = (open.kind == FOLDER).then(|| open.parts());
        folder.ok_or(errno::NOTDIR)
    }

    /// The file that a descriptor stands for.
    ///
    /// # Errors
    /// The code for a bad one, and for what is no file.
    pub(crate) fn file(&mut self, mounts: &[Mount], fd: u32) -> Result<&mut Open, i32> {
        let open = self.get(mounts, fd)?;
        if open.kind == FILE { Ok(open) } else { Err(errno::ISDIR) }
    }

    /// Whether one more may be opened.
    ///
    /// # Errors
    /// The code for one too many.
    pub(crate) fn has_room(&self) -> Result<(), i32> {
        let open = self.open.iter().flatten().filter(|open| open.mount.is_none());
        if open.count() < MOST { Ok(()) } else { Err(errno::MFILE) }
    }

    /// Gives a file or a folder a descriptor.
    ///
    /// # Errors
    /// The code for one too many, of all guests together.
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

    /// Closes what a descriptor stands for.
    ///
    /// # Errors
    /// The code for a bad one.
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
    /// What it takes to ask for something of it.
    pub(crate) fn parts(&self) -> (Arc<OwnedFd>, Disk) {
        (self.file.clone(), self.disk.clone())
    }

    /// Closes it, of which some file systems are told.
    fn close(self) {
        // A folder of the function's stays open.
        if self.mount.is_none() {
            self.disk.clone().let_go(self);
        }
    }
}

impl One {
    fn take() -> Option<Self> {
        // Nothing else is said by the number.
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
