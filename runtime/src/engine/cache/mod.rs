//! The code cache: compiled modules on disk, so that a second start compiles
//! nothing.
//!
//! Loading native code means running it, so only files written by this user's
//! cache are loaded. Three things are checked:
//!
//! - The directory and each file belong to the effective user, and no other
//!   user can write them; see [`directory`].
//! - Each file ends in a keyed hash of its name and content. The key is in the
//!   user's state directory, so a cache directory from elsewhere, as part of a
//!   cloned project for example, has no valid file; see [`key`].
//! - A file's name contains the hash of the module, and that of the engine's
//!   version and settings.
//!
//! A file that fails a check is reported, compiled again and replaced. The
//! directory can be deleted at any time. Its size is bounded; see [`eviction`].
#![allow(unsafe_code, reason = "loading compiled code is unsafe by nature")]

mod directory;
mod eviction;
mod key;

use std::hash::{Hash, Hasher};
use std::io;
use std::path::PathBuf;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};
use wasmtime::{Engine, Module};

use self::directory::Directory;
use super::compile::MAX_CODE;
use crate::error::CacheError;

const TAG: usize = blake3::OUT_LEN;

/// The location and the size limit of the cache.
#[derive(Clone, Debug)]
pub(crate) struct CacheSettings {
    pub(crate) dir: PathBuf,
    /// The directory of the key; by default the [user's](user_folder).
    pub(crate) state_dir: Option<PathBuf>,
    /// The size limit in bytes.
    pub(crate) size: u64,
}

/// A directory of compiled modules.
pub(crate) struct Cache {
    dir: Directory,
    key: [u8; blake3::KEY_LEN],
    engine: u64,
    size: u64,
}

/// The folder `hourglass` in one of the user's base directories: the directory
/// that the variable `xdg` names, or `home` in the home directory. Relative
/// paths in the variables are ignored, as the XDG specification requires.
pub(crate) fn user_folder(xdg: &str, home: &str) -> Option<PathBuf> {
    let folder =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder(xdg).or_else(|| folder("HOME").map(|path| path.join(home)))?;
    Some(base.join("hourglass"))
}

impl Cache {
    /// Opens the directory. Creates it and the key if they are missing.
    pub(crate) fn open(settings: &CacheSettings, engine: &Engine) -> Result<Self, CacheError> {
        let state_dir = settings.state_dir.clone();
        let state_dir = state_dir.or_else(|| user_folder("XDG_STATE_HOME", ".local/state"));
        let state = Directory::open(&state_dir.ok_or(CacheError::NoStateDirectory)?)?;
        let dir = Directory::open(&settings.dir)?;
        if dir.is_same(&state)? {
            return Err(CacheError::SameDirectory(settings.dir.clone()));
        }
        let key = key::load(&state)?;
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { dir, key, engine: hasher.finish(), size: settings.size })
    }

    /// The compiled code of a module, if the cache has it.
    pub(crate) fn load(&self, engine: &Engine, wasm: &[u8]) -> Option<Module> {
        self.read(engine, &self.name(wasm)).unwrap_or_else(|error| {
            tracing::warn!(%error, "a file in the code cache is not used; its module is compiled");
            None
        })
    }

    fn read(&self, engine: &Engine, name: &str) -> Result<Option<Module>, CacheError> {
        let Some(file) = self.dir.open_file(name)? else { return Ok(None) };
        let content = self.dir.read(&file, name, MAX_CODE + TAG)?;
        // `Hash` compares in constant time.
        let is_own = |(code, tag): &(&[u8], &[u8; TAG])| {
            blake3::Hash::from_bytes(**tag) == self.tag(name, code)
        };
        let Some((code, _)) = content.split_last_chunk::<TAG>().filter(is_own) else {
            let (path, problem) = (self.dir.path_of(name), "is not what this cache wrote");
            return Err(CacheError::Unusable { path, problem });
        };
        // Eviction removes the file with the oldest time. If this call fails,
        // only the order is worse.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let _ = futimens(&file, &Timestamps { last_access: now, last_modification: now });
        // SAFETY: the tag proves that the bytes are those that `store` was
        // given: the code of a module, compiled by an engine with this version
        // and these settings. They are in this process's memory, so they stay
        // as they were verified.
        let module = unsafe { Module::deserialize(engine, code) };
        module.map(Some).map_err(|error| CacheError::Io {
            path: self.dir.path_of(name),
            source: io::Error::other(format!("{error:#}")),
        })
    }

    /// Stores the code of a module, and then evicts files beyond the limit. A
    /// failure is logged, not returned: the cache only saves time.
    pub(crate) fn store(&self, wasm: &[u8], code: &[u8]) {
        if (code.len() + TAG) as u64 > self.size {
            return;
        }
        let name = self.name(wasm);
        let tag = self.tag(&name, code);
        let stored = self.dir.replace(&name, &[code, tag.as_bytes()]);
        if let Err(error) = stored.and_then(|()| eviction::evict(&self.dir, self.size)) {
            tracing::warn!(%error, "the code cache can't be written; compiled code is not kept");
        }
    }

    fn name(&self, wasm: &[u8]) -> String {
        format!("{}-{:016x}.code", blake3::hash(wasm).to_hex(), self.engine)
    }

    fn tag(&self, name: &str, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(name.as_bytes()).update(code);
        hasher.finalize()
    }
}
