//! Schedules: functions that run at certain times.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hourglass::Runtime;
use hourglass::jobs::{
    JobQuery, JobState, JobStore as _, Jobs, Missed, Overlap, RedbStore, Schedule, ScheduleInfo,
    Schedules, StoreLimits, Timestamp,
};
use hourglass_tests::guests::{function, module};
use hourglass_tests::{LONG, host, lines, poll};

use crate::command::{fails, path};

/// A schedule that runs every second.
fn every_second(function: &str) -> Result<Schedule> {
    Ok(Schedule::new(function, "* * * * * *")?)
}

/// Waits until the only schedule is in a state.
async fn until(schedules: &Schedules, is: impl Fn(&ScheduleInfo) -> bool) -> ScheduleInfo {
    poll::until(|| {
        let one = schedules.list().remove(0);
        if is(&one) { Ok(one) } else { Err(format!("{one:?}")) }
    })
    .await
}

fn open(runtime: &Runtime, dir: &Path) -> Result<Jobs> {
    Ok(Jobs::builder(runtime).open(dir)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_a_job_with_its_time() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let runtime = host::runtime([function("schedule-job", "job")]);
    let jobs = open(&runtime, dir.path())?;
    // A run that is left out has no job.
    let schedule = every_second("schedule-job")?.overlap(Overlap::Queue);
    let schedules = Schedules::start(&runtime, Some(&jobs), [schedule]);
    let first = until(&schedules, |one| one.last_job.is_some()).await;
    let last = first.last.context("it has run")?;
    let later = until(&schedules, |one| one.last > Some(last)).await;
    assert!(later.next > later.last && later.last_job != first.last_job);
    let ended = jobs.wait(first.last_job.context("it is a job")?).await?.context("it is kept")?;
    assert_eq!(ended.job.state, JobState::Succeeded);
    let id = format!("schedule-schedule-job-{}", last.0);
    assert_eq!(ended.job.origin.request_id, Some(id));
    schedules.stop();
    jobs.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_left_out_while_the_one_before_is_under_way() -> Result<()> {
    // The name of the function is the way in which it gets stuck.
    let runtime = host::runtime([function("sleep", "stuck").timeout(LONG)]);
    let schedules = Schedules::start(&runtime, None, [every_second("sleep")?]);
    until(&schedules, |one| one.skipped >= 2).await;
    assert_eq!(runtime.in_flight(), 1);
    schedules.stop();
    assert_eq!(runtime.shutdown(Duration::ZERO).await, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_cancels_the_one_before_if_it_is_asked_to() -> Result<()> {
    let runtime = host::runtime([function("print", "stuck").timeout(LONG).grace(LONG)]);
    let schedule = every_second("print")?.overlap(Overlap::CancelPrevious);
    let schedules = Schedules::start(&runtime, None, [schedule]);
    let canceled = "cause: custom: the next run of its schedule begins";
    poll::until(|| match lines::count("print", canceled) {
        0 | 1 => Err("it is not canceled"),
        _ => Ok(()),
    })
    .await;
    assert_eq!(schedules.list()[0].skipped, 0);
    drop(schedules);
    host::in_flight(&runtime, 0).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_missed_is_made_up_for_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // An earlier process has run it two days ago.
    let before = Timestamp(Timestamp::now().0 - 2 * 24 * 3_600_000);
    let store = RedbStore::open(dir.path(), StoreLimits::default())?;
    for name in ["schedule-missed", "schedule-left-out"] {
        store.mark(format!("schedule {name}"), before).await?;
    }
    store.close().await?;

    let functions = ["schedule-missed", "schedule-left-out"];
    let runtime = host::runtime(functions.map(|name| function(name, "job")));
    let jobs = open(&runtime, dir.path())?;
    // Every hour, but not within the next minutes.
    let minute = (Timestamp::now().0 / 60_000 + 30) % 60;
    let [missed, left_out] =
        functions.map(|name| Schedule::new(name, &format!("{minute} * * * *")));
    let all = [missed?.missed(Missed::RunOnce), left_out?];
    let schedules = Schedules::start(&runtime, Some(&jobs), all);
    let run = until(&schedules, |one| one.last_job.is_some()).await;
    assert!(Timestamp::now().since(run.last.context("it has run")?) < Duration::from_secs(3_600));
    jobs.wait(run.last_job.context("it is a job")?).await?;
    poll::until(|| {
        let list = schedules.list();
        if list.iter().all(|one| one.next.is_some()) { Ok(()) } else { Err(list) }
    })
    .await;
    let all = jobs.list(JobQuery { limit: 9, ..JobQuery::default() }).await?.jobs;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(schedules.list()[1].last, Some(before));
    jobs.close().await?;
    Ok(())
}

#[test]
fn a_wrong_schedule_has_a_clear_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("hourglass.toml");
    for (keys, part) in [
        ("schedule = \"every day\"", "is no schedule"),
        ("schedule = \"* * * * *\"\nschedule_zone = \"Berlin\"", "no time zone `Berlin`"),
        ("schedule_jitter = \"1s\"", "no effect without `schedule`"),
        ("schedule = \"* * * * *\"\nschedule_overlap = \"wait\"", "skip, queue, cancel-previous"),
    ] {
        std::fs::write(&config, format!("[function.f]\nfile = {:?}\n{keys}\n", module("job")))?;
        let error = fails(&["serve", path(&config)])?;
        assert!(error.contains(part), "{keys}: {error}");
    }
    Ok(())
}
