//! Outbound HTTP: a function's access to the network.
//!
//! Every function has its own client. Its operator decides which hosts it may
//! reach; what it starts ends with the context it was started under.
//!
//! Calls of functions on other hosts use a client of the same kind. The
//! [front](crate::http) needs nothing else from this module.
//!
//! # Layout
//! - [`Outbound`]: a function's client and its limits.
//! - [`request`]: the request that a function makes, and the next one after a
//!   redirect.
//! - [`fetch`]: one fetch in flight.
//! - [`upload`]: its request's body; [`connection`]: its connection.
//! - `client`: the HTTP client and its limits.
//! - [`hosts`]: the hosts it may reach; [`address`]: which addresses are
//!   public.
//! - [`connector`]: makes connections, only to those hosts; [`resolver`]:
//!   resolves names.
//! - [`error`]: why there is no response.

pub(crate) mod address;
mod client;
mod connection;
mod connector;
mod error;
mod fetch;
mod hosts;
mod record;
mod request;
mod resolver;
mod upload;

use std::sync::Arc;

pub(crate) use self::client::{Client, client};
pub(crate) use self::error::FetchError;
pub(crate) use self::fetch::Fetch;
pub(crate) use self::hosts::Hosts;
pub(crate) use self::request::FetchRequest;
pub(crate) use self::upload::Upload;
use crate::limits::bytes::ByteBudget;
use crate::limits::{Limits, mib};

/// The memory for the fetches of one function: the heads of requests and
/// responses, and whole request bodies.
const UPLOADS: u64 = mib(256);

/// What functions need to fetch.
pub(crate) struct Outbound {
    hosts: Arc<Hosts>,
    client: Client,
    /// The budget for heads and request bodies.
    pub(crate) uploads: Arc<ByteBudget>,
    /// The values that are sent as baggage.
    baggage: Arc<[Arc<str>]>,
    /// The longest response, in bytes.
    body_limit: u64,
    pub(crate) max_fetches: u32,
    pub(crate) at_once: u32,
}

impl Outbound {
    /// A client for those hosts; `None` if `hosts` is empty.
    pub(crate) fn new(
        hosts: Hosts,
        baggage: Arc<[Arc<str>]>,
        limits: &Limits,
    ) -> Option<Arc<Self>> {
        if hosts.is_empty() {
            return None;
        }
        let hosts = Arc::new(hosts);
        let client = client(hosts.clone());
        Some(Arc::new(Self {
            hosts,
            client,
            uploads: ByteBudget::new(UPLOADS),
            baggage,
            body_limit: limits.fetch_body,
            max_fetches: limits.max_fetches,
            at_once: limits.fetches_at_once,
        }))
    }

    /// Checks whether a URL may be requested.
    ///
    /// # Errors
    /// Why it may not.
    #[cfg(feature = "jobs")]
    pub(crate) fn check(&self, url: &str) -> Result<(), FetchError> {
        let head = self.uploads.reserve(0).ok_or_else(|| FetchError::full(self.uploads.limit))?;
        let body = Some(bytes::Bytes::new());
        FetchRequest::new(http::Request::new(()), url, head, body, 0)?.check(&self.hosts)
    }
}
