//! Fetches the source of the standard library, and the C library it needs, from
//! Debian's archive.
//!
//! Nothing is installed, and the machine's package lists stay unchanged: apt
//! runs with its own source list, lists and cache in a temporary folder of the
//! caller. The archive's address comes from the machine's own apt
//! configuration, and the packages are verified with the machine's keyring.

pub(super) mod stdlib;
mod suites;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use crate::command::{self, CommandError};
use crate::progress::Progress;

/// The packages: the source, which must match the compiler, and the C library.
const RUST_SRC: &str = "rust-src";
const WASI_LIBC: &str = "wasi-libc";

/// For one call of apt, which downloads at most 50 MB.
const LIMIT: Duration = Duration::from_secs(300);

/// The locations of the key that signs Debian's archive.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/// The fetched and unpacked packages.
pub(crate) struct Sources {
    /// The workspace of the standard library.
    pub(crate) library: PathBuf,
    /// The folder with the C library's archives and start files.
    pub(crate) libc: PathBuf,
}

/// Why the packages could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DebianError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("cannot work in the temporary folder")]
    Io(#[from] io::Error),
    #[error("apt knows no package archive")]
    NoArchive,
    #[error("no suite has {RUST_SRC} {release} and {WASI_LIBC}; looked at {}", looked_at.join(", "))]
    NoSuite { release: String, looked_at: Vec<String> },
    #[error("the package {0} does not hold what it did when this was written")]
    Contents(&'static str),
}

/// Finds the suite with the source of exactly `release`, and unpacks its
/// packages into the new folder `dir`.
pub(crate) fn fetch(
    release: &str,
    dir: &Path,
    progress: &mut dyn Progress,
) -> Result<Sources, DebianError> {
    fs::create_dir(dir)?;
    progress.step(&format!("looking for the source of Rust {release} in Debian's archive"));
    let (apt, version) = find(release, dir, progress)?;
    progress.step(&format!("fetching {RUST_SRC} {version} and {WASI_LIBC}"));
    apt.run("apt-get", &["download", &format!("{RUST_SRC}={version}"), WASI_LIBC])?;
    progress.step("unpacking the packages");
    let root = dir.join("unpacked");
    fs::create_dir(&root)?;
    unpack(dir, RUST_SRC, "./usr/src/rustc-*/library", &root)?;
    unpack(dir, WASI_LIBC, "./usr/lib/wasm32-*", &root)?;
    let library = files(&root.join("usr/src"))?.into_iter().map(|source| source.join("library"));
    // Older packages use only the target's older name.
    let libc = ["wasm32-wasip1", "wasm32-wasi"].map(|name| root.join("usr/lib").join(name));
    Ok(Sources {
        library: library
            .into_iter()
            .find(|dir| dir.is_dir())
            .ok_or(DebianError::Contents(RUST_SRC))?,
        libc: libc.into_iter().find(|dir| dir.is_dir()).ok_or(DebianError::Contents(WASI_LIBC))?,
    })
}

/// Unpacks the files that match `pattern` from the package downloaded to `dir`.
/// The rest stays packed: the whole of `rust-src` is about ten times as many
/// files, a minute of work for a busy disk.
fn unpack(dir: &Path, package: &'static str, pattern: &str, to: &Path) -> Result<(), DebianError> {
    let is_it = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".deb") && name.split('_').next() == Some(package)
    };
    let file = files(dir)?.into_iter().find(is_it).ok_or(DebianError::Contents(package))?;
    let pipe =
        "dpkg-deb --fsys-tarfile \"$1\" | tar --extract --directory \"$2\" --wildcards \"$3\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", pipe, "unpack"]).args([&file, to]).arg(pattern);
    command::output(&mut shell, LIMIT, &mut |_| ())?;
    Ok(())
}

/// The first suite with both packages, and its version of `rust-src`.
fn find(
    release: &str,
    dir: &Path,
    progress: &mut dyn Progress,
) -> Result<(Apt, String), DebianError> {
    let configured = command::output(
        Command::new("apt-get").args(["update", "--print-uris"]),
        LIMIT,
        &mut |_| (),
    )?;
    let configured = suites::archives(&configured);
    let mut looked_at = Vec::new();
    for (archive, suite) in suites::candidates(&configured) {
        progress.detail(&suite);
        let apt = Apt::new(dir, archive, &suite)?;
        match apt.run("apt-get", &["update"]) {
            Ok(_) => {}
            Err(CommandError::Failed { said, .. })
                if said.contains("does not have a Release file") =>
            {
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        let listed = suites::versions(&apt.run("apt-cache", &["madison", RUST_SRC, WASI_LIBC])?);
        let has_libc = listed.iter().any(|(package, _)| package == WASI_LIBC);
        let of_rust =
            || listed.iter().filter(|(package, _)| package == RUST_SRC).map(|(_, version)| version);
        match of_rust().find(|version| suites::upstream(version) == release) {
            Some(version) if has_libc => return Ok((apt, version.clone())),
            _ => {
                let have: Vec<&str> = of_rust().map(|version| suites::upstream(version)).collect();
                looked_at.push(format!(
                    "{suite} ({})",
                    if have.is_empty() { "none".to_owned() } else { have.join(", ") }
                ));
            }
        }
    }
    if configured.is_empty() {
        return Err(DebianError::NoArchive);
    }
    Err(DebianError::NoSuite { release: release.to_owned(), looked_at })
}

/// apt with one suite of one archive, and its own folders.
struct Apt {
    dir: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(dir: &Path, archive: &str, suite: &str) -> io::Result<Self> {
        let [source, lists, cache] = ["sources.list", "lists", "cache"].map(|name| dir.join(name));
        let key = KEYRINGS.iter().find(|path| Path::new(path).is_file());
        let key = key.map_or_else(String::new, |path| format!("[signed-by={path}] "));
        fs::write(&source, format!("deb {key}{archive} {suite} main\n"))?;
        fs::create_dir_all(lists.join("partial"))?;
        fs::create_dir_all(cache.join("archives/partial"))?;
        let options = [
            format!("Dir::Etc::sourcelist={}", source.display()),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={}", lists.display()),
            "Dir::State::status=/dev/null".to_owned(),
            format!("Dir::Cache={}", cache.display()),
            "APT::Default-Release=".to_owned(),
            // The user that apt would switch to for downloads can't enter the
            // folder.
            "APT::Sandbox::User=root".to_owned(),
            // An unreachable address is an error, reported soon.
            "APT::Update::Error-Mode=any".to_owned(),
            "Acquire::Retries=1".to_owned(),
            "Acquire::http::Timeout=20".to_owned(),
            "Acquire::https::Timeout=20".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        Ok(Self { dir: dir.to_owned(), options: options.into() })
    }

    /// Runs one of apt's programs in the folder, where downloads are stored.
    fn run(&self, program: &str, args: &[&str]) -> Result<String, CommandError> {
        let mut command = Command::new(program);
        command.current_dir(&self.dir).env("LC_ALL", "C").arg("-q").args(args);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command::output(&mut command, LIMIT, &mut |_| ())
    }
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}
