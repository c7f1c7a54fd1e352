//! The key of the code cache: 32 random bytes in the user's state directory.
//!
//! It is not in the cache directory, because that may come from elsewhere. A
//! key that is missing, empty, truncated or all zeros (as after a power
//! failure) is replaced. Files that were written with the old key are then
//! compiled again.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::rand::{GetRandomFlags, getrandom};

use super::directory::Directory;
use crate::error::CacheError;

const NAME: &str = "cache-key";

type Key = [u8; blake3::KEY_LEN];

/// Reads the key, or creates it.
pub(super) fn load(state: &Directory) -> Result<Key, CacheError> {
    let failed = |source| CacheError::Io { path: state.path_of(NAME), source };
    // An existing key is only read, so the directory may be read-only.
    if let Some(file) = state.open_file(NAME)?
        && let Some(key) = read(&file).map_err(failed)?
    {
        return Ok(key);
    }
    let file = state.open_with(NAME, OFlags::RDWR | OFlags::CREATE)?;
    create(file).map_err(failed)
}

/// If two processes start at once, the second waits here and then reads the key
/// of the first. The lock ends with the descriptor. Other users cannot open the
/// file, and so cannot hold the lock.
fn create(mut file: File) -> io::Result<Key> {
    flock(&file, FlockOperation::LockExclusive)?;
    if let Some(key) = read(&file)? {
        return Ok(key);
    }
    let mut key = [0; blake3::KEY_LEN];
    if getrandom(&mut key, GetRandomFlags::empty())? != key.len() {
        return Err(io::Error::other("the system gave too few random bytes"));
    }
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

/// Reads the key; `None` if the file holds anything else.
fn read(mut file: &File) -> io::Result<Option<Key>> {
    let mut content = Vec::with_capacity(blake3::KEY_LEN + 1);
    file.rewind()?;
    file.take(blake3::KEY_LEN as u64 + 1).read_to_end(&mut content)?;
    Ok(Key::try_from(content).ok().filter(|key| *key != [0; blake3::KEY_LEN]))
}
