//! Shared by the unit tests.

use super::id::JobId;
use super::job::{Job, JobOrigin, JobState};
use super::time::Timestamp;

/// A running job with this number of attempts.
pub(super) fn job(attempts: u32) -> Job {
    let submitted = Timestamp(1_000);
    Job {
        id: JobId::new(submitted).expect("random numbers"),
        function: "f".to_owned(),
        principal: None,
        state: JobState::Running,
        attempts,
        failures: 0,
        interruptions: 0,
        submitted,
        due: submitted,
        deadline: Timestamp(u64::MAX),
        ended: None,
        expires: None,
        failure: None,
        callback: None,
        origin: JobOrigin::default(),
        key: None,
        request_bytes: 0,
        response_bytes: 0,
    }
}
