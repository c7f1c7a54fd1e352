//! A function's access to other hosts.

use std::sync::Arc;

use crate::error::DeployError;
use crate::limits::Limits;
use crate::outbound::{Hosts, Outbound};
use crate::propagation::baggage;

/// The hosts that a function may capabilities, and the baggage that it sends to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Egress {
    pub(super) hosts: Arc<[Box<str>]>,
    pub(super) baggage: Arc<[Arc<str>]>,
}

impl Egress {
    /// The client for these hosts, if there are any.
    ///
    /// # Errors
    /// An entry is not a valid host, or a name is not valid in baggage.
    pub(super) fn outbound(&self, limits: &Limits) -> Result<Option<Arc<Outbound>>, DeployError> {
        let hosts = Hosts::new(&*self.hosts);
        let hosts = hosts.map_err(|error| DeployError::AllowHosts { reason: error.to_string() })?;
        if let Some(name) = self.baggage.iter().find(|name| !baggage::is_name(name)) {
            return Err(DeployError::Baggage { name: name.to_string() });
        }
        Ok(Outbound::new(hosts, self.baggage.clone(), limits))
    }
}
