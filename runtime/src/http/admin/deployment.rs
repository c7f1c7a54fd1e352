//! Deployed versions, as JSON.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::runtime::VersionInfo;

/// The result of a deploy, or of a change of what serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deployment {
    pub(crate) function: String,
    /// The version that was deployed, or that serves now.
    pub(crate) version: String,
    /// The percentage of the invocations that it gets.
    pub(crate) weight: u8,
    /// How it gets its instances.
    pub(crate) instances: String,
}

/// The versions of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VersionList {
    pub(crate) function: String,
    pub(crate) versions: Vec<ListedVersion>,
}

/// One version in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListedVersion {
    pub(crate) version: String,
    /// When it was deployed, in RFC 3339.
    pub(crate) deployed: String,
    /// `serving`, `canary`, or `retained` for a rollback.
    pub(crate) state: String,
    /// The percentage of the invocations that it gets.
    pub(crate) weight: u8,
}

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reloaded {
    /// A line for each change, and for each setting that needs a restart.
    pub(crate) changes: Vec<String>,
}

impl ListedVersion {
    /// The one at this place of [`Runtime::versions`](crate::Runtime::versions).
    pub(super) fn new((place, info): (usize, VersionInfo)) -> Self {
        let state = match place {
            _ if info.is_canary => "canary",
            0 => "serving",
            _ => "retained",
        };
        Self {
            version: info.version.to_string(),
            deployed: rfc3339(info.deployed),
            state: state.to_owned(),
            weight: info.percent,
        }
    }
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
