//! The columns of the table of functions.

use super::model::load::FunctionLoad;

/// The shares of invocations whose run times are shown.
pub(super) const SHARES: [f64; 3] = [0.5, 0.95, 0.99];

/// A column by which the functions are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FunctionColumn {
    Name,
    Rate,
    Live,
    P50,
    P95,
    P99,
    Failed,
    Cpu,
    Memory,
}

impl FunctionColumn {
    pub(super) const ALL: [Self; 9] = [
        Self::Name,
        Self::Rate,
        Self::Live,
        Self::P50,
        Self::P95,
        Self::P99,
        Self::Failed,
        Self::Cpu,
        Self::Memory,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Name => "FUNCTION",
            Self::Rate => "RATE/s",
            Self::Live => "LIVE",
            Self::P50 => "P50",
            Self::P95 => "P95",
            Self::P99 => "P99",
            Self::Failed => "FAILED",
            Self::Cpu => "CPU",
            Self::Memory => "MEMORY",
        }
    }

    fn value(self, function: &FunctionLoad) -> f64 {
        let quantile = |index: usize| {
            let quantile = function.activity.quantiles(SHARES).get(index).copied();
            quantile.flatten().unwrap_or(-1.0)
        };
        match self {
            Self::Name => 0.0,
            Self::Rate => function.activity.rate.unwrap_or(0.0),
            Self::Live => function.overview.in_flight as f64,
            Self::P50 => quantile(0),
            Self::P95 => quantile(1),
            Self::P99 => quantile(2),
            Self::Failed => function.failures() as f64,
            Self::Cpu => function.cpu.unwrap_or(0.0),
            Self::Memory => function.overview.peak_memory as f64,
        }
    }
}

/// The functions by a column, largest first, and by name.
pub(super) fn sorted(
    functions: Vec<&FunctionLoad>,
    (column, is_reversed): (FunctionColumn, bool),
) -> Vec<&FunctionLoad> {
    let mut keyed: Vec<_> = functions.into_iter().map(|one| (column.value(one), one)).collect();
    // The sort is stable, and they come by name.
    let compare = |one: f64, other: f64| match is_reversed {
        true => one.total_cmp(&other),
        false => other.total_cmp(&one),
    };
    keyed.sort_by(|(one, _), (other, _)| compare(*one, *other));
    if is_reversed && column == FunctionColumn::Name {
        keyed.reverse();
    }
    keyed.into_iter().map(|(_, function)| function).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::admin::client::answers::FunctionOverview;

    fn names(order: (FunctionColumn, bool)) -> String {
        let function = |name: &str, in_flight, peak_memory| FunctionLoad {
            overview: FunctionOverview {
                name: name.into(),
                in_flight,
                peak_memory,
                ..FunctionOverview::default()
            },
            ..FunctionLoad::default()
        };
        let functions = [function("a", 1, 9), function("b", 7, 9), function("c", 3, 5)];
        let sorted = sorted(functions.iter().collect(), order).into_iter();
        sorted.map(|one| one.overview.name.to_string()).collect()
    }

    #[test]
    fn the_largest_is_first_and_equal_ones_are_by_name() {
        assert_eq!(names((FunctionColumn::Live, false)), "bca");
        assert_eq!(names((FunctionColumn::Live, true)), "acb");
        assert_eq!(names((FunctionColumn::Memory, false)), "abc");
        assert_eq!(names((FunctionColumn::Name, false)), "abc");
        assert_eq!(names((FunctionColumn::Name, true)), "cba");
    }
}
