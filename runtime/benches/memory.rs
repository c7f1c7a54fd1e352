//! The cost of invocations in flight: guests that wait at the same time, compared
//! with no guests.
//!
//! Resident memory is measured for the process, so the figure includes the
//! guest's stack, its pages and everything the host holds for it. The pages of a
//! module's data are shared by its instances until they are written, and count for
//! each of them; the share says what the machine holds. Processor time is that of
//! the whole life of a guest: its start, its wait and its cancellation.

mod common;

use std::time::{Duration, Instant};

use hourglass::{Context, Function, Runtime, Task, TaskGroup};
use rustix::time::{ClockId, clock_gettime};

/// The numbers of guests. The machine's default limits allow the last one.
const GUESTS: [usize; 3] = [100, 1_000, 10_000];
const ROUNDS: usize = 5;

/// The cost of one guest.
#[derive(Default)]
struct Costs {
    resident: Vec<f64>,
    share: Vec<f64>,
    processor: Vec<f64>,
    canceled: Vec<f64>,
}

fn main() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio");
    let stuck = Function::from_bytes("stuck", common::guest("stuck")).expect("a function");
    let stuck = stuck.timeout(Duration::from_secs(600)).grace(Duration::from_secs(60));
    println!("waiting guests, medians of {ROUNDS} rounds");
    for guests in GUESTS {
        let mut costs = Costs::default();
        for _ in 0..ROUNDS {
            // Each has its own runtime, so that no slot was used before.
            let runtime = Runtime::builder().max_in_flight(guests).build().expect("a runtime");
            runtime.deploy(stuck.clone()).expect("it deploys");
            tokio.block_on(round(&runtime, guests, &mut costs));
        }
        let Costs { resident, share, processor, canceled } = costs;
        println!(
            "  {guests:>6} guests: {:5.1} KiB resident each ({:.1} KiB with shared pages divided), \
             {:6.1} us of processor time each, all gone {:6.1} ms after their cancellation",
            common::median(resident) / 1_024.0,
            common::median(share) / 1_024.0,
            common::median(processor),
            common::median(canceled),
        );
    }
}

/// Starts guests, waits until all of them wait, and cancels them.
async fn round(runtime: &Runtime, guests: usize, costs: &mut Costs) {
    let each = |bytes: u64, before: u64| bytes.saturating_sub(before) as f64 / guests as f64;
    let (resident, share) = (common::resident(), shared());
    let processor = processor_time();
    let group = TaskGroup::new(&Context::background()).parallelism(guests);
    for _ in 0..guests {
        let request = http::Request::get("/sleep").body("").expect("a request");
        group.submit(Task::new(runtime, "stuck", request)).await.expect("the group is open");
    }
    while runtime.in_flight() < guests {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // An admitted guest does not wait yet; a guest that runs gets there quickly.
    tokio::time::sleep(Duration::from_millis(500)).await;
    costs.resident.push(each(common::resident(), resident));
    costs.share.push(each(shared(), share));
    let canceled = Instant::now();
    group.cancel_with(hourglass::Cause::Operator);
    while runtime.in_flight() > 0 {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    costs.canceled.push(canceled.elapsed().as_secs_f64() * 1e3);
    assert_eq!(group.wait().await.len(), guests);
    let used = processor_time().saturating_sub(processor);
    costs.processor.push(used.as_secs_f64() * 1e6 / guests as f64);
}

/// The processor time of this process.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// This process's share of resident memory in bytes: pages that several mappings
/// share are divided among them.
fn shared() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    1_024 * kilobytes.unwrap_or(0)
}
