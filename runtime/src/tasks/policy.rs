//! When a group ends before its tasks have.

use std::fmt;

use super::task::TaskResult;

/// When a [`TaskGroup`](super::TaskGroup) ends its remaining tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Never: every task runs to its own end. The default.
    #[default]
    Collect,
    /// When a task has [failed](TaskResult::is_failure).
    FailFast,
    /// When this number of tasks has succeeded.
    First(usize),
}

/// Why a group ended its remaining tasks: the error within the
/// [`Cause::Custom`](crate::Cause::Custom) of their contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupEnd {
    /// A task failed, under [`Policy::FailFast`].
    Failed,
    /// Enough tasks have succeeded, under [`Policy::First`].
    Enough,
}

impl Policy {
    /// Whether the result of a task ends the group. `successes` counts it.
    pub(super) fn end(self, result: &TaskResult, successes: usize) -> Option<GroupEnd> {
        match self {
            Self::FailFast if result.is_failure() => Some(GroupEnd::Failed),
            Self::First(wanted) if successes >= wanted => Some(GroupEnd::Enough),
            _ => None,
        }
    }
}

impl fmt::Display for GroupEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "a task of the group failed",
            Self::Enough => "enough tasks of the group succeeded",
        })
    }
}

impl std::error::Error for GroupEnd {}
