//! The HTTP client for all outbound requests, with the same limits for every
//! function.
//!
//! Each client keeps its own connections and shares them with no other.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connector::Connector;
use super::hosts::Hosts;
use super::upload::Upload;

/// How long an idle connection is kept, and how many are kept per host.
const IDLE: Duration = Duration::from_secs(60);
const IDLE_PER_HOST: usize = 32;

/// The most bytes read ahead on one connection, and so the longest head of a
/// response.
const BUFFER: usize = 64 << 10;

/// The most bytes of one response that the other side may send over HTTP/2
/// before they are read. A connection has no limit of its own: with one, unread
/// responses would block all others on it.
const WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// The interval of HTTP/2 pings while requests are in flight, and the timeout
/// of each.
const ASK: Duration = Duration::from_secs(10);

/// An HTTP client.
pub(crate) type Client = legacy::Client<Connector, Upload>;

/// A client that can reach these hosts.
pub(crate) fn client(hosts: Arc<Hosts>) -> Client {
    legacy::Client::builder(TokioExecutor::new())
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
        .http2_keep_alive_timeout(ASK)
        .build(Connector::new(hosts))
}
