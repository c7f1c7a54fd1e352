//! The directories that a function may read.

use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::table::Table;
use super::{ConfigError, Source};
use crate::mounts::Mounts;
use crate::schema::FilePath;

/// The directories, each with the path at which the function finds it.
#[derive(Debug, Default)]
pub(crate) struct MountTable(Vec<(Spanned<String>, PathBuf)>);

impl MountTable {
    pub(super) fn take(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        Ok(Self(table.units("mounts", &FilePath("DIR"))?))
    }

    /// The place of the first.
    pub(super) fn first(&self) -> Option<Range<usize>> {
        self.0.first().map(|(path, _)| path.span())
    }

    /// Opens the directories, which are relative to `folder`.
    pub(super) fn mounts(&self, source: &Source, folder: &Path) -> Result<Mounts, ConfigError> {
        let mut mounts = Mounts::default();
        for (path, host) in &self.0 {
            mounts.add(path.get_ref().clone(), folder.join(host));
            // All earlier ones could be opened, so an error is about this one.
            if let Err(error) = mounts.open() {
                let cause = error.source().map(|cause| format!(": {cause}"));
                let reason = format!("{error}{}", cause.unwrap_or_default());
                return Err(source.error(path.span(), reason));
            }
        }
        Ok(mounts)
    }
}
