//! The directory of a ledger: its files by number, and the lock of its host.
//!
//! | file | |
//! |---|---|
//! | `usage-NNNNNNNNNN.log` | blocks, in the order of the numbers |
//! | `counts` | what the latest run has counted |
//! | `lock` | locked while a host writes |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::counts;
use crate::error::LedgerError;

/// How long a host tries to get the lock. A reader holds it for a moment.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// The directory of a ledger.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
}

impl Directory {
    /// Creates the directory and its parents if they are missing. Only their
    /// owner may read them: principals are personal data.
    pub(super) fn create(path: &Path) -> Result<Self, LedgerError> {
        let directory = Self { path: path.to_owned() };
        let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
        created.map_err(|source| directory.failed(source))?;
        Ok(directory)
    }

    /// Opens an existing ledger to read it.
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let directory = Self { path: path.to_owned() };
        if directory.files()?.is_empty() && !counts::exist(path) {
            return Err(LedgerError::NotALedger { dir: path.to_owned() });
        }
        Ok(directory)
    }

    /// Locks it for a host. The lock ends with the process.
    pub(super) fn lock(&self) -> Result<File, LedgerError> {
        let path = self.path.join("lock");
        let failed = |source| LedgerError::Io { path: path.clone(), source };
        let file = private().truncate(false).create(true).open(&path).map_err(failed)?;
        for tries in 1.. {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if tries < TRIES => thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => {
                    let holder = counts::read(&self.path).ok().flatten();
                    let pid = holder.map(|(start, _)| start.pid);
                    return Err(LedgerError::InUse { dir: self.path.clone(), pid });
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
        Ok(file)
    }

    /// Whether a host writes to it.
    pub(super) fn is_locked(&self) -> Result<bool, LedgerError> {
        let path = self.path.join("lock");
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file.map_err(|source| LedgerError::Io { path, source })?,
        };
        Ok(flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK))
    }

    /// The numbers of its files, in order.
    pub(super) fn files(&self) -> Result<Vec<u64>, LedgerError> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(|source| self.failed(source))? {
            let entry = entry.map_err(|source| self.failed(source))?;
            numbers.extend(entry.file_name().to_str().and_then(number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The path of a file.
    pub(super) fn file(&self, number: u64) -> PathBuf {
        self.path.join(format!("usage-{number:010}.log"))
    }

    /// Creates a file.
    pub(super) fn create_file(&self, number: u64) -> io::Result<File> {
        private().create_new(true).open(self.file(number))
    }

    /// Opens a file to append to it.
    pub(super) fn open_file(&self, number: u64) -> io::Result<File> {
        private().open(self.file(number))
    }

    pub(super) fn failed(&self, source: io::Error) -> LedgerError {
        LedgerError::Io { path: self.path.clone(), source }
    }
}

/// How every file is opened to write it: links are not followed.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("usage-")?.strip_suffix(".log")?;
    let is_number = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_ledger_have_numbers() {
        assert_eq!(number("usage-0000000012.log"), Some(12));
        for name in ["usage-12.log", "usage-+000000012.log", "usage-0000000012.log.gz", "counts"] {
            assert_eq!(number(name), None, "{name}");
        }
    }

    #[test]
    fn one_host_has_the_lock() {
        let folder = tempfile::tempdir().expect("a directory");
        let directory = Directory::create(&folder.path().join("a/b")).expect("it is created");
        assert!(!directory.is_locked().expect("it is readable"));
        let held = directory.lock().expect("it is free");
        assert!(directory.is_locked().expect("it is readable"));
        let error = directory.lock().expect_err("it is held");
        assert!(error.to_string().contains("another host"), "{error}");
        drop(held);
        assert!(!directory.is_locked().expect("it is readable"));
        directory.lock().expect("it is free again");
    }
}
