//! Exemplars in an exposition of OpenMetrics. The library that writes it takes
//! none for histograms that it does not count itself, so they are added to its
//! lines.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use crate::telemetry::{Exemplar, FunctionMetrics, Histogram};

/// The begin and the end of the labels of a bucket that can have one.
const BEGIN: &str = "hourglass_invocation_duration_seconds_bucket{le=\"";
const END: &str = "\",phase=\"run\"} ";

/// Exemplars by function, outcome, and the bound of their bucket.
type Exemplars<'a> = HashMap<(&'a str, &'a str, String), &'a Exemplar>;

/// Adds exemplars to the buckets that have one.
pub(super) fn add(text: String, functions: &[FunctionMetrics]) -> String {
    let exemplars = by_bucket(functions);
    if exemplars.is_empty() {
        return text;
    }
    let mut all = String::with_capacity(text.len() + exemplars.len() * 96);
    for line in text.lines() {
        all.push_str(line);
        if let Some(exemplar) = bucket(line).and_then(|bucket| exemplars.get(&bucket)) {
            let at = exemplar.at.duration_since(UNIX_EPOCH).unwrap_or_default();
            // Writing to a string does not fail.
            let _ = write!(
                all,
                " # {{trace_id=\"{}\"}} {} {:.3}",
                exemplar.trace,
                exemplar.duration.as_secs_f64(),
                at.as_secs_f64()
            );
        }
        all.push('\n');
    }
    all
}

fn by_bucket(functions: &[FunctionMetrics]) -> Exemplars<'_> {
    let mut all = HashMap::new();
    for function in functions {
        for outcome in &function.outcomes {
            for exemplar in &outcome.exemplars {
                let fits = |bound: &Option<_>| bound.is_none_or(|bound| exemplar.duration <= bound);
                let bound = Histogram::bounds().find(fits).flatten();
                let bound = bound.map_or("+Inf".to_owned(), |at| at.as_secs_f64().to_string());
                all.insert((&*function.function, outcome.outcome, bound), exemplar);
            }
        }
    }
    all
}

/// The function, the outcome and the bound of a line.
fn bucket(line: &str) -> Option<(&str, &str, String)> {
    let (labels, _) = line.strip_prefix(BEGIN)?.split_once(END)?;
    let (bound, labels) = labels.split_once("\",function=\"")?;
    let (function, outcome) = labels.split_once("\",outcome=\"")?;
    Some((function, outcome, bound.to_owned()))
}
