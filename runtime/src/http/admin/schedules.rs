//! Schedules, for operators.

use serde::Serialize;

use super::endpoints::json;
use crate::body::Response;
use crate::jobs::{ScheduleInfo, Schedules};

/// A schedule. Every member is always present; a missing value is null.
#[derive(Serialize)]
struct Document {
    function: String,
    schedule: String,
    zone: String,
    next: Option<String>,
    last: Option<String>,
    last_job: Option<String>,
    skipped: u64,
}

/// `GET /schedules`: lists the schedules.
pub(super) fn list(schedules: Option<&Schedules>) -> Response {
    let listed = schedules.map(Schedules::list).unwrap_or_default();
    json(&listed.into_iter().map(Document::from).collect::<Vec<_>>())
}

impl From<ScheduleInfo> for Document {
    fn from(info: ScheduleInfo) -> Self {
        Self {
            function: info.function,
            schedule: info.pattern,
            zone: info.zone,
            next: info.next.map(|time| time.to_string()),
            last: info.last.map(|time| time.to_string()),
            last_job: info.last_job.map(|id| id.to_string()),
            skipped: info.skipped,
        }
    }
}
