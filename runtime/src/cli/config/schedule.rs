//! The keys of a function about its schedule.

use std::time::Duration;

use toml::Spanned;

use super::Source;
use super::table::Table;
use crate::jobs::{Missed, Overlap, Schedule};
use crate::schema::{Choice, Period};

const OVERLAP: Choice<Overlap> = Choice(&[
    ("skip", Overlap::Skip),
    ("queue", Overlap::Queue),
    ("cancel-previous", Overlap::CancelPrevious),
]);

const MISSED: Choice<Missed> = Choice(&[("skip", Missed::Skip), ("run-once", Missed::RunOnce)]);

/// When a function runs.
#[derive(Clone, Debug)]
pub(super) struct ScheduleEntry {
    pub(super) pattern: Spanned<String>,
    zone: Option<Spanned<String>>,
    overlap: Overlap,
    missed: Missed,
    jitter: Duration,
}

impl ScheduleEntry {
    pub(super) fn take(table: &mut Table<'_>) -> anyhow::Result<Option<Self>> {
        let pattern = table.take::<Spanned<String>>("schedule", "\"*/5 * * * *\"")?;
        let zone = table.take::<Spanned<String>>("schedule_zone", "\"Europe/Berlin\"")?;
        let overlap = table.unit("schedule_overlap", &OVERLAP)?;
        let missed = table.unit("schedule_missed", &MISSED)?;
        let jitter = table.unit("schedule_jitter", &Period::ANY)?;
        let Some(pattern) = pattern else {
            let others = [
                zone.as_ref().map(Spanned::span),
                overlap.as_ref().map(Spanned::span),
                missed.as_ref().map(Spanned::span),
                jitter.as_ref().map(Spanned::span),
            ];
            return match others.into_iter().flatten().next() {
                Some(span) => {
                    let reason = "this has no effect without `schedule`; write one, such as \
                                  `schedule = \"*/5 * * * *\"`, or remove it";
                    Err(table.source.error(span, reason))
                }
                None => Ok(None),
            };
        };
        Ok(Some(Self {
            pattern,
            zone,
            overlap: overlap.map_or_else(Overlap::default, Spanned::into_inner),
            missed: missed.map_or_else(Missed::default, Spanned::into_inner),
            jitter: jitter.map_or(Duration::ZERO, Spanned::into_inner),
        }))
    }

    /// The schedule of a function.
    pub(super) fn schedule(&self, source: &Source, function: &str) -> anyhow::Result<Schedule> {
        let Self { pattern, zone, overlap, missed, jitter } = self;
        let schedule = Schedule::new(function, pattern.get_ref())
            .map_err(|error| source.error(pattern.span(), error))?
            .overlap(*overlap)
            .missed(*missed)
            .jitter(*jitter);
        match zone {
            Some(zone) => {
                let zoned = schedule.zone(zone.get_ref());
                zoned.map_err(|error| source.error(zone.span(), error))
            }
            None => Ok(schedule),
        }
    }
}
