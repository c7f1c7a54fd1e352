//! Keeps the cache within its size by removing the least recently used files.
//! The modification time of a file is the time of its last load or store.
//!
//! Only files with names of this cache's own form are removed. Several
//! processes may evict at once: a file that is already gone is not an error,
//! and a process that loaded one has its bytes in memory.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::directory::Directory;
use crate::error::CacheError;

/// The maximum number of files, whatever their size, so that listing stays
/// cheap.
const MAX_FILES: usize = 10_000;

/// A temporary file of this age belongs to a process that died.
const STALE: Duration = Duration::from_secs(3_600);

/// Removes files until the remaining ones have at most `size` bytes in total.
pub(super) fn evict(dir: &Directory, size: u64) -> Result<(), CacheError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut code = Vec::new();
    let mut total = 0_u64;
    for (name, stat) in dir.files()? {
        let used = (stat.st_mtime, stat.st_mtime_nsec);
        if is_code(&name) {
            let bytes = u64::try_from(stat.st_size).unwrap_or_default();
            total = total.saturating_add(bytes);
            code.push((used, name, bytes));
        } else if is_temporary(&name)
            && used.0 < now.saturating_sub(STALE).as_secs().try_into().unwrap_or(i64::MAX)
        {
            dir.remove(&name)?;
        }
    }
    code.sort_unstable();
    let mut files = code.len();
    for (_, name, bytes) in code {
        if total <= size && files <= MAX_FILES {
            break;
        }
        dir.remove(&name)?;
        total = total.saturating_sub(bytes);
        files -= 1;
    }
    Ok(())
}

/// The length of the name of a code file.
const CODE_NAME: usize = 64 + 1 + 16 + 5;

/// Whether a name is that of a code file: two hashes in hexadecimal digits.
fn is_code(name: &str) -> bool {
    let hashes = name.strip_suffix(".code").and_then(|name| name.split_once('-'));
    let is_hash = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    hashes.is_some_and(|(wasm, engine)| is_hash(wasm, 64) && is_hash(engine, 16))
}

/// Whether a name is that of an unfinished file: `.NAME.PROCESS.COUNT`.
fn is_temporary(name: &str) -> bool {
    let name = name.strip_prefix('.').unwrap_or_default();
    let (code, numbers) = name.split_at_checked(CODE_NAME).unwrap_or_default();
    let is_digit = |byte: u8| byte == b'.' || byte.is_ascii_digit();
    is_code(code) && numbers.starts_with('.') && numbers.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use super::*;

    fn name(of: u8) -> String {
        format!("{of:064x}-{of:016x}.code")
    }

    /// Creates a file of this size, last used `ago` seconds ago.
    fn put(dir: &Path, name: &str, size: usize, ago: u64) {
        fs::write(dir.join(name), vec![0; size]).expect("the directory is writable");
        let file = File::options().write(true).open(dir.join(name)).expect("it was written");
        file.set_modified(SystemTime::now() - Duration::from_secs(ago)).expect("the file is ours");
    }

    fn left(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir)
            .expect("a directory")
            .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn the_least_recently_used_files_go_first() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (of, ago) in [(1, 20), (2, 40), (3, 10), (4, 30)] {
            put(folder.path(), &name(of), 100, ago);
        }
        let dir = Directory::open(folder.path()).expect("it is ours");
        evict(&dir, 400).expect("nothing to do");
        assert_eq!(left(folder.path()).len(), 4);
        evict(&dir, 250).expect("it evicts");
        assert_eq!(left(folder.path()), [name(1), name(3)]);
        evict(&dir, 0).expect("it evicts");
        assert!(left(folder.path()).is_empty());
    }

    #[test]
    fn only_files_of_the_cache_are_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let foreign = ["key", "notes.code", "0-0.code", ".profile", "a.1.2"];
        for foreign in foreign {
            put(folder.path(), foreign, 1_000, 1_000_000);
        }
        let stale = format!(".{}.77.3", name(1));
        let fresh = format!(".{}.77.4", name(1));
        put(folder.path(), &stale, 10, 7_200);
        put(folder.path(), &fresh, 10, 0);
        fs::create_dir(folder.path().join(name(2))).expect("a directory");
        std::os::unix::fs::symlink("key", folder.path().join(name(3))).expect("a link");
        let dir = Directory::open(folder.path()).expect("it is ours");
        evict(&dir, 0).expect("it evicts");
        let left = left(folder.path());
        assert!(!left.contains(&stale));
        for kept in foreign.iter().copied().chain([&*fresh, &*name(2), &*name(3)]) {
            assert!(left.iter().any(|name| name == kept), "{kept} is gone");
        }
    }
}
