//! The folders that a function may read, as the file names them.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::units::FilePath;
use super::{ConfigError, Source};
use crate::mounts::Mounts;

/// The folders, by the paths at which the function finds them.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct MountTable(BTreeMap<Spanned<String>, FilePath>);

impl MountTable {
    /// Where the first is.
    pub(super) fn first(&self) -> Option<Range<usize>> {
        self.0.keys().map(Spanned::span).next()
    }

    /// The folders, which are relative to `folder`, and there.
    pub(super) fn mounts(&self, source: &Source, folder: &Path) -> Result<Mounts, ConfigError> {
        let mut mounts = Mounts::default();
        for (path, host) in &self.0 {
            mounts.add(path.get_ref().clone(), folder.join(&host.0));
            // All that came before could be opened.
            if let Err(error) = mounts.open() {
                let cause = error.source().map(|cause| format!(": {cause}"));
                let reason = format!("{error}{}", cause.unwrap_or_default());
                return Err(source.error(path.span(), reason));
            }
        }
        Ok(mounts)
    }
}
