//! Watches files, and reports when they have changed.
//!
//! A change is reported once the files have been quiet for a moment: compilers
//! and editors write a file in several steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use notify::event::{Event, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::config::FILE_NAME;

/// Files are quiet after this time without an event; a change is reported after
/// the longer time in any case.
const QUIET: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// The most directories that are watched.
const MOST: usize = 8_192;

/// What is watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// Single files, also if they are replaced or are symbolic links.
    pub(crate) files: Vec<PathBuf>,
    /// Directories whose Rust sources and manifests are watched, also new ones,
    /// with all below them but build output and hidden ones.
    pub(crate) trees: Vec<PathBuf>,
}

/// The directories that are watched, and the state of the files.
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    events: Receiver<notify::Result<Event>>,
    directories: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Option<Stamp>>,
    trees: Vec<PathBuf>,
}

/// Differs if a file has changed.
type Stamp = (u64, u64, u64, i64, i64);

impl Watch {
    /// Watches from now on.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn new(watched: &Watched) -> anyhow::Result<Self> {
        let (sender, events) = mpsc::channel();
        let watcher = notify::recommended_watcher(sender).context("files can't be watched")?;
        let (files, trees) = (BTreeMap::new(), Vec::new());
        let mut watch = Self { watcher, events, directories: BTreeSet::new(), files, trees };
        watch.add(watched)?;
        Ok(watch)
    }

    /// Calls `changed` in a thread after each change, also those so far. It
    /// returns what is watched from then on.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start(
        mut self,
        mut changed: impl FnMut() -> Watched + Send + 'static,
    ) -> anyhow::Result<()> {
        let watching = move || {
            while self.wait() {
                // A new file may have changed before it was watched.
                while self.has_new(&changed()) {}
            }
        };
        thread::Builder::new().name("watch".to_owned()).spawn(watching)?;
        Ok(())
    }

    fn has_new(&mut self, watched: &Watched) -> bool {
        self.add(watched).unwrap_or_else(|error| {
            tracing::warn!("not everything is watched: {error:#}");
            false
        })
    }

    /// Watches these files, and these trees in addition to those before. Returns
    /// whether a file is new.
    ///
    /// # Errors
    /// The system does not allow it for one of them.
    pub(crate) fn add(&mut self, watched: &Watched) -> anyhow::Result<bool> {
        let files: BTreeSet<_> = watched.files.iter().collect();
        self.files.retain(|file, _| files.contains(file));
        let mut has_new = false;
        for file in files {
            if !self.files.contains_key(file) {
                self.directory(file.parent().unwrap_or(Path::new("")))?;
                self.files.insert(file.clone(), stamp(file));
                has_new = true;
            }
        }
        for tree in &watched.trees {
            if !self.trees.contains(tree) {
                self.trees.push(tree.clone());
                self.tree(tree)?;
            }
        }
        Ok(has_new)
    }

    fn tree(&mut self, tree: &Path) -> anyhow::Result<()> {
        self.directory(tree)?;
        // One that is removed meanwhile is not watched.
        for entry in fs::read_dir(tree).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_skipped(&entry.path()) {
                self.tree(&entry.path())?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, directory: &Path) -> anyhow::Result<()> {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        if self.directories.contains(directory) {
            return Ok(());
        }
        ensure!(self.directories.len() < MOST, "there are more than {MOST} directories");
        match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
            Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => return Ok(()),
            watched => watched.with_context(|| {
                format!(
                    "{} can't be watched; raise the limit with `sysctl -w \
                     fs.inotify.max_user_watches=N`, or do not watch",
                    directory.display()
                )
            })?,
        }
        self.directories.insert(directory.to_owned());
        Ok(())
    }

    /// Waits for a change, and until the files are quiet. Returns false if there
    /// will be none.
    fn wait(&mut self) -> bool {
        let mut until: Option<Instant> = None;
        loop {
            let event = match until {
                None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    self.events.recv_timeout(left.min(QUIET))
                }
            };
            match event {
                Ok(event) if self.concerns(&event) => {
                    until.get_or_insert_with(|| Instant::now() + LONGEST);
                    if until.is_some_and(|until| until <= Instant::now()) {
                        return true;
                    }
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Whether an event is a change. Also watches new directories.
    fn concerns(&mut self, event: &notify::Result<Event>) -> bool {
        let Ok(event) = event else {
            // Events may have been lost.
            return true;
        };
        match event.kind {
            EventKind::Access(_) => return false,
            EventKind::Remove(_) => event.paths.iter().for_each(|path| {
                // One of that name may come back.
                self.directories.remove(path);
            }),
            _ => {}
        }
        let mut is_change = false;
        for (file, known) in &mut self.files {
            let now = stamp(file);
            is_change |= *known != now;
            *known = now;
        }
        for path in
            event.paths.iter().filter(|path| self.is_in_tree(path)).cloned().collect::<Vec<_>>()
        {
            if path.is_dir() {
                // Files may have been created in it before it was watched.
                is_change |= !self.directories.contains(&path);
                if let Err(error) = self.tree(&path) {
                    tracing::warn!("not everything is watched: {error:#}");
                }
            } else {
                is_change |= is_source(&path);
            }
        }
        is_change
    }

    fn is_in_tree(&self, path: &Path) -> bool {
        let below = self.trees.iter().find_map(|tree| path.strip_prefix(tree).ok());
        below.is_some_and(|below| !below.ancestors().any(is_skipped))
    }
}

/// Whether a file is a Rust source, a manifest or a configuration.
fn is_source(path: &Path) -> bool {
    let names = ["Cargo.toml", "Cargo.lock", FILE_NAME];
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    is_rust || path.file_name().is_some_and(|name| names.iter().any(|known| name == *known))
}

/// Whether a file or a directory is hidden, or build output.
fn is_skipped(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name == "target" || name == "node_modules" || name.as_encoded_bytes().starts_with(b".")
}

/// What is at a path, behind symbolic links.
fn stamp(file: &Path) -> Option<Stamp> {
    let found = fs::metadata(file).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}
