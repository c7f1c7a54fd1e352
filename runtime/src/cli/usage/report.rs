//! The result of `hourglass usage`, as JSON has it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use super::groups::Groups;
use super::time::shown;
use crate::telemetry::ledger::account::{Account, RunAccount, RunState};
use crate::telemetry::ledger::block::Ended;
use crate::telemetry::ledger::totals::{Losses, Totals};

/// A GB-second in bytes times nanoseconds: 10^9 bytes for one second.
const GB_SECOND: f64 = 1e18;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The names of the dimensions, in the order of the command line.
    pub(super) by: Vec<&'static str>,
    pub(super) groups: Vec<Group>,
    /// The sum of the groups that are not listed because there are too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) others: Option<Sums>,
    pub(super) total: Sums,
    /// The runs of hosts in the period, the latest last.
    pub(super) runs: Vec<Run>,
    /// The records that were lost in runs before those.
    pub(super) lost_earlier: BTreeMap<&'static str, u64>,
    /// The sum of the records that were removed because of their age or the
    /// ledger's size.
    pub(super) removed: Option<Removed>,
    /// The sum of the records that were written and can't be read.
    pub(super) damaged: Option<Damaged>,
}

#[derive(Debug, Serialize)]
pub(super) struct Group {
    /// A value for each dimension, by its name.
    pub(super) key: BTreeMap<&'static str, Option<String>>,
    #[serde(flatten)]
    pub(super) sums: Sums,
}

#[derive(Debug, Serialize)]
pub(super) struct Sums {
    pub(super) invocations: u64,
    pub(super) failures: u64,
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) gb_seconds: f64,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) calls: u64,
    pub(super) fetches: u64,
}

/// A run: `invocations` is the sum of `written`, `unwritten` and the lost ones.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) run: u64,
    pub(super) started: Option<String>,
    pub(super) ended: Option<String>,
    pub(super) state: &'static str,
    pub(super) invocations: u64,
    pub(super) written: u64,
    /// The written ones that are in the files.
    pub(super) present: u64,
    /// Those that a live host has in memory.
    pub(super) unwritten: u64,
    pub(super) lost: BTreeMap<&'static str, u64>,
    /// Whether these numbers are exact, and not the least possible.
    pub(super) exact: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Removed {
    /// The begin of what is left.
    pub(super) before: String,
    #[serde(flatten)]
    pub(super) sums: Sums,
}

#[derive(Debug, Serialize)]
pub(super) struct Damaged {
    /// The damaged bytes in the files.
    pub(super) bytes: u64,
    #[serde(flatten)]
    pub(super) sums: Sums,
}

impl Report {
    pub(super) fn new(account: &Account, groups: Groups, period: &Range<i64>) -> Self {
        let by: Vec<_> = groups.by.iter().map(|dimension| dimension.name()).collect();
        let group = |(key, sums): (Vec<_>, Totals)| Group {
            key: by.iter().copied().zip(key).collect(),
            sums: (&sums).into(),
        };
        let removed = account.removed.filter(|carry| carry.totals != Totals::default());
        let is_damaged = account.damaged_bytes > 0 || account.damaged != Totals::default();
        Self {
            groups: groups.sums.into_iter().map(group).collect(),
            others: (groups.others.invocations > 0).then(|| (&groups.others).into()),
            total: (&groups.total).into(),
            runs: account.runs.iter().filter(|run| overlaps(run, period)).map(Run::new).collect(),
            lost_earlier: lost(&account.earlier),
            removed: removed
                .map(|carry| Removed { before: shown(carry.at), sums: (&carry.totals).into() }),
            damaged: is_damaged
                .then(|| Damaged { bytes: account.damaged_bytes, sums: (&account.damaged).into() }),
            by,
        }
    }
}

/// Whether a run may have invocations that ended in a period.
fn overlaps(run: &RunAccount, period: &Range<i64>) -> bool {
    run.started.is_none_or(|started| started < period.end)
        && run.ended.is_none_or(|ended| ended >= period.start)
}

fn lost(losses: &Losses) -> BTreeMap<&'static str, u64> {
    losses.by_reason().into_iter().collect()
}

impl Run {
    fn new(run: &RunAccount) -> Self {
        let RunAccount { started, ended, state, written, present, losses, unwritten, .. } = *run;
        Self {
            run: run.run,
            started: started.map(shown),
            ended: ended.map(shown),
            state: match state {
                RunState::Live => "live",
                RunState::Ended(Ended::Complete) => "complete",
                RunState::Ended(Ended::Killed) => "killed",
                RunState::Ended(Ended::Uncertain) => "uncertain",
            },
            invocations: written.saturating_add(unwritten).saturating_add(losses.sum()),
            written,
            present,
            unwritten,
            lost: lost(&losses),
            exact: state != RunState::Ended(Ended::Uncertain),
        }
    }
}

impl From<&Totals> for Sums {
    fn from(totals: &Totals) -> Self {
        Self {
            invocations: totals.invocations,
            failures: totals.failures,
            wall_seconds: Duration::as_secs_f64(&totals.wall),
            cpu_seconds: Duration::as_secs_f64(&totals.cpu),
            gb_seconds: totals.byte_nanos as f64 / GB_SECOND,
            request_bytes: totals.request_bytes,
            response_bytes: totals.response_bytes,
            calls: totals.calls,
            fetches: totals.fetches,
        }
    }
}
