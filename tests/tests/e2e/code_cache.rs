//! The code cache: it avoids compilation, and never loads code that another user wrote.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use hourglass::{BuildError, Context, Function, Runtime, RuntimeBuilder};
use hourglass_tests::{guests, host, modules};
use http::Request;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::geteuid;
use tempfile::TempDir;

use super::command::hourglass;

/// A cache with its state directory.
pub(super) struct Place {
    folder: TempDir,
    cache: PathBuf,
    state: PathBuf,
}

impl Place {
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (cache, state) = (folder.path().join("made/on/demand"), folder.path().join("state"));
        Ok(Self { folder, cache, state })
    }

    pub(super) fn builder(&self) -> RuntimeBuilder {
        Runtime::builder().max_in_flight(2).cache_dir(&self.cache).state_dir(&self.state)
    }

    fn key(&self) -> PathBuf {
        self.state.join("cache-key")
    }

    /// The error of a runtime that cannot be built.
    fn refused(&self) -> String {
        let error = self.builder().build().unwrap_err();
        let BuildError::Cache { source, .. } = &error else { panic!("{error:?}") };
        source.to_string()
    }

    /// Deploys and runs two functions.
    async fn run(&self) -> Result<()> {
        run(self.builder(), &[201, 202]).await
    }

    /// The files of compiled code, each with its inode, which changes when the file is rewritten.
    pub(super) fn compiled(&self) -> Vec<(PathBuf, u64)> {
        let files = fs::read_dir(&self.cache).unwrap().map(|entry| entry.unwrap());
        let code = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "code"));
        let mut code: Vec<_> =
            code.map(|file| (file.path(), file.metadata().unwrap().ino())).collect();
        code.sort();
        code
    }
}

/// A module that responds with this status.
pub(super) fn with_status(status: u16) -> Vec<u8> {
    modules::responding(&modules::head(status, &[]), 1, |_| ())
}

/// Deploys and runs modules that respond with these statuses.
pub(super) async fn run(builder: RuntimeBuilder, statuses: &[u16]) -> Result<()> {
    let runtime = host::with(builder, []);
    for status in statuses {
        runtime.deploy(Function::from_bytes("f", with_status(*status))?)?;
        let answer = runtime.invoke(&Context::background(), "f", Request::new("")).await?;
        assert_eq!(answer.status(), *status);
    }
    Ok(())
}

#[tokio::test]
async fn a_second_start_compiles_nothing() -> Result<()> {
    let place = Place::new()?;
    place.run().await?;
    let first = place.compiled();
    assert_eq!(first.len(), 2);
    place.run().await?;
    assert_eq!(place.compiled(), first);
    // Only the owner has access: a user with write access could run code here.
    for path in first.iter().map(|(path, _)| path).chain([&place.key()]) {
        assert_eq!(fs::metadata(path)?.mode() & 0o077, 0, "{}", path.display());
    }
    for dir in [&place.cache, &place.state] {
        assert_eq!(fs::metadata(dir)?.mode() & 0o077, 0, "{}", dir.display());
    }
    assert!(!place.cache.join("key").exists(), "the key is in the cache");
    Ok(())
}

/// Flips one bit of a file.
fn flip(path: &Path, at: impl Fn(usize) -> usize) {
    let mut content = fs::read(path).unwrap();
    let at = at(content.len());
    content[at] ^= 1;
    fs::write(path, content).unwrap();
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A change to one of two files of compiled code.
type Change = fn(&Path, &Path);

#[tokio::test]
async fn a_modified_file_is_never_loaded() -> Result<()> {
    let place = Place::new()?;
    let changes: [(&str, Change); 14] = [
        ("a bit at the start", |one, _| flip(one, |_| 0)),
        ("a bit in the middle", |one, _| flip(one, |len| len / 2)),
        ("a bit of the tag", |one, _| flip(one, |len| len - 1)),
        ("cut short", |one, _| {
            let content = fs::read(one).unwrap();
            fs::write(one, &content[..content.len() / 2]).unwrap();
        }),
        ("shorter than a tag", |one, _| fs::write(one, "short").unwrap()),
        ("empty", |one, _| fs::write(one, "").unwrap()),
        ("another one's", |one, two| fs::write(one, fs::read(two).unwrap()).unwrap()),
        ("larger than any code", |one, _| {
            File::options().write(true).open(one).unwrap().set_len(1 << 40).unwrap();
        }),
        ("readable by others", |one, _| set_mode(one, 0o644)),
        ("writable by a group", |one, _| set_mode(one, 0o660)),
        ("a link", |one, _| {
            let aside = one.with_extension("aside");
            fs::rename(one, &aside).unwrap();
            symlink(aside, one).unwrap();
        }),
        ("a link to nothing", |one, _| {
            fs::remove_file(one).unwrap();
            symlink("/no/such/file", one).unwrap();
        }),
        ("a FIFO", |one, _| {
            fs::remove_file(one).unwrap();
            fifo(one);
        }),
        ("another user's", |one, _| {
            if geteuid().is_root() {
                chown(one, Some(12_345), None).unwrap();
            } else {
                set_mode(one, 0o602);
            }
        }),
    ];
    for (what, change) in changes {
        place.run().await?;
        let before = place.compiled();
        let [(one, inode), (two, _)] = before.as_slice() else { panic!("{before:?}") };
        // Keeps the inode of a replaced file from being reused.
        let kept = place.cache.join("kept");
        fs::hard_link(one, &kept)?;
        change(one, two);
        let in_time = tokio::time::timeout(Duration::from_secs(60), place.run()).await;
        in_time.unwrap_or_else(|_| panic!("{what}: it hangs"))?;
        let after = place.compiled();
        assert_ne!(after[0].1, *inode, "{what}: it was not compiled again");
        // The file that replaced it is valid.
        place.run().await?;
        assert_eq!(place.compiled(), after, "{what}");
        fs::remove_file(kept)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_directory_in_place_of_a_file_is_kept() -> Result<()> {
    let place = Place::new()?;
    place.run().await?;
    let (one, _) = place.compiled().remove(0);
    fs::remove_file(&one)?;
    fs::create_dir(&one)?;
    place.run().await?;
    assert!(one.is_dir());
    Ok(())
}

#[tokio::test]
async fn an_invalid_key_is_replaced() -> Result<()> {
    let place = Place::new()?;
    let mut keys = Vec::new();
    for broken in [&[][..], b"short", &[7; 33], &[0; 32]] {
        place.run().await?;
        let before = place.compiled();
        fs::write(place.key(), broken)?;
        place.run().await?;
        let key = fs::read(place.key())?;
        assert_eq!(key.len(), 32);
        assert_ne!(key, [0; 32]);
        assert!(!keys.contains(&key), "a key came back");
        keys.push(key);
        // Files signed with the old key are not loaded, and those signed with the new key are.
        let after = place.compiled();
        assert_ne!(after, before);
        place.run().await?;
        assert_eq!(place.compiled(), after);
    }
    Ok(())
}

/// A fault of a key or a directory: a text of the error, and a function that causes the fault.
type Fault = (&'static str, fn(&Place) -> PathBuf);

#[test]
fn files_writable_by_other_users_are_refused() -> Result<()> {
    fn aside(path: PathBuf) -> PathBuf {
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        symlink(aside, &path).unwrap();
        path
    }
    fn mode(path: PathBuf, mode: u32) -> PathBuf {
        set_mode(&path, mode);
        path
    }
    fn foreign(path: PathBuf) -> PathBuf {
        chown(&path, Some(12_345), None).unwrap();
        path
    }
    let mut faults: Vec<Fault> = vec![
        ("a symbolic link", |place| aside(place.cache.clone())),
        ("a symbolic link", |place| aside(place.state.clone())),
        ("a symbolic link", |place| aside(place.key())),
        ("not a directory", |place| {
            fs::remove_dir(&place.cache).unwrap();
            fs::write(&place.cache, "").unwrap();
            place.cache.clone()
        }),
        ("not a regular file", |place| {
            fs::remove_file(place.key()).unwrap();
            fifo(&place.key());
            place.key()
        }),
        ("not a regular file", |place| {
            fs::remove_file(place.key()).unwrap();
            fs::create_dir(place.key()).unwrap();
            place.key()
        }),
        ("chmod go-w ", |place| mode(place.cache.clone(), 0o770)),
        ("chmod go-w ", |place| mode(place.cache.clone(), 0o1777)),
        ("chmod go-w ", |place| mode(place.state.clone(), 0o775)),
        ("chmod go-rwx ", |place| mode(place.key(), 0o640)),
        ("chmod go-rwx ", |place| mode(place.key(), 0o606)),
    ];
    if geteuid().is_root() {
        faults.extend([
            ("belongs to user 12345", (|place| foreign(place.cache.clone())) as fn(&Place) -> _),
            ("belongs to user 12345", |place| foreign(place.state.clone())),
            ("belongs to user 12345", |place| foreign(place.key())),
        ]);
    }
    for (says, fault) in faults {
        let place = Place::new()?;
        place.builder().build()?;
        let path = fault(&place);
        let error = place.refused();
        assert!(error.contains(says) && error.contains(path.to_str().unwrap()), "{says}: {error}");
    }
    Ok(())
}

#[test]
fn a_trailing_slash_does_not_follow_a_symlink() -> Result<()> {
    let mut place = Place::new()?;
    place.builder().build()?;
    symlink(&place.cache, place.folder.path().join("link"))?;
    for end in ["link/", "link/."] {
        place.cache = place.folder.path().join(end);
        assert!(place.refused().contains("a symbolic link"), "{end}");
    }
    Ok(())
}

#[test]
fn a_state_directory_equal_to_the_cache_is_refused() -> Result<()> {
    let mut place = Place::new()?;
    place.state = place.cache.join("../demand");
    let error = place.refused();
    assert!(error.contains("both the cache and the state directory"), "{error}");
    Ok(())
}

#[test]
fn an_unusable_cache_directory_is_an_error() {
    let file = guests::module("hello");
    let builder = Runtime::builder().cache_dir(file).state_dir(guests::state_dir());
    let error = builder.build().unwrap_err();
    assert!(matches!(&error, BuildError::Cache { dir, .. } if dir == file), "{error}");
}

#[tokio::test]
async fn the_least_recently_used_code_is_evicted() -> Result<()> {
    let place = Place::new()?;
    run(place.builder(), &[201]).await?;
    let (first, _) = place.compiled().remove(0);
    let size = fs::metadata(&first)?.len();
    let room_for_two = || place.builder().cache_size(size * 5 / 2);
    run(room_for_two(), &[202]).await?;
    // Both files are old, and the first one is older.
    let hours = |hours: u64| SystemTime::now() - Duration::from_secs(3_600 * hours);
    let both = place.compiled();
    let is_first = |path: &Path| path == first;
    for (path, _) in &both {
        let age = if is_first(path) { 2 } else { 1 };
        File::options().write(true).open(path)?.set_modified(hours(age))?;
    }
    // Only the second one is used after that.
    run(room_for_two(), &[202]).await?;
    run(room_for_two(), &[203]).await?;
    let left = place.compiled();
    assert_eq!(left.len(), 2);
    assert!(!left.iter().any(|(path, _)| is_first(path)), "the older one is still there");
    assert_eq!(left.iter().filter(|left| both.contains(left)).count(), 1);
    // A file larger than the whole cache evicts nothing.
    run(place.builder().cache_size(size / 2), &[204]).await?;
    assert_eq!(place.compiled(), left);
    Ok(())
}

#[tokio::test]
async fn concurrent_starts_agree_on_one_key() -> Result<()> {
    let place = Place::new()?;
    let module = place.folder.path().join("one.wasm");
    fs::write(&module, with_status(201))?;
    let start = || {
        let mut command = hourglass(&["check", module.to_str().unwrap()]);
        command.env("HOURGLASS_CACHE", &place.cache).env("HOURGLASS_STATE_DIR", &place.state);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
    };
    let started: Vec<_> = (0..6).map(|_| start()).collect::<std::io::Result<_>>()?;
    for child in started {
        let ended = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && said.is_empty(), "{said}");
    }
    let before = place.compiled();
    assert_eq!(before.len(), 1);
    assert!(start()?.wait()?.success());
    assert_eq!(place.compiled(), before);
    Ok(())
}
