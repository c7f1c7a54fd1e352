//! Task groups: thousands of invocations under one context, a bounded number at
//! once.
//!
//! # Layout
//! - [`TaskGroup`]: what its user holds; [`Results`]: the results as a stream.
//! - [`Task`], [`TaskResult`]: an invocation to run, and how it ended.
//! - [`Policy`]: when the rest of a group is ended; [`Retry`]: when a failed
//!   attempt is repeated.
//! - `queue`: the state behind the lock; `worker`: runs the tasks.
//!
//! # Mechanism
//! A worker is a tokio task that takes the next task of the queue when its last
//! one has ended, and ends when the queue is empty. A submission starts another worker
//! while fewer run than may. So no worker waits, and a loaded group wakes its
//! submitters once for half a queue and its readers once for all results that
//! are there.

mod group;
mod policy;
mod queue;
mod results;
pub(crate) mod retry;
mod task;
mod worker;

pub use self::group::{GroupClosed, TaskGroup};
pub use self::policy::{GroupEnd, Policy};
pub use self::results::Results;
pub use self::retry::{Retry, UnknownFailure};
pub use self::task::{ATTEMPT, Task, TaskId, TaskResult};
