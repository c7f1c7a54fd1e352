//! Disks, and the threads that wait for them.
//!
//! A request to a disk may block, and if the disk hangs it blocks for good: a
//! server that is gone, or a FUSE program that is stuck. Threads therefore make
//! these requests, and their number is limited. Each folder has a share of the
//! threads. A folder on a hanging disk takes its share from the others, and no
//! more.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, Weak};

use rustix::fs::{AtFlags, Statx, StatxFlags, fstatfs, statx};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::spawn;
use crate::sync::lock;

/// The most threads that wait for disks, for all guests together.
static THREADS: Semaphore = Semaphore::const_new(64);

/// The most threads that wait for one folder and the files beneath it.
const SHARE: usize = 8;

/// The magic numbers of local file systems. Their cached data is read without a
/// thread, because no remote server is involved: ext2 to ext4, XFS, Btrfs,
/// F2FS, bcachefs, ZFS, tmpfs, ramfs, SquashFS and EROFS; and overlayfs,
/// because its layers locally always are on one of those.
const LOCAL: [u32; 11] = [
    0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0xca451a4e, 0x2fc12fc1, 0x01021994, 0x858458f6,
    0x73717368, 0xe0f5e1e2, 0x794c7630,
];

/// The disk of a file: how to read the file without blocking a guest's thread.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// The id of its mount, if the file system is local.
    local: Option<u64>,
    /// The id of the folder's mount, if the kernel reports it.
    mount: Option<u64>,
    share: Arc<Semaphore>,
}

impl Disk {
    /// The disk of a mounted folder.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn of(folder: &OwnedFd) -> io::Result<Self> {
        let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
        let stat = statx(folder, "", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, wanted)?;
        // A file system that does not report its type is not local.
        let local = fstatfs(folder).is_ok_and(|system| LOCAL.contains(&(system.f_type as u32)));
        let mount = mount(&stat);
        let local = mount.filter(|_| local);
        Ok(Self {
            local,
            mount,
            share: share((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino)),
        })
    }

    /// The disk of a file beneath the folder. Another disk may be mounted
    /// there.
    pub(crate) fn beneath(&self, stat: &Statx) -> Self {
        let local = self.local.filter(|_| self.local == mount(stat));
        Self { local, mount: self.mount, share: self.share.clone() }
    }

    /// Whether a file is certain to be on the folder's mount.
    pub(crate) fn has(&self, stat: &Statx) -> bool {
        self.mount.is_some() && self.mount == mount(stat)
    }

    /// Whether its cached data may be read without a thread.
    pub(crate) fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// Runs work on a thread that may block, when one is free. Waiters get
    /// their turns in order.
    ///
    /// # Errors
    /// The system refuses a thread.
    ///
    /// # Cancel safety
    /// Work that is dropped before its thread has started is not done. A thread
    /// that has started runs on, and counts for the folder's share until it
    /// ends.
    pub(crate) async fn wait<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        // Neither semaphore is ever closed. The thread releases both permits.
        let share = self.share.clone().acquire_owned().await.map_err(io::Error::other)?;
        let thread = THREADS.acquire().await.map_err(io::Error::other)?;
        let work = move || {
            let _free = (share, thread);
            work()
        };
        spawn::on_thread(work).await
    }

    /// Drops an open file, on a thread if that may have to wait for a server.
    pub(crate) fn close(&self, file: impl Send + 'static) {
        let handle = Handle::try_current().ok().filter(|_| !self.is_local());
        let Some(handle) = handle else { return drop(file) };
        let disk = self.clone();
        handle.spawn(async move { disk.wait(move || drop(file)).await });
    }
}

/// The id of a file's mount. Kernels before 5.8 do not report it.
fn mount(stat: &Statx) -> Option<u64> {
    let reported = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    reported.then_some(stat.stx_mnt_id)
}

/// The share of a folder, identified by its device and its inode. All mounts of
/// the folder have one share.
fn share(folder: (u32, u32, u64)) -> Arc<Semaphore> {
    static SHARES: Mutex<BTreeMap<(u32, u32, u64), Weak<Semaphore>>> = Mutex::new(BTreeMap::new());
    let mut shares = lock(&SHARES);
    // A hanging thread holds a permit of its share, which keeps the share
    // alive.
    shares.retain(|_, share| share.strong_count() > 0);
    let known = shares.get(&folder).and_then(Weak::upgrade);
    known.unwrap_or_else(|| {
        let share = Arc::new(Semaphore::new(SHARE));
        shares.insert(folder, Arc::downgrade(&share));
        share
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use rustix::fs::{Mode, OFlags, open};
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn disk(folder: &str) -> Disk {
        let path = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let folder = open(path, flags, Mode::empty()).expect("it is there");
        Disk::of(&folder).expect("it is a folder")
    }

    #[tokio::test]
    async fn a_folder_that_hangs_takes_no_more_than_its_share() {
        let (hangs, other) = (disk("src"), disk("tests"));
        let (begins, begun) = mpsc::channel();
        let holds: Vec<_> = (0..SHARE)
            .map(|_| {
                let (hold, held) = mpsc::channel::<()>();
                let (hangs, begins) = (hangs.clone(), begins.clone());
                // The caller does not wait for it any more.
                let asks = async move {
                    let work = move || {
                        let _ = (begins.send(()), held.recv());
                    };
                    let _ = timeout(Duration::from_millis(1), hangs.wait(work)).await;
                };
                tokio::spawn(asks);
                hold
            })
            .collect();
        tokio::task::spawn_blocking(move || begun.iter().take(SHARE).for_each(drop))
            .await
            .expect("all of them begin");
        // A second mount of the folder has the same share.
        let late = disk("src");
        let mut waits = Box::pin(late.wait(|| "back"));
        assert!(timeout(Duration::from_millis(1), &mut waits).await.is_err());
        assert_eq!(timeout(LONG, other.wait(|| "read")).await.expect("in time").ok(), Some("read"));
        drop(holds);
        assert_eq!(timeout(LONG, waits).await.expect("in time").ok(), Some("back"));
    }
}
