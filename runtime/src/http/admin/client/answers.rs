//! What the answers contain, for the program's commands. The listener's side of
//! it is in `dashboard`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::text::Text;

/// The state of the host as a whole. Counters are totals since its start.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Overview {
    /// Milliseconds since the Unix epoch, like all moments.
    pub(crate) now: f64,
    pub(crate) version: Text,
    pub(crate) draining: bool,
    pub(crate) in_flight: u64,
    pub(crate) max_in_flight: u64,
    pub(crate) contexts: u64,
    pub(crate) connections: u64,
    pub(crate) cores: u64,
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    /// By the outcome's name.
    pub(crate) rejections: BTreeMap<Text, u64>,
    pub(crate) functions: Vec<FunctionOverview>,
}

/// The state of one function.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct FunctionOverview {
    pub(crate) name: Text,
    pub(crate) in_flight: u64,
    pub(crate) outcomes: BTreeMap<Text, u64>,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_memory: u64,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) calls: u64,
    pub(crate) fetches: u64,
    /// Run times since the previous event: the upper bound of each bucket in
    /// microseconds, and its count.
    pub(crate) latency: Vec<(Option<f64>, u64)>,
}

/// Changes of the invocations in flight.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Changes {
    pub(crate) now: f64,
    pub(crate) started: Vec<Invocation>,
    pub(crate) changed: Vec<Invocation>,
    pub(crate) ended: Vec<u64>,
    pub(crate) left_out: u64,
}

/// An invocation in flight.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Invocation {
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) function: Text,
    pub(crate) request_id: Option<Text>,
    pub(crate) started: f64,
    pub(crate) deadline: Option<f64>,
    pub(crate) done: Option<Text>,
    pub(crate) cause: Option<Text>,
}

/// Recorded requests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Requests {
    pub(crate) requests: Vec<Summary>,
}

/// A recorded request in a list.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Summary {
    /// Requests that were refused have no id.
    pub(crate) id: Option<u64>,
    pub(crate) function: Text,
    pub(crate) method: Option<Text>,
    pub(crate) path: Option<Text>,
    pub(crate) request_id: Option<Text>,
    pub(crate) trace_id: Option<Text>,
    pub(crate) principal: Option<Text>,
    pub(crate) started: f64,
    pub(crate) duration_us: f64,
    pub(crate) outcome: Text,
    pub(crate) cause: Option<Text>,
    pub(crate) status: Option<u16>,
    /// Whether it, or anything that it started, has failed.
    pub(crate) is_failed: bool,
}

/// A recorded request with everything that it started. Times are offsets from
/// its start, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Recording {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    pub(crate) spans: Vec<Span>,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) left_out: u64,
}

/// A step of a request.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Span {
    pub(crate) id: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) kind: Text,
    pub(crate) name: Text,
    pub(crate) start_us: f64,
    pub(crate) end_us: f64,
    pub(crate) queue_us: f64,
    pub(crate) checkout_us: f64,
    pub(crate) grace_us: f64,
    pub(crate) deadline_us: Option<f64>,
    pub(crate) done_us: Option<f64>,
    pub(crate) done: Option<Text>,
    pub(crate) cause: Option<Text>,
    pub(crate) outcome: Text,
    pub(crate) message: Option<Text>,
    pub(crate) status: Option<u16>,
    pub(crate) cpu_us: f64,
    pub(crate) peak_memory: u64,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
}

/// A line that a guest has logged.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct LogLine {
    pub(crate) at_us: f64,
    pub(crate) span: Option<i64>,
    pub(crate) level: Text,
    pub(crate) source: Text,
    pub(crate) text: Text,
}

/// The functions.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Functions {
    pub(crate) functions: Vec<FunctionDetails>,
}

/// A function with its limits and capabilities.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct FunctionDetails {
    pub(crate) name: Text,
    pub(crate) kind: Text,
    pub(crate) instances: Option<Text>,
    pub(crate) limits: BTreeMap<Text, Text>,
    pub(crate) calls: Vec<Text>,
    pub(crate) allow_hosts: Vec<Text>,
    pub(crate) mounts: Vec<Text>,
    pub(crate) environment: Vec<Text>,
    pub(crate) routes: Vec<Text>,
}

/// A part of a list of jobs, which are as the server sends them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct JobList {
    pub(crate) jobs: Vec<serde_json::Value>,
    /// Where the next part begins.
    pub(crate) next: Option<String>,
}

/// A job.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct JobDetails {
    pub(crate) id: Text,
    pub(crate) function: Text,
    pub(crate) state: Text,
    pub(crate) attempts: u32,
    pub(crate) interruptions: u32,
    pub(crate) submitted: Text,
    pub(crate) due: Option<Text>,
    pub(crate) deadline: Text,
    pub(crate) ended: Option<Text>,
    pub(crate) expires: Option<Text>,
    pub(crate) outcome: Option<Text>,
    pub(crate) cause: Option<Text>,
    pub(crate) message: Option<Text>,
    pub(crate) callback: Option<JobCallback>,
    pub(crate) principal: Option<Text>,
    pub(crate) request_id: Option<Text>,
    pub(crate) trace_id: Option<Text>,
    pub(crate) response: Option<JobResponse>,
}

/// The callback of a job.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct JobCallback {
    pub(crate) url: Text,
    pub(crate) state: Text,
}

/// The response of a job. Its body may have several lines.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct JobResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(Text, Text)>,
    pub(crate) body: String,
    pub(crate) is_base64: bool,
    pub(crate) is_body_dropped: bool,
}

/// A schedule.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct ScheduleDetails {
    pub(crate) function: Text,
    pub(crate) schedule: Text,
    pub(crate) zone: Text,
    pub(crate) next: Option<Text>,
    pub(crate) last: Option<Text>,
    pub(crate) skipped: u64,
}
