//! The result of `hourglass usage` as text: a table, and below it what is
//! missing.

use super::report::{Report, Run, Sums};
use crate::escape::OneLine;

/// The most characters of a name in the table.
const WIDEST: usize = 60;

/// The columns after those of the dimensions. They are aligned to the right.
const COLUMNS: [&str; 7] = ["INVOCATIONS", "FAILURES", "WALL", "CPU", "GB-SECONDS", "IN", "OUT"];

/// The most runs with losses that are listed.
const RUNS: usize = 10;

pub(super) fn table(report: &Report) -> String {
    let head = report.by.iter().map(|name| name.to_uppercase());
    let mut rows = vec![head.chain(COLUMNS.map(str::to_owned)).collect::<Vec<_>>()];
    for group in &report.groups {
        let names = report.by.iter().map(|name| match group.key.get(name) {
            Some(Some(value)) if value.is_empty() => "(unnamed)".to_owned(),
            Some(Some(value)) => cell(value),
            _ => "-".to_owned(),
        });
        rows.push(row(names.collect(), &group.sums));
    }
    let labeled = |label: &str, sums| {
        let mut names = vec![String::new(); report.by.len()];
        if let Some(first) = names.first_mut() {
            *first = label.to_owned();
        }
        row(names, sums)
    };
    rows.extend(report.others.as_ref().map(|others| labeled("(others)", others)));
    rows.push(labeled("(total)", &report.total));
    let mut text = aligned(&rows, report.by.len());
    for line in notes(report) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A name without control characters, shortened.
fn cell(value: &str) -> String {
    let shown = OneLine(value).to_string();
    if shown.chars().count() <= WIDEST {
        return shown;
    }
    shown.chars().take(WIDEST - 1).chain(['…']).collect()
}

fn row(mut names: Vec<String>, sums: &Sums) -> Vec<String> {
    names.extend([
        sums.invocations.to_string(),
        sums.failures.to_string(),
        seconds(sums.wall_seconds),
        seconds(sums.cpu_seconds),
        format!("{:.3}", sums.gb_seconds),
        size(sums.request_bytes),
        size(sums.response_bytes),
    ]);
    names
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1}ms", seconds * 1e3) } else { format!("{seconds:.1}s") }
}

fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => format!("{:.1}{unit}", bytes as f64 / (1_u64 << shift) as f64),
        None => bytes.to_string(),
    }
}

/// Rows with minimal widths: `names` columns to the left, the others to the
/// right.
fn aligned(rows: &[Vec<String>], names: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            line.push_str(&match column < names {
                true => format!("{cell:width$}  "),
                false => format!("{cell:>width$}  "),
            });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What the table lacks.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    let with_losses = |run: &&Run| run.lost.values().any(|count| *count > 0) || !run.exact;
    let lacking: Vec<_> = report.runs.iter().rev().filter(with_losses).collect();
    notes.extend(lacking.iter().take(RUNS).map(|run| losses(run)));
    if lacking.len() > RUNS {
        notes.push(format!("lost too: records of {} more runs; see --json", lacking.len() - RUNS));
    }
    let earlier: u64 = report.lost_earlier.values().sum();
    if earlier > 0 {
        notes.push(format!("lost: {earlier} records of earlier runs"));
    }
    for run in report.runs.iter().filter(|run| run.unwritten > 0) {
        notes.push(format!("not written yet: {} records of run {}", run.unwritten, run.run));
    }
    if let Some(removed) = &report.removed {
        let (count, before) = (removed.sums.invocations, &removed.before);
        notes.push(format!("removed: {count} records from before {before}"));
    }
    if let Some(damaged) = &report.damaged {
        let (count, bytes) = (damaged.sums.invocations, damaged.bytes);
        notes.push(format!("damaged: {count} records can't be read, in {bytes} bytes"));
    }
    notes
}

fn losses(run: &Run) -> String {
    let reasons: Vec<_> = run
        .lost
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    let sum: u64 = run.lost.values().sum();
    let least = if run.exact { "" } else { "at least " };
    let reasons = if reasons.is_empty() { "unknown".to_owned() } else { reasons.join(", ") };
    let ended = run.ended.as_deref().map(|at| format!(", which ended before {at}"));
    let ended = ended.unwrap_or_default();
    format!("lost: {least}{sum} records of run {}{ended} ({reasons})", run.run)
}

#[cfg(test)]
mod tests;
