//! Jobs as text.

use crate::cli::table::aligned;
use crate::escape::OneLine;
use crate::http::admin::client::answers::JobDetails;

/// A list of jobs, with minimal column widths.
pub(super) fn list(jobs: &[JobDetails]) -> String {
    let head = ["ID", "FUNCTION", "STATE", "ATTEMPTS", "SUBMITTED", "OUTCOME"];
    aligned([head.map(str::to_owned)].into_iter().chain(jobs.iter().map(row)))
}

fn row(job: &JobDetails) -> [String; 6] {
    [
        job.id.to_string(),
        job.function.to_string(),
        job.state.to_string(),
        job.attempts.to_string(),
        job.submitted.to_string(),
        job.outcome.as_deref().unwrap_or("-").to_owned(),
    ]
}

/// One job, a line for each of its parts, and below them its result.
pub(super) fn job(job: &JobDetails) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("{:<14}{value}\n", format!("{name}:")));
        }
    };
    let attempts = match job.interruptions {
        0 => job.attempts.to_string(),
        count => format!("{}, {count} of them interrupted", job.attempts),
    };
    line("id", Some(job.id.to_string()));
    line("function", Some(job.function.to_string()));
    line("state", Some(job.state.to_string()));
    line("attempts", Some(attempts));
    line("submitted", Some(job.submitted.to_string()));
    line("next attempt", job.due.as_deref().map(str::to_owned));
    line("deadline", Some(job.deadline.to_string()));
    line("ended", job.ended.as_deref().map(str::to_owned));
    line("kept until", job.expires.as_deref().map(str::to_owned));
    line("principal", job.principal.as_deref().map(str::to_owned));
    line("request", job.request_id.as_deref().map(str::to_owned));
    line("trace", job.trace_id.as_deref().map(str::to_owned));
    line("outcome", job.outcome.as_deref().map(str::to_owned));
    line("cause", job.cause.as_deref().map(str::to_owned));
    line("message", job.message.as_deref().map(str::to_owned));
    line("callback", job.callback.as_ref().map(|one| format!("{} ({})", one.url, one.state)));
    if let Some(response) = &job.response {
        line("status", Some(response.status.to_string()));
        for (name, value) in &response.headers {
            line(name, Some(OneLine(value).to_string()));
        }
        text.push('\n');
        let note = match (response.is_body_dropped, response.is_base64) {
            (true, _) => "(the store had no room for the body)\n",
            (_, true) => "(base64)\n",
            _ => "",
        };
        text.push_str(note);
        text.push_str(&response.body);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn details(state: &str) -> JobDetails {
        let id = "0".repeat(32);
        let job = json!({
            "id": id, "function": "report", "state": state, "attempts": 2, "failures": 1,
            "interruptions": 1, "submitted": "2026-11-29T00:00:00.000Z",
            "deadline": "2026-11-30T00:00:00.000Z", "outcome": "trap\u{1b}", "request_bytes": 1,
            "response_bytes": 2,
            "response": { "status": 500, "headers": [["a", "b"]], "body": "line\n", "is_base64": false, "is_body_dropped": false },
        });
        serde_json::from_value(job).expect("a job")
    }

    #[test]
    fn columns_are_aligned_and_escaped() {
        let text = list(&[details("failed"), details("running")]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("ID  "), "{text}");
        let column = lines[0].find("SUBMITTED").expect("it is there");
        assert!(lines[1..].iter().all(|line| line[column..].starts_with("2026-")), "{text}");
        assert!(lines[1].ends_with(r"trap\u{1b}"), "{text}");
    }

    #[test]
    fn a_job_is_shown_with_its_result() {
        let text = job(&details("failed"));
        for part in [
            "attempts:     2, 1 of them interrupted\n",
            "status:       500\na:            b\n\nline\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
