//! The report on standard error: a line that changes on a terminal, else lines
//! now and then, or lines of JSON.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use humantime::format_duration;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::super::output as terminal;
use super::tally::Tally;

/// The time between two lines.
const EVERY: Duration = Duration::from_secs(10);

/// The time between two lines of JSON.
const EVERY_JSON: Duration = Duration::from_secs(1);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Terminal,
    Lines,
    Json,
}

impl Style {
    pub(super) fn choose(json: bool) -> Self {
        match (json, io::stderr().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Terminal,
            (false, false) => Self::Lines,
        }
    }
}

/// The state to show.
pub(super) struct State {
    pub(super) tally: Tally,
    /// The bytes of the input that were read.
    pub(super) read: u64,
    pub(super) in_flight: usize,
}

pub(super) struct Progress {
    style: Style,
    bar: ProgressBar,
    started: Instant,
    shown: Instant,
    /// The length of the input, if it is known.
    length: Option<u64>,
}

/// A line of JSON.
#[derive(Serialize)]
struct Report<'a> {
    event: &'a str,
    done: u64,
    succeeded: u64,
    failed: u64,
    failures: &'a std::collections::BTreeMap<String, u64>,
    retried: u64,
    in_flight: usize,
    seconds: f64,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Seconds until the end, if the length of the input is known.
    eta_seconds: Option<f64>,
}

impl Progress {
    pub(super) fn new(style: Style, length: Option<u64>) -> Self {
        let bar = match style {
            Style::Terminal => ProgressBar::new_spinner(),
            Style::Lines | Style::Json => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self { style, bar, started: now, shown: now, length }
    }

    /// Shows the state, if it is time to.
    pub(super) fn update(&mut self, state: &State) {
        let every = match self.style {
            Style::Terminal => Duration::ZERO,
            Style::Lines => EVERY,
            Style::Json => EVERY_JSON,
        };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let eta = self.eta(state);
        match self.style {
            Style::Terminal => {
                self.bar.set_message(self.line(&state.tally, state.in_flight, eta));
                self.bar.tick();
            }
            Style::Lines => terminal::message(&self.line(&state.tally, state.in_flight, eta)),
            Style::Json => self.json("progress", &state.tally, state.in_flight, eta),
        }
    }

    /// Shows a text that stays.
    pub(super) fn note(&self, text: &str) {
        self.bar.suspend(|| terminal::message(text));
    }

    /// Shows the sum.
    pub(super) fn finish(&self, tally: &Tally) {
        self.bar.finish_and_clear();
        if self.style == Style::Json {
            return self.json("end", tally, 0, None);
        }
        let jobs = if tally.done() == 1 { "job" } else { "jobs" };
        let time = format_duration(rounded(self.started.elapsed()));
        let mut text = format!(
            "{} {jobs} in {time} ({}/s): {} succeeded, {} failed",
            tally.done(),
            self.rate(tally) as u64,
            tally.succeeded,
            failures(tally)
        );
        if tally.retried > 0 {
            let _ = write!(text, ", {} had more than one attempt", tally.retried);
        }
        let _ = write!(text, "; {}", quantiles(tally));
        terminal::message(&text);
    }

    fn line(&self, tally: &Tally, in_flight: usize, eta: Option<Duration>) -> String {
        let mut text = format!(
            "{} done, {} failed, {in_flight} in flight, {}/s, {}",
            tally.done(),
            failures(tally),
            self.rate(tally) as u64,
            quantiles(tally)
        );
        if let Some(eta) = eta {
            let _ = write!(text, ", {} left", format_duration(Duration::from_secs(eta.as_secs())));
        }
        text
    }

    fn json(&self, event: &str, tally: &Tally, in_flight: usize, eta: Option<Duration>) {
        let millis = |share| tally.quantile(share).as_micros() as f64 / 1_000.0;
        let report = Report {
            event,
            done: tally.done(),
            succeeded: tally.succeeded,
            failed: tally.failed(),
            failures: &tally.failures,
            retried: tally.retried,
            in_flight,
            seconds: self.started.elapsed().as_secs_f64(),
            per_second: self.rate(tally),
            p50_ms: millis(0.5),
            p99_ms: millis(0.99),
            eta_seconds: eta.map(|eta| eta.as_secs_f64()),
        };
        // Serializing texts and numbers can't fail.
        terminal::message(&serde_json::to_string(&report).unwrap_or_default());
    }

    fn rate(&self, tally: &Tally) -> f64 {
        tally.done() as f64 / self.started.elapsed().as_secs_f64().max(1e-3)
    }

    /// The time until the end, by the share of the input that was read.
    fn eta(&self, state: &State) -> Option<Duration> {
        let share = state.read as f64 / self.length? as f64;
        let left = self.started.elapsed().as_secs_f64() * (1.0 - share) / share;
        Duration::try_from_secs_f64(left).ok().filter(|_| state.tally.done() > 0)
    }
}

/// The number of failures, with those of each outcome.
fn failures(tally: &Tally) -> String {
    let mut text = tally.failed().to_string();
    let each = tally.failures.iter().map(|(name, count)| format!("{name} {count}"));
    let each = each.collect::<Vec<_>>().join(", ");
    if !each.is_empty() {
        let _ = write!(text, " ({each})");
    }
    text
}

fn quantiles(tally: &Tally) -> String {
    let [p50, p99] = [0.5, 0.99].map(|share| format_duration(rounded(tally.quantile(share))));
    format!("p50 {p50}, p99 {p99}")
}

/// A time as people read it: to the millisecond, or to the microsecond if it is
/// short.
fn rounded(time: Duration) -> Duration {
    match time.as_millis() {
        0..10 => Duration::from_micros(time.as_micros() as u64),
        10..60_000 => Duration::from_millis(time.as_millis() as u64),
        _ => Duration::from_secs(time.as_secs()),
    }
}
