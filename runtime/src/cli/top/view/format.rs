//! Numbers for people, in at most seven columns.

use std::collections::VecDeque;

/// A duration in microseconds.
pub(super) fn micros(us: f64) -> String {
    match us {
        _ if us < 0.0 => "0µs".to_owned(),
        _ if us < 999.5 => format!("{us:.0}µs"),
        _ if us < 99_950.0 => format!("{:.1}ms", us / 1e3),
        _ if us < 999_500.0 => format!("{:.0}ms", us / 1e3),
        _ if us < 59.95e6 => format!("{:.1}s", us / 1e6),
        _ if us < 60e6 => "1m00s".to_owned(),
        _ if us < 3_600e6 => format!("{}m{:02}s", (us / 60e6) as u64, (us / 1e6) as u64 % 60),
        _ if us < 86_400e6 => {
            format!("{}h{:02}m", (us / 3_600e6) as u64, (us / 60e6) as u64 % 60)
        }
        _ => format!("{}d", (us / 86_400e6) as u64),
    }
}

/// A duration in milliseconds.
pub(super) fn millis(ms: f64) -> String {
    micros(ms * 1e3)
}

/// A time in the past, by the second.
pub(super) fn ago(ms: f64) -> String {
    match ms {
        _ if ms < 1e3 => "now".to_owned(),
        _ if ms < 60e3 => format!("{}s", (ms / 1e3) as u64),
        _ => millis(ms),
    }
}

/// A duration that may be missing.
pub(super) fn maybe_micros(us: Option<f64>) -> String {
    us.map_or_else(|| "-".to_owned(), micros)
}

/// A number of bytes.
pub(super) fn bytes(count: u64) -> String {
    scaled(count as f64, 1_024.0, ["B", "KiB", "MiB", "GiB", "TiB"])
}

/// A number of things.
pub(super) fn count(count: u64) -> String {
    scaled(count as f64, 1e3, ["", "k", "M", "G", "T"])
}

/// A number of things per second.
pub(super) fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(rate) if rate < 99.95 => format!("{rate:.1}"),
        Some(rate) => count(rate.round() as u64),
    }
}

/// A share of processor time: 100% is one core.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share * 1e2))
}

fn scaled(value: f64, base: f64, units: [&str; 5]) -> String {
    let (mut value, mut units) = (value, units.into_iter());
    let mut unit = units.next().unwrap_or_default();
    let is_whole = value < base;
    while value >= base - 0.5
        && let Some(next) = units.next()
    {
        (value, unit) = (value / base, next);
    }
    if is_whole || value >= 99.95 {
        format!("{value:.0}{unit}")
    } else {
        format!("{value:.1}{unit}")
    }
}

/// A bar, filled up to a share of its width.
pub(super) fn bar(share: f64, width: usize) -> String {
    let filled = ((share.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
    // What is not nothing is visible.
    let filled = if share > 0.0 { filled.max(1.min(width)) } else { filled };
    format!("{}{}", "█".repeat(filled), "░".repeat(width - filled))
}

/// The latest values as a line of this width, the newest at the right.
pub(super) fn sparkline(values: &VecDeque<u64>, width: usize) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let latest = values.range(values.len().saturating_sub(width)..);
    let most = latest.clone().copied().max().unwrap_or(0).max(1);
    let level = |value: &u64| match value {
        0 => ' ',
        value => LEVELS[((value * 8 / most).max(1) as usize - 1).min(7)],
    };
    let line: String = latest.map(level).collect();
    format!("{line:>width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (us, text) in [
            (-1.0, "0µs"),
            (0.4, "0µs"),
            (999.6, "1.0ms"),
            (12_340.0, "12.3ms"),
            (99_960.0, "100ms"),
            (999_600.0, "1.0s"),
            (59.96e6, "1m00s"),
            (61e6, "1m01s"),
            (3_599.9e6, "59m59s"),
            (3_660e6, "1h01m"),
            (864e9, "10d"),
        ] {
            assert_eq!(micros(us), text);
        }
    }

    #[test]
    fn ages_are_whole_seconds() {
        assert_eq!([-5.0, 999.0, 59_999.0, 61e3].map(ago), ["now", "now", "59s", "1m01s"]);
    }

    #[test]
    fn counts_are_short() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1.0k"), (99_960, "100k"), (999_600, "1.0M")]
        {
            assert_eq!(count(number), text);
        }
        assert_eq!(bytes(1_023), "1023B");
        assert_eq!(bytes(117 << 20), "117MiB");
        assert_eq!(bytes(3 << 29), "1.5GiB");
        assert_eq!(bytes(u64::MAX), "16777216TiB");
        assert_eq!(rate(Some(0.0)), "0");
        assert_eq!((rate(Some(3.12)), rate(Some(2_345.0))), ("3.1".into(), "2.3k".into()));
        assert_eq!((percent(Some(1.504)), percent(None)), ("150%".into(), "-".into()));
    }

    #[test]
    fn a_bar_shows_a_share() {
        assert_eq!(bar(0.5, 4), "██░░");
        assert_eq!(bar(0.001, 4), "█░░░");
        assert_eq!(bar(0.0, 2), "░░");
        assert_eq!(bar(7.0, 2), "██");
        assert_eq!(bar(f64::NAN, 2), "░░");
        assert_eq!(bar(1.0, 0), "");
    }

    #[test]
    fn a_sparkline_ends_with_the_newest() {
        let values = [9, 0, 1, 4, 8].into();
        assert_eq!(sparkline(&values, 4), " ▁▄█");
        assert_eq!(sparkline(&values, 7), "  █ ▁▃▇");
        assert_eq!(sparkline(&VecDeque::new(), 3), "   ");
    }
}
