//! The metrics of a runtime as text, in the format that the client accepts:
//! OpenMetrics 1.0, or the older Prometheus format 0.0.4.
//!
//! All labels have values that the operator or this library chose: names of
//! functions, outcomes, causes. So the size of the text does not depend on what
//! clients and guests send.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use http::header::ACCEPT;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::exemplars;
use super::process::Process;
use crate::function::IdleStats;
#[cfg(feature = "jobs")]
use crate::jobs::{JobCounts, JobState};
use crate::runtime::{Capacity, Runtime};
use crate::telemetry::{FunctionMetrics, Histogram, Metrics, OutcomeMetrics};

/// The media types of both formats.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics at one moment.
#[derive(Debug)]
struct Exposition {
    metrics: Metrics,
    in_flight: usize,
    capacity: Capacity,
    draining: bool,
    idle: IdleStats,
    process: Option<Process>,
    /// The jobs of the queue, if there is one.
    #[cfg(feature = "jobs")]
    jobs: Option<JobCounts>,
}

/// The metrics of a runtime and of this process: the media type, and the text.
pub(super) fn exposition(
    runtime: &Runtime,
    headers: &HeaderMap,
    #[cfg(feature = "jobs")] jobs: Option<JobCounts>,
) -> (&'static str, String) {
    let (mut registry, metrics) = (Registry::default(), runtime.metrics());
    registry.register_collector(Box::new(Exposition {
        metrics: metrics.clone(),
        in_flight: runtime.in_flight(),
        capacity: runtime.capacity(),
        draining: runtime.is_draining(),
        idle: runtime.idle_stats(),
        process: Process::read(),
        #[cfg(feature = "jobs")]
        jobs,
    }));
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let open = accepted.any(|value| value.contains("application/openmetrics-text"));
    let mut body = String::new();
    // Writing to a string does not fail.
    let (kind, _) = match open {
        true => (OPEN_METRICS, text::encode(&mut body, &registry)),
        false => (PROMETHEUS, prometheus_text::encode(&mut body, &registry)),
    };
    if open {
        body = exemplars::add(body, &metrics.functions);
    }
    (kind, body)
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        self.outcomes(encoder)?;
        self.functions(encoder)?;
        self.host(encoder)?;
        self.usage(encoder)?;
        self.export(encoder)?;
        #[cfg(feature = "jobs")]
        self.jobs(encoder)?;
        self.process.as_ref().map_or(Ok(()), |process| process.encode(encoder))
    }
}

impl Exposition {
    /// What is counted for each function and outcome.
    fn outcomes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut count = |name, help, value: fn(&OutcomeMetrics) -> u64| {
            self.each(encoder, (name, help, MetricType::Counter), |outcome, mut metric| {
                metric.encode_counter::<NoLabelSet, _, f64>(&value(outcome), None)
            })
        };
        count("hourglass_invocations", "Invocations that have ended", |of| of.invocations)?;
        count("hourglass_request_body_bytes", "Bytes of request bodies", |of| of.request_bytes)?;
        count("hourglass_response_body_bytes", "Bytes of response bodies", |of| of.response_bytes)?;
        count("hourglass_calls", "Calls of other functions", |of| of.calls)?;
        count("hourglass_fetches", "Requests to other hosts", |of| of.fetches)?;
        let cpu = ("hourglass_invocation_cpu_seconds", "Processor time", MetricType::Counter);
        self.each(encoder, cpu, |outcome, mut metric| {
            metric.encode_counter::<NoLabelSet, _, f64>(&outcome.cpu.as_secs_f64(), None)
        })?;
        let peak = (
            "hourglass_invocation_peak_memory_bytes",
            "Largest linear memory of an invocation so far",
            MetricType::Gauge,
        );
        self.each(encoder, peak, |outcome, mut metric| {
            metric.encode_gauge(&gauge(outcome.peak_memory))
        })?;
        self.durations(encoder)
    }

    /// The phases of invocations.
    fn durations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(
            "hourglass_invocation_duration_seconds",
            "Time in each phase of an invocation: waiting for admission, getting an instance, \
             running, and the grace period",
            None,
            MetricType::Histogram,
        )?;
        for function in &self.metrics.functions {
            for of in &function.outcomes {
                let phases = [
                    ("queue", of.queue),
                    ("checkout", of.checkout),
                    ("run", of.run),
                    ("grace", of.grace),
                ];
                for (phase, histogram) in &phases {
                    let [name, outcome] = labels(function, of);
                    let labels = [name, outcome, ("phase", *phase)];
                    encode_histogram(family.encode_family(&labels)?, histogram)?;
                }
            }
        }
        Ok(())
    }

    /// What is counted for each function.
    fn functions(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(
            "hourglass_cancellations",
            "Invocations whose context was done before they responded",
            None,
            MetricType::Counter,
        )?;
        for function in &self.metrics.functions {
            for (cause, value) in &function.cancellations {
                count(&mut family, &[("function", &*function.function), ("cause", cause)], *value)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "hourglass_instances",
            "Instances that invocations got: reset in place, new because none was idle, or new \
             because the function's are never reset",
            None,
            MetricType::Counter,
        )?;
        for function in &self.metrics.functions {
            let counts = function.instances;
            for (source, value) in [
                ("reset", counts.reset),
                ("new-none-idle", counts.none_idle),
                ("new-each-time", counts.new_each_time),
            ] {
                count(
                    &mut family,
                    &[("function", &*function.function), ("source", source)],
                    value,
                )?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "hourglass_interruption_lateness_seconds",
            "Time from the end of the grace period until the guest was interrupted",
            None,
            MetricType::Histogram,
        )?;
        for function in &self.metrics.functions {
            let labels = [("function", &*function.function)];
            encode_histogram(family.encode_family(&labels)?, &function.lateness)?;
        }
        Ok(())
    }

    /// The host's state.
    fn host(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Self { metrics, capacity, idle, .. } = self;
        let mut family = encoder.encode_descriptor(
            "hourglass_rejections",
            "Invocations that were refused before they ran",
            None,
            MetricType::Counter,
        )?;
        for (reason, value) in &metrics.rejections {
            count(&mut family, &[("reason", *reason)], *value)?;
        }
        let mut family = encoder.encode_descriptor(
            "hourglass_http_responses",
            "Responses to clients, by the class of their status",
            None,
            MetricType::Counter,
        )?;
        for (class, value) in &metrics.http_responses {
            count(&mut family, &[("class", *class)], *value)?;
        }
        for (name, help, value) in [
            ("hourglass_connections", "Connections of clients", metrics.connections),
            ("hourglass_compilations", "Modules that were compiled", metrics.compilations),
            ("hourglass_code_cache_hits", "Modules that the code cache had", metrics.cache_hits),
        ] {
            let kind = MetricType::Counter;
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            metric.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        seconds(
            encoder,
            "hourglass_compile_seconds",
            "Time to compile modules",
            metrics.compile_time,
        )?;
        for (name, help, value) in [
            ("hourglass_in_flight", "Invocations in flight", self.in_flight as u64),
            (
                "hourglass_max_in_flight",
                "Limit on invocations in flight",
                capacity.in_flight as u64,
            ),
            ("hourglass_contexts", "Live contexts", metrics.contexts as u64),
            ("hourglass_draining", "1 while the host shuts down", self.draining.into()),
            ("hourglass_open_connections", "Open connections of clients", metrics.open_connections),
            ("hourglass_idle_instances", "Instances kept for later", idle.instances as u64),
            ("hourglass_idle_memory_bytes", "Memory of those instances", idle.memory),
        ] {
            gauge_family(encoder, name, help, value)?;
        }
        Ok(())
    }

    /// The queue of jobs, if there is one.
    #[cfg(feature = "jobs")]
    fn jobs(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family =
            encoder.encode_descriptor("hourglass_jobs", "Stored jobs", None, MetricType::Gauge)?;
        for (state, jobs) in
            JobState::ALL.iter().zip(self.jobs.iter().flat_map(|jobs| jobs.by_state))
        {
            family.encode_family(&[("state", state.name())])?.encode_gauge(&gauge(jobs))?;
        }
        let bytes = self.jobs.as_ref().map_or(0, |jobs| jobs.bytes);
        gauge_family(encoder, "hourglass_jobs_bytes", "Bytes of stored jobs", bytes)
    }

    /// The usage ledger, if there is one.
    fn usage(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let usage = self.metrics.usage.as_ref();
        let (name, help) = ("hourglass_usage_records", "Records that the usage ledger accepted");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        if let Some(usage) = usage {
            metric.encode_counter::<NoLabelSet, _, f64>(&usage.records, None)?;
        }
        let mut family = encoder.encode_descriptor(
            "hourglass_usage_lost",
            "Invocations without a record in the usage ledger",
            None,
            MetricType::Counter,
        )?;
        for (reason, value) in usage.iter().flat_map(|usage| &usage.lost) {
            count(&mut family, &[("reason", *reason)], *value)?;
        }
        let (name, help) = ("hourglass_usage_file_bytes", "Size of the usage ledger");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        usage.map_or(Ok(()), |usage| metric.encode_gauge(&gauge(usage.file_bytes)))
    }

    /// The exporter of traces and logs, if there is one.
    fn export(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let export = self.metrics.export.as_ref();
        let spans = export.map(|export| export.spans);
        let logs = export.map(|export| export.logs);
        for (name, help, counts) in [
            ("hourglass_export_spans", "Spans by what became of their export", spans),
            ("hourglass_export_logs", "Log records by what became of their export", logs),
        ] {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (result, value) in counts.into_iter().flatten() {
                count(&mut family, &[("result", result)], value)?;
            }
        }
        Ok(())
    }

    /// Writes a family with a value for each function and outcome.
    fn each(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, kind): (&str, &str, MetricType),
        encode: impl Fn(&OutcomeMetrics, MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        for function in &self.metrics.functions {
            for outcome in &function.outcomes {
                encode(outcome, family.encode_family(&labels(function, outcome))?)?;
            }
        }
        Ok(())
    }
}

fn labels<'a>(
    function: &'a FunctionMetrics,
    outcome: &'a OutcomeMetrics,
) -> [(&'a str, &'a str); 2] {
    [("function", &*function.function), ("outcome", outcome.outcome)]
}

fn count(family: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
    family.encode_family(labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
}

pub(super) fn seconds(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: Duration,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    metric.encode_counter::<NoLabelSet, _, f64>(&value.as_secs_f64(), None)
}

pub(super) fn gauge_family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&gauge(value))
}

/// A gauge is signed.
fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn encode_histogram(mut metric: MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let bounds =
        Histogram::bounds().map(|bound| bound.map_or(f64::INFINITY, |at| at.as_secs_f64()));
    let buckets: Vec<_> = bounds.zip(histogram.buckets).collect();
    let sum = histogram.sum.as_secs_f64();
    metric.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None)
}
