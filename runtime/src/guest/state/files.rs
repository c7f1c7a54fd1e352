//! The open files of an invocation: the folders that its function may read, and
//! the files it has opened beneath them.
//!
//! Each has a descriptor. The descriptors start after the standard ones, with
//! those of the folders. A guest without folders has none, at no cost.

use std::os::fd::OwnedFd;
use std::sync::{Arc, LazyLock};

use slab::Slab;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::State;
use crate::guest::wasi::errno;
use crate::guest::wasi::folder::{FILE, FOLDER, FoundFile};
use crate::limits;
use crate::mounts::{Disk, Mount};

/// The first descriptor after the standard ones.
pub(crate) const FIRST: u32 = 3;

/// The maximum number of open files of one invocation.
const MAX_OPEN: usize = 32;

/// The permits for the open files of all guests.
static PERMITS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(limits::quarter_of_descriptors()));

/// The open files of one invocation. The descriptor of an entry is its index
/// plus [`FIRST`].
#[derive(Default)]
pub(crate) struct Files {
    open: Slab<OpenFile>,
    /// Whether the folders have been added.
    begun: bool,
}

/// An open file or folder.
pub(crate) struct OpenFile {
    pub(crate) file: Arc<OwnedFd>,
    pub(crate) kind: u8,
    pub(crate) disk: Disk,
    /// The position of the next read.
    pub(crate) position: u64,
    /// The index of the mount, if this is the folder of one.
    pub(crate) mount: Option<usize>,
    _permit: Option<SemaphorePermit<'static>>,
}

impl State {
    /// The file or folder of a descriptor.
    ///
    /// # Errors
    /// The code for a bad descriptor.
    pub(crate) fn opened(&mut self, fd: u32) -> Result<&mut OpenFile, i32> {
        let index = self.run.files.index(&self.capabilities.mounts, fd)?;
        self.run.files.open.get_mut(index).ok_or(errno::BADF)
    }

    /// The file of a descriptor.
    ///
    /// # Errors
    /// The code for a bad descriptor, or for one that is not a file.
    pub(crate) fn file(&mut self, fd: u32) -> Result<&mut OpenFile, i32> {
        let open = self.opened(fd)?;
        if open.kind == FILE { Ok(open) } else { Err(errno::ISDIR) }
    }

    /// The folder of a descriptor, and its disk.
    ///
    /// # Errors
    /// The code for a bad descriptor, or for one that is not a folder.
    pub(crate) fn folder(&mut self, fd: u32) -> Result<(Arc<OwnedFd>, Disk), i32> {
        let open = self.opened(fd)?;
        if open.kind == FOLDER { Ok(open.parts()) } else { Err(errno::NOTDIR) }
    }

    /// Closes a descriptor.
    ///
    /// # Errors
    /// The code for a bad descriptor.
    pub(crate) fn close(&mut self, fd: u32) -> Result<(), i32> {
        let index = self.run.files.index(&self.capabilities.mounts, fd)?;
        self.run.files.open.try_remove(index).map(OpenFile::close).ok_or(errno::BADF)
    }
}

impl Files {
    /// Checks that one more may be opened.
    ///
    /// # Errors
    /// The code for too many open files.
    pub(crate) fn check_room(&self) -> Result<(), i32> {
        let open = self.open.iter().filter(|(_, open)| open.mount.is_none()).count();
        if open < MAX_OPEN { Ok(()) } else { Err(errno::MFILE) }
    }

    /// Gives a file or a folder a descriptor.
    ///
    /// # Errors
    /// The code for too many open files of all guests.
    pub(crate) fn add(&mut self, found: FoundFile) -> Result<u32, i32> {
        let FoundFile { file, kind, disk } = found;
        let Ok(permit) = PERMITS.try_acquire() else {
            disk.close(file);
            return Err(errno::NFILE);
        };
        let (file, _permit) = (Arc::new(file), Some(permit));
        let open = OpenFile { file, kind, disk, position: 0, mount: None, _permit };
        Ok(FIRST.saturating_add(self.open.insert(open) as u32))
    }

    /// The index of a descriptor. Adds the folders first, if that was not done.
    fn index(&mut self, mounts: &[Mount], fd: u32) -> Result<usize, i32> {
        if !self.begun {
            self.begun = true;
            for (index, mount) in mounts.iter().enumerate() {
                let (file, disk) = (mount.folder.clone(), mount.disk.clone());
                let (kind, position, mount, _permit) = (FOLDER, 0, Some(index), None);
                self.open.insert(OpenFile { file, kind, disk, position, mount, _permit });
            }
        }
        Ok(fd.checked_sub(FIRST).ok_or(errno::BADF)? as usize)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.open.drain().for_each(OpenFile::close);
    }
}

impl OpenFile {
    /// The parts that a read of it needs.
    pub(crate) fn parts(&self) -> (Arc<OwnedFd>, Disk) {
        (self.file.clone(), self.disk.clone())
    }

    /// Closes it. Some file systems have to be notified of that.
    fn close(self) {
        // A folder of a mount stays open.
        if self.mount.is_none() {
            self.disk.clone().close(self);
        }
    }
}
