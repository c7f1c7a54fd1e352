//! What follows from the result of an attempt.

use std::time::Duration;

use super::job::{Job, JobFailure, JobState};
use super::message::JobResponse;
use super::policy::JobPolicy;
use super::store::Settlement;
use super::time::Timestamp;
use crate::body::Response;
use crate::context::Cause;
use crate::error::InvokeError;
use crate::limits::fixed;
use crate::outcome::Outcome;

/// The longest delay after which an attempt that found the host full is repeated.
const FULL: Duration = Duration::from_secs(1);

/// The outcome of a response that the policy takes for a failure.
const SERVER_ERROR: &str = "server-error";

/// What follows from the result of an attempt. The body of a response is empty
/// in `result`; `response` has it.
pub(super) fn after(
    job: &Job,
    policy: &JobPolicy,
    result: &Result<Response, InvokeError>,
    response: Option<JobResponse>,
    now: Timestamp,
) -> Settlement {
    match result.as_ref().map_err(InvokeError::outcome) {
        // No guest has run.
        Err(Outcome::Busy) => {
            let due = now.after(FULL.mul_f64(fastrand::f64()));
            return Settlement::Release { due, has_run: false };
        }
        Err(Outcome::Draining) => return Settlement::Release { due: now, has_run: false },
        Err(Outcome::Done(_, Cause::Shutdown)) => {
            return Settlement::Release { due: now, has_run: true };
        }
        _ => {}
    }
    let is_failure = result.is_err() || policy.retry.is_retried(result);
    let failure = is_failure.then(|| failure(result));
    // Its number among the attempts that count.
    if let (Some(delay), Some(failure)) = (policy.retry.next(job.failures + 1, result), &failure) {
        let due = now.after(delay);
        if due < job.deadline {
            return Settlement::Retry { due, failure: failure.clone() };
        }
    }
    end(policy, failure, response, now, true)
}

/// The permanent end of a job, with its last failure if it has failed.
pub(super) fn end(
    policy: &JobPolicy,
    failure: Option<JobFailure>,
    response: Option<JobResponse>,
    now: Timestamp,
    has_run: bool,
) -> Settlement {
    let (state, keep) = match failure {
        Some(_) => (JobState::Failed, policy.keep_failed),
        None => (JobState::Succeeded, policy.keep),
    };
    Settlement::End { state, failure, response, expires: now.after(keep), has_run }
}

/// The end of a job before an attempt, if it has no more attempts or no more
/// time.
pub(super) fn before(job: &Job, policy: &JobPolicy, now: Timestamp) -> Option<Settlement> {
    let failure = if job.deadline <= now {
        JobFailure {
            outcome: "deadline-exceeded".to_owned(),
            cause: Some(Cause::DeadlineExceeded.name().to_owned()),
            message: "the deadline of the job has passed".to_owned(),
        }
    } else if job.failures > policy.retry.retries() {
        // Its process died in its last attempt.
        job.failure.clone()?
    } else {
        return None;
    };
    Some(end(policy, Some(failure), None, now, false))
}

fn failure(result: &Result<Response, InvokeError>) -> JobFailure {
    match result {
        Ok(response) => JobFailure {
            outcome: SERVER_ERROR.to_owned(),
            cause: None,
            message: format!("the function answered with the status {}", response.status()),
        },
        Err(error) => JobFailure {
            outcome: error.outcome().name().to_owned(),
            cause: error.outcome().cause().map(|cause| cause.name().to_owned()),
            message: fixed::display(error.outcome(), fixed::MESSAGE),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Done;
    use crate::jobs::tests::job;
    use crate::tasks::Retry;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn policy() -> JobPolicy {
        let retry = Retry::times(2).backoff(Duration::from_secs(1), Duration::from_secs(60));
        JobPolicy::default().retry(retry).keep(Duration::from_secs(5))
    }

    fn decide(job: &Job, outcome: Outcome) -> Settlement {
        let result = Err(InvokeError::refused("f".into(), outcome));
        after(job, &policy(), &result, None, NOW)
    }

    fn answered(status: u16) -> Settlement {
        let mut response = Response::default();
        *response.status_mut() = status.try_into().expect("a status");
        let kept = JobResponse::new(&response, "body".into());
        after(&job(1), &policy(), &Ok(response), Some(kept), NOW)
    }

    #[test]
    fn a_response_ends_a_job_unless_it_is_a_server_error() {
        let Settlement::End { state, failure, response, expires, .. } = answered(404) else {
            panic!("it ends");
        };
        assert_eq!((state, failure, expires), (JobState::Succeeded, None, Timestamp(1_005_000)));
        assert_eq!(response.expect("it is kept").body, "body");
        let Settlement::Retry { failure, .. } = answered(503) else { panic!("it is retried") };
        assert_eq!(failure.outcome, "server-error");
    }

    #[test]
    fn a_host_that_is_full_or_stops_is_no_failure() {
        let shutdown = Outcome::Done(Done::Canceled, Cause::Shutdown);
        for (outcome, ran) in [(Outcome::Busy, false), (Outcome::Draining, false), (shutdown, true)]
        {
            let Settlement::Release { has_run, .. } = decide(&job(1), outcome) else {
                panic!("it is released");
            };
            assert_eq!(has_run, ran);
        }
    }

    #[test]
    fn the_last_failure_is_permanent() {
        let mut job = job(1);
        for failures in 0..4 {
            job.failures = failures;
            match decide(&job, Outcome::Exit(1)) {
                Settlement::Retry { due, .. } => {
                    let longest = NOW.after(Duration::from_secs(1 << failures));
                    assert!(failures < 2 && due >= NOW && due <= longest, "{failures} {due:?}");
                }
                Settlement::End { state, failure, .. } => {
                    assert!(failures >= 2 && state == JobState::Failed, "{failures}");
                    assert_eq!(failure.expect("it has a reason").outcome, "exit");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_fails_again_is_not_retried() {
        let not_found = decide(&job(1), Outcome::NotFound);
        assert!(matches!(not_found, Settlement::End { state: JobState::Failed, .. }));
    }

    #[test]
    fn no_attempt_begins_after_the_deadline() {
        let mut job = job(1);
        job.deadline = NOW;
        let late = decide(&job, Outcome::Exit(1));
        assert!(matches!(late, Settlement::End { state: JobState::Failed, .. }), "{late:?}");
        let late = before(&job, &policy(), NOW).expect("it is too late");
        assert!(matches!(late, Settlement::End { has_run: false, .. }));
        job.deadline = NOW.after(Duration::from_secs(1));
        assert!(before(&job, &policy(), NOW).is_none());
    }
}
