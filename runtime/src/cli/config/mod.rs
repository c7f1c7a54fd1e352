//! `hourglass.toml` as it is read: every key, typed, with its place in the
//! file. What it means is worked out in [`resolve`].
//!
//! ```toml
//! listen = "127.0.0.1:8080"
//! drain = "10s"
//! max_in_flight = 1000
//! max_depth = 16
//! call_share = 0.5
//! idle_memory = "256MiB"
//! compile_timeout = "1m"
//! compile_memory = "2GiB"
//! max_functions = 100000
//! baggage = ["tenant"]
//! principal_header = "x-authenticated-user"
//! admin = "127.0.0.1:9090"
//! admin_token_file = "token"
//! tls_cert = "chain.pem"
//! tls_key = "key.pem"
//! head_timeout = "30s"
//! body_idle = "30s"
//! body_rate = "1KiB"
//! response_memory = "512MiB"
//! header_bytes = "64KiB"
//! header_count = 100
//!
//! [function.resize]
//! url = "http://images.internal:8080/resize"
//! timeout = "5s"
//! baggage = ["tenant"]
//!
//! [function.thumbnail]
//! file = "thumbnail.wasm"
//! timeout = "2s"
//! grace = "100ms"
//! memory = "64MiB"
//! request_body = "10MiB"
//! response_body = "1GiB"
//! instances = "reset"
//! calls = ["watermark", "ocr"]
//! max_calls = 1000
//! detach = "0s"
//! mounts = { "/fonts" = "fonts" }
//! routes = ["/images/{id}", { path = "/scans/{id}", baggage = ["tenant"] }]
//!
//! [function.watermark]
//! file = "watermark.wasm"
//! public = false
//!
//! [function.thumbnail.env]
//! QUALITY = "80"
//!
//! [function.thumbnail.secrets]
//! API_KEY = { env = "THUMBNAIL_API_KEY" }
//! PASSWORD = { file = "password" }
//! ```
//!
//! Every key may be left out. A function with a `url` is on another host, to be
//! called from this one, and its `baggage` is what goes along. The outer `baggage` is for paths that no route
//! matches. An error names the file, the line and what is allowed there.

mod effect;
pub(crate) mod heads;
mod mount;
mod private;
pub(crate) mod remote;
pub(crate) mod resolve;
mod route;
mod settings;
#[cfg(test)]
mod tests;
pub(crate) mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use self::heads::{HeaderBytes, HeaderCount};
use self::mount::MountTable;
use self::route::RouteEntry;
use self::settings::{Secrets, Settings};
use self::units::{Address, FilePath, Period, Share, Size};
use super::options::Origin;
use crate::escape::OneLine;

/// The name that the file has where nobody names one.
pub(crate) const FILE_NAME: &str = "hourglass.toml";

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{} can't be read", OneLine(path.display()))]
    Read { path: PathBuf, source: io::Error },
    #[error("{}:{line}:{column}: {}{text}", OneLine(path.display()), OneLine(reason))]
    Line { path: PathBuf, line: usize, column: usize, reason: String, text: String },
}

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    listen: Option<Address>,
    drain: Option<Period>,
    #[serde(default, deserialize_with = "units::file::count")]
    max_in_flight: Option<u32>,
    #[serde(default, deserialize_with = "units::file::number")]
    max_depth: Option<u32>,
    call_share: Option<Share>,
    idle_memory: Option<Size>,
    /// Only to say that it is ignored.
    cache: Option<Spanned<PathBuf>>,
    #[serde(default, deserialize_with = "units::file::timeout")]
    compile_timeout: Option<Period>,
    #[serde(default, deserialize_with = "units::file::bound")]
    compile_memory: Option<Size>,
    #[serde(default, deserialize_with = "units::file::count")]
    max_functions: Option<u32>,
    baggage: Option<Spanned<Vec<String>>>,
    principal_header: Option<Spanned<String>>,
    admin: Option<Address>,
    admin_token_file: Option<Spanned<FilePath>>,
    tls_cert: Option<FilePath>,
    tls_key: Option<FilePath>,
    #[serde(default, deserialize_with = "units::file::timeout")]
    head_timeout: Option<Period>,
    #[serde(default, deserialize_with = "units::file::timeout")]
    body_idle: Option<Period>,
    body_rate: Option<Size>,
    #[serde(default, deserialize_with = "units::file::bound")]
    response_memory: Option<Size>,
    header_bytes: Option<HeaderBytes>,
    header_count: Option<HeaderCount>,
    #[serde(default)]
    function: BTreeMap<Spanned<String>, FunctionTable>,
}

/// One `[function.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionTable {
    file: Option<Spanned<FilePath>>,
    url: Option<Spanned<String>>,
    baggage: Option<Spanned<Vec<String>>>,
    #[serde(default, deserialize_with = "units::file::timeout")]
    timeout: Option<Period>,
    grace: Option<Period>,
    #[serde(default, deserialize_with = "units::file::memory")]
    memory: Option<Size>,
    request_body: Option<Size>,
    #[serde(default, deserialize_with = "units::file::bound")]
    response_body: Option<Size>,
    instances: Option<Origin>,
    #[serde(default)]
    calls: Vec<Spanned<String>>,
    #[serde(default, deserialize_with = "units::file::number")]
    max_calls: Option<u32>,
    #[serde(default)]
    allow_hosts: Vec<Spanned<String>>,
    #[serde(default, deserialize_with = "units::file::number")]
    max_fetches: Option<u32>,
    #[serde(default, deserialize_with = "units::file::count")]
    fetches_at_once: Option<u32>,
    #[serde(default, deserialize_with = "units::file::bound")]
    fetch_body: Option<Size>,
    detach: Option<Period>,
    public: Option<Spanned<bool>>,
    #[serde(default)]
    routes: Vec<Spanned<RouteEntry>>,
    #[serde(default)]
    env: Settings,
    #[serde(default)]
    secrets: Secrets,
    #[serde(default)]
    mounts: MountTable,
}

/// The file's text, for errors that point into it. It may hold a secret, so
/// neither `Debug` nor an error shows a value of it.
#[derive(Clone, Default)]
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Source {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), text })
    }

    fn parse(&self) -> Result<File, ConfigError> {
        toml::from_str(&self.text)
            .map_err(|error| self.error(error.span().unwrap_or_default(), error.message()))
    }

    /// An error about what stands at `span`, which is in bytes.
    fn error(&self, span: Range<usize>, reason: impl ToString) -> ConfigError {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let (line, column) =
            (before.matches('\n').count() + 1, before.get(start..).unwrap_or_default());
        ConfigError::Line {
            path: self.path.clone(),
            line,
            column: column.chars().count() + 1,
            reason: reason.to_string(),
            text: self.shown(line).map(|text| format!("\n  {line} | {text}")).unwrap_or_default(),
        }
    }

    /// A line without its value, which may be a secret that is written where it
    /// does not belong; `None` where it can't be told which part is the value.
    fn shown(&self, line: usize) -> Option<String> {
        let mut lines = self.text.lines();
        let before: Vec<_> = lines.by_ref().take(line - 1).collect();
        let in_string = |quotes: &str| {
            before.iter().map(|line| line.matches(quotes).count()).sum::<usize>() % 2 == 1
        };
        if in_string("\"\"\"") || in_string("\'\'\'") {
            return None;
        }
        let text = lines.next()?.trim_end();
        let is_key = |char: char| char.is_alphanumeric() || "-_. \t\"[]/".contains(char);
        match text.split_once('=') {
            Some((key, _)) => key.chars().all(is_key).then(|| format!("{} = ...", key.trim_end())),
            None if text.starts_with('[') && text.chars().all(is_key) => Some(text.to_owned()),
            None => None,
        }
    }
}
