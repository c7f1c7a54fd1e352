//! An invocation in flight, as JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::context::{Cause, Done};
use crate::runtime::listing::InvocationInfo;

/// One invocation in the list. Every key is always present; a missing value is
/// null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) id: u64,
    pub(crate) function: String,
    /// The invocation that called it. It may already have ended.
    pub(crate) parent: Option<u64>,
    pub(crate) request_id: Option<String>,
    pub(crate) age_ms: u64,
    /// Time until its deadline.
    pub(crate) remaining_ms: Option<u64>,
    /// How its context ended, during the grace period.
    pub(crate) done: Option<String>,
    /// Why its context ended.
    pub(crate) cause: Option<String>,
}

impl From<InvocationInfo> for Listed {
    fn from(info: InvocationInfo) -> Self {
        let (done, cause) = info.done.unzip();
        Self {
            id: info.id,
            function: info.function.to_string(),
            parent: info.parent,
            request_id: info.request_id,
            age_ms: milliseconds(info.age),
            remaining_ms: info.remaining.map(milliseconds),
            done: done.map(|done: Done| done.name().to_owned()),
            cause: cause.map(|cause: Cause| cause.name().to_owned()),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The result of canceling an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Canceled {
    /// The number of canceled invocations: this one and its descendants.
    pub(crate) canceled: usize,
}
