//! The sums of groups of invocations. Their number is bounded, whatever the
//! ledger contains.

use std::collections::BTreeMap;

use super::time;
use crate::telemetry::ledger::record::Invocation;
use crate::telemetry::ledger::totals::Totals;

/// The most groups. Invocations of further ones are summed together.
const GROUPS: usize = 10_000;

/// What invocations are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Dimension {
    Function,
    Version,
    Principal,
    Outcome,
    Cause,
    Hour,
}

/// A value of each dimension; `None` if the invocation has none.
pub(super) type Key = Vec<Option<String>>;

/// The sums of invocations by their groups.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) by: Vec<Dimension>,
    pub(super) sums: BTreeMap<Key, Totals>,
    /// The sum of the groups beyond the most.
    pub(super) others: Totals,
    pub(super) total: Totals,
    most: usize,
}

impl Dimension {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Version => "version",
            Self::Principal => "principal",
            Self::Outcome => "outcome",
            Self::Cause => "cause",
            Self::Hour => "hour",
        }
    }

    fn of(self, invocation: &Invocation<'_>) -> Option<String> {
        match self {
            Self::Function => Some(invocation.function.to_owned()),
            Self::Version => invocation.version.map(str::to_owned),
            Self::Principal => invocation.principal.map(str::to_owned),
            Self::Outcome => Some(invocation.outcome.to_owned()),
            Self::Cause => invocation.cause.map(str::to_owned),
            Self::Hour => Some(time::shown(time::hour(invocation.ended))),
        }
    }
}

impl Groups {
    /// No invocations. A dimension that is given twice counts once.
    pub(super) fn new(by: &[Dimension]) -> Self {
        Self::with(by, GROUPS)
    }

    fn with(by: &[Dimension], most: usize) -> Self {
        let mut unique = Vec::new();
        for dimension in by {
            if !unique.contains(dimension) {
                unique.push(*dimension);
            }
        }
        let (others, total) = (Totals::default(), Totals::default());
        Self { by: unique, sums: BTreeMap::new(), others, total, most }
    }

    pub(super) fn add(&mut self, invocation: &Invocation<'_>) {
        let key: Key = self.by.iter().map(|dimension| dimension.of(invocation)).collect();
        let is_full = self.sums.len() >= self.most;
        let sum = match self.sums.get_mut(&key) {
            Some(sum) => sum,
            None if is_full => &mut self.others,
            None => self.sums.entry(key).or_default(),
        };
        invocation.add_to(sum);
        invocation.add_to(&mut self.total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::ledger::record::Amounts;

    fn invocation<'a>(function: &'a str, principal: Option<&'a str>) -> Invocation<'a> {
        Invocation {
            function,
            version: None,
            principal,
            outcome: "response",
            cause: None,
            ended: 3_600_000_001,
            amounts: Amounts { wall: 1, ..Amounts::default() },
        }
    }

    #[test]
    fn invocations_are_summed_by_all_their_values() {
        use Dimension::{Function, Hour, Principal};
        let mut groups = Groups::with(&[Function, Principal, Hour, Function], 10);
        for principal in [Some("ann"), None, Some("ann")] {
            groups.add(&invocation("f", principal));
        }
        let sums: Vec<_> = groups.sums.iter().map(|(key, sum)| (key, sum.invocations)).collect();
        let key = |principal: Option<&str>| {
            let hour = "1970-01-01T01:00:00Z".to_owned();
            vec![Some("f".to_owned()), principal.map(str::to_owned), Some(hour)]
        };
        assert_eq!(sums, [(&key(None), 1), (&key(Some("ann")), 2)]);
        assert_eq!((groups.total.invocations, groups.others.invocations), (3, 0));
    }

    #[test]
    fn the_number_of_groups_is_bounded() {
        let mut groups = Groups::with(&[Dimension::Function], 2);
        for function in ["a", "b", "c", "d", "a"] {
            groups.add(&invocation(function, None));
        }
        assert_eq!(groups.sums.len(), 2);
        assert_eq!((groups.total.invocations, groups.others.invocations), (5, 2));
    }
}
