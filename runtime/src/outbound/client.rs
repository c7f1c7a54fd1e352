//! The HTTP client of all that goes out: the same bounds, whoever asks.
//!
//! Each has connections of its own, which are kept for it and shared with nobody
//! else.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connector::Connector;
use super::hosts::Hosts;
use super::upload::Upload;

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

/// One client.
pub(crate) type Client = legacy::Client<Connector, Upload>;

/// A client that reaches these hosts.
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
