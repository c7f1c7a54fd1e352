//! A staging folder in the compiler's folder, for one process at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::TARGET;
use crate::progress::Progress;

/// A staging folder, on the file system of the sysroot so that a rename out of
/// it is atomic. Only the holder of the lock has one, so its name can be fixed,
/// and leftovers of a killed process are deleted.
pub(crate) struct Stage(pub(crate) PathBuf);

impl Stage {
    /// Creates an empty one in `rustlib`.
    pub(crate) fn new(rustlib: &Path) -> io::Result<Self> {
        let stage = Self(rustlib.join(".hourglass"));
        let made = stage.remove().and_then(|()| fs::create_dir(&stage.0));
        let told = |error: io::Error| {
            let folder = stage.0.display();
            io::Error::new(error.kind(), format!("cannot work in {folder}: {error}"))
        };
        made.map_err(told).map(|()| stage)
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(%error, folder = %self.0.display(), "cannot remove the staging folder");
        }
    }
}

/// Locks the compiler's folder against other processes until it is dropped. The
/// folder itself is the lock, so no file is left behind.
pub(crate) fn lock(rustlib: &Path, progress: &mut dyn Progress) -> io::Result<File> {
    let folder = File::open(rustlib)?;
    match folder.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress.step(&format!("waiting for another process that adds the target {TARGET}"));
            folder.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::progress::Quiet;

    #[test]
    fn a_stage_throws_away_what_was_left_in_it_and_itself() -> Result<(), Box<dyn Error>> {
        let rustlib = tempfile::tempdir()?;
        let left = rustlib.path().join(".hourglass/left");
        fs::create_dir_all(&left)?;
        let stage = Stage::new(rustlib.path())?;
        assert!(stage.0.is_dir() && !left.exists());
        drop(stage);
        assert_eq!(fs::read_dir(rustlib.path())?.count(), 0);
        Ok(())
    }

    #[test]
    fn the_lock_keeps_others_out_until_it_is_dropped() -> Result<(), Box<dyn Error>> {
        let rustlib = tempfile::tempdir()?;
        let held = lock(rustlib.path(), &mut Quiet)?;
        let other = File::open(rustlib.path())?;
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        // Not immediately: another test that is starting a program briefly
        // holds all descriptors that are open here.
        other.lock()?;
        Ok(())
    }
}
