//! A function's way out to the network.
//!
//! Every function has a client of its own. What it may reach is its operator's
//! word; what it starts ends with the context that it was started under.
//!
//! What it calls on another host goes out by a client of the same kind, which is
//! all that the [front](crate::http) needs of this.
//!
//! # Layout
//! - [`Outbound`]: a function's client, and what it may do.
//! - [`order`]: what it wants to have fetched.
//! - [`fetch`]: one fetch, on its way.
//! - [`upload`]: its request's body; [`line`]: the connection that it goes by.
//! - [`redirect`]: what a redirect asks for.
//! - `client`: what speaks HTTP, and its bounds.
//! - [`hosts`]: which hosts it may reach; [`address`]: which are public.
//! - [`connector`]: how a connection is made, to none but those; [`resolver`]:
//!   where names lead; [`trust`]: whom to trust.
//! - [`error`]: why there is no response.

mod address;
mod client;
mod connection;
mod connector;
mod error;
mod fetch;
mod hosts;
mod redirect;
mod request;
mod resolver;
mod trust;
mod upload;

use std::sync::Arc;

pub(crate) use self::client::{Client, client};
pub(crate) use self::error::FetchError;
pub(crate) use self::fetch::Fetch;
pub(crate) use self::hosts::Hosts;
pub(crate) use self::request::Order;
pub(crate) use self::upload::{Passed, Upload};
use crate::limits::bytes::Room;
use crate::limits::{Limits, mib};

/// How many bytes are held for the fetches of one function: the heads of
/// requests and responses, and the bodies of requests that are here as a whole.
const UPLOADS: u64 = mib(256);

/// What functions may have.
pub(crate) struct Outbound {
    hosts: Arc<Hosts>,
    client: Client,
    /// Where heads and requests' bodies are held.
    pub(crate) uploads: Arc<Room>,
    /// The values that go along as baggage.
    baggage: Arc<[Arc<str>]>,
    /// The longest response, in bytes.
    body_limit: u64,
    pub(crate) max_fetches: u32,
    pub(crate) at_once: u32,
}

impl Outbound {
    /// The way to those hosts; `None` where there are none.
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
            uploads: Room::new(UPLOADS),
            baggage,
            body_limit: limits.fetch_body,
            max_fetches: limits.max_fetches,
            at_once: limits.fetches_at_once,
        }))
    }
}
