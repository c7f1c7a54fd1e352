//! The settings of a queue, and its construction.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::handle::{Jobs, Shared};
use super::policy::JobPolicy;
use super::redb::{RedbStore, StoreLimits};
use super::store::{JobStore, StoreError};
use crate::limits::mib;
use crate::runtime::Runtime;

/// The memory for the requests of attempts under way, and for those of
/// submissions that are not stored yet.
pub(super) const MEMORY: u64 = mib(256);

/// Settings of [`Jobs`].
#[derive(Clone, Debug)]
pub struct JobsBuilder {
    pub(super) runtime: Runtime,
    pub(super) policies: HashMap<String, JobPolicy>,
    pub(super) default_policy: JobPolicy,
    pub(super) in_flight: Option<usize>,
    limits: StoreLimits,
}

impl JobsBuilder {
    pub(super) fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            policies: HashMap::new(),
            default_policy: JobPolicy::default(),
            in_flight: None,
            limits: StoreLimits::default(),
        }
    }

    /// Sets the policy for the jobs of a function. It applies to stored jobs too,
    /// except that a job keeps the deadline of its submission. Default: that of
    /// [`default_policy`](Self::default_policy).
    #[must_use]
    pub fn policy(mut self, function: impl Into<String>, policy: JobPolicy) -> Self {
        self.policies.insert(function.into(), policy);
        self
    }

    /// Sets the policy for the jobs of all other functions. Default:
    /// [`JobPolicy::default`].
    #[must_use]
    pub fn default_policy(mut self, policy: JobPolicy) -> Self {
        self.default_policy = policy;
        self
    }

    /// The most attempts and callbacks at once, at least 1. Default: half of the
    /// invocations that the runtime allows in flight. The requests of attempts
    /// under way take at most 256 MiB, or one request.
    #[must_use]
    pub fn in_flight(mut self, most: usize) -> Self {
        self.in_flight = Some(most);
        self
    }

    /// The limits of the store that [`open`](Self::open) opens.
    #[must_use]
    pub fn limits(mut self, limits: StoreLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Opens a [`RedbStore`] in a directory, and starts the queue. Jobs of an
    /// earlier process continue. It blocks while the store is opened, and must be
    /// called on a tokio runtime with time enabled, which then runs the attempts.
    ///
    /// # Errors
    /// Those of [`RedbStore::open`].
    pub fn open(self, dir: impl Into<PathBuf>) -> Result<Jobs, StoreError> {
        let store = RedbStore::open(dir, self.limits)?;
        Ok(self.store(Arc::new(store)))
    }

    /// Starts the queue with another store. It must be called on a tokio runtime
    /// with time enabled, which then runs the attempts.
    pub fn store(self, store: Arc<dyn JobStore>) -> Jobs {
        Jobs::start(Shared::new(self, store))
    }
}
