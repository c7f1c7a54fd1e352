//! A function's way out to the network.
//!
//! Every function has a client of its own, so that connections are kept for it
//! and shared with nobody else. What it may reach is its operator's word; what
//! it starts ends with the context that it was started under.
//!
//! # Layout
//! - [`Outbound`]: a function's client, and what it may do.
//! - [`order`]: what it wants to have fetched.
//! - [`fetch`]: one fetch, on its way.
//! - [`upload`]: its request's body; [`line`]: the connection that it goes by.
//! - [`redirect`]: what a redirect asks for.
//! - [`hosts`]: which hosts it may reach; [`address`]: which are public.
//! - [`connector`]: how a connection is made, to none but those; [`resolver`]:
//!   where names lead; [`trust`]: whom to trust.
//! - [`error`]: why there is no response.

mod address;
mod connector;
mod error;
mod fetch;
mod hosts;
mod line;
mod order;
mod redirect;
mod resolver;
pub(crate) mod trust;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::connector::Connector;
pub(crate) use self::error::FetchError;
pub(crate) use self::fetch::Fetch;
pub(crate) use self::hosts::Hosts;
pub(crate) use self::order::Order;
pub(crate) use self::upload::Passed;
use self::upload::Upload;
use crate::limits::{Limits, mib};
use crate::room::Room;

/// How long a connection is kept that nobody uses, and how many of one host.
const IDLE: Duration = Duration::from_secs(60);
const IDLE_PER_HOST: usize = 32;

/// The most that is read ahead of one connection, in bytes, and so the longest
/// head of a response.
const BUFFER: usize = 64 << 10;

/// The most of one response that the other side may send by HTTP/2 before it is
/// read, in bytes. A connection has no bound of its own: responses that nobody
/// reads would else hold up all others on it.
const WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// How often a connection of HTTP/2 is asked whether the other side is still
/// there, while something is under way, and how long that may take.
const ASK: Duration = Duration::from_secs(10);

/// How many bytes of requests' bodies that are here as a whole are held for one
/// function.
const UPLOADS: u64 = mib(256);

/// What functions may have.
pub(crate) struct Outbound {
    hosts: Arc<Hosts>,
    client: Client<Connector, Upload>,
    /// Where requests' bodies are held.
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
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_max_buf_size(BUFFER)
            .http2_initial_stream_window_size(WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_send_buf_size(BUFFER)
            .http2_max_header_list_size(BUFFER as u32)
            .http2_keep_alive_interval(ASK)
            .http2_keep_alive_timeout(ASK);
        let client = builder.build(Connector::new(hosts.clone()));
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
