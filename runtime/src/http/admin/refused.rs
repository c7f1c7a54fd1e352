//! Changes of functions that are refused, and the statuses of their responses.

use std::error::Error;

use http::StatusCode;

use super::claims::Occupied;
use crate::body::Response;
use crate::error::{DeployError, VersionError};
use crate::http::problem;

/// A request that is not fulfilled: the status of the response, and the reason.
#[derive(Debug)]
pub(super) struct Refused(pub(super) StatusCode, pub(super) String);

impl Refused {
    /// A module or a configuration that can't be used.
    pub(super) fn unusable(error: &(dyn Error + 'static)) -> Self {
        let status = match error.downcast_ref() {
            Some(DeployError::SameVersion { .. }) => StatusCode::CONFLICT,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self(status, with_causes(error))
    }

    pub(super) fn response(&self) -> Response {
        problem::refusal(self.0, &self.1)
    }
}

impl From<Occupied> for Refused {
    fn from(occupied: Occupied) -> Self {
        let (status, reason) = match occupied {
            Occupied::Function => {
                (StatusCode::CONFLICT, "the function is being deployed; try again afterwards")
            }
            Occupied::Host => (
                StatusCode::SERVICE_UNAVAILABLE,
                "other functions are being deployed; try again afterwards",
            ),
        };
        Self(status, reason.to_owned())
    }
}

impl From<VersionError> for Refused {
    fn from(error: VersionError) -> Self {
        let status = match error {
            VersionError::NoEarlier { .. } | VersionError::NoCanary { .. } => StatusCode::CONFLICT,
            VersionError::NotDeployed { .. } | VersionError::NotRetained { .. } => {
                StatusCode::NOT_FOUND
            }
        };
        Self(status, error.to_string())
    }
}

/// An error with its causes, except those that it quotes.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let shown = cause.to_string();
        if !text.contains(&shown) {
            text = format!("{text}: {shown}");
        }
        next = cause.source();
    }
    text
}
