//! Compiled code, kept on disk, so that a second start compiles nothing.
//!
//! Loading compiled code means running it, so no file is loaded that this
//! cache did not write: each carries a keyed hash over its content and its
//! name, and the key lies beside the files, readable by their owner alone. A
//! file that was changed, cut short or swapped for another is compiled anew
//! and replaced. A file's name is a hash of the module, the engine's version
//! and its settings, so a new version never meets an old one's code.
//!
//! The directory may be deleted at any time; nothing in it is ever removed.
#![allow(unsafe_code, reason = "loading compiled code is unsafe by nature")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::{Engine, Module};

const TAG: usize = blake3::OUT_LEN;

/// A directory of compiled modules.
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; blake3::KEY_LEN],
    engine: u64,
}

impl Cache {
    /// Opens the directory, making it and its key where they are missing.
    pub(crate) fn open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let key = key(dir)?;
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { dir: dir.to_owned(), key, engine: hasher.finish() })
    }

    /// The module's compiled code, where it is here and unchanged.
    pub(crate) fn load(&self, engine: &Engine, wasm: &[u8]) -> Option<Module> {
        let name = self.name(wasm);
        let mut content = fs::read(self.dir.join(&name)).ok()?;
        let (code, tag) = content.split_last_chunk::<TAG>()?;
        if self.tag(&name, code) != *tag {
            tracing::warn!(file = name, "a file in the code cache was changed; compiling anew");
            return None;
        }
        content.truncate(content.len() - TAG);
        // SAFETY: the tag proves that the bytes are what `store` was given:
        // the serialized form of a module compiled by an engine with this
        // version and these settings. They are in this process's memory, so
        // they stay as they were checked.
        match unsafe { Module::deserialize(engine, &content) } {
            Ok(module) => Some(module),
            Err(error) => {
                tracing::warn!(file = name, %error, "compiled code was not accepted");
                None
            }
        }
    }

    /// Keeps a compiled module. A failure is logged: the cache only saves time.
    pub(crate) fn store(&self, wasm: &[u8], module: &Module) {
        let name = self.name(wasm);
        let written = module.serialize().map_err(io::Error::other).and_then(|code| {
            let tag = self.tag(&name, &code);
            write_new(&self.dir, &name, &[&code, &tag], |from, to| fs::rename(from, to))
        });
        if let Err(error) = written {
            tracing::warn!(dir = %self.dir.display(), %error, "compiled code can't be kept");
        }
    }

    fn name(&self, wasm: &[u8]) -> String {
        format!("{}-{:016x}.code", blake3::hash(wasm).to_hex(), self.engine)
    }

    fn tag(&self, name: &str, code: &[u8]) -> [u8; TAG] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(name.as_bytes()).update(code);
        *hasher.finalize().as_bytes()
    }
}

/// Reads the directory's key, or makes one.
fn key(dir: &Path) -> io::Result<[u8; blake3::KEY_LEN]> {
    let path = dir.join("key");
    if !path.try_exists()? {
        let mut key = [0; blake3::KEY_LEN];
        rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty())?;
        // Linked rather than renamed into place: of two processes that start
        // at once, the second must take the first one's key.
        match write_new(dir, "key", &[&key], |from, to| fs::hard_link(from, to)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let mut key = [0; blake3::KEY_LEN];
    File::open(&path)?.read_exact(&mut key)?;
    Ok(key)
}

/// Writes a file under another name and puts it into place when it is whole.
fn write_new(
    dir: &Path,
    name: &str,
    parts: &[&[u8]],
    put: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = dir.join(format!(".{name}.{}.{count}", std::process::id()));
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        for part in parts {
            file.write_all(part)?;
        }
        put(&temporary, &dir.join(name))
    })();
    // After a rename there is nothing left to remove.
    let _ = fs::remove_file(&temporary);
    written
}
