//! End-to-end tests: real guests, real sockets, real servers. Each module is named after its
//! subject.
//!
//! All of them share one process, so that the guests are built once and the engine is linked once.
//! This has two rules:
//!
//! - The lines that guests print are recorded by function name. A function whose lines a test reads
//!   needs a name that no other module uses; [`hourglass_tests::guests::function`] checks it.
//! - A test that measures what the process holds (memory, threads, descriptors) runs in a process
//!   of its own: see [`hourglass_tests::process::delegated`].
//!
//! The tests in `host_memory` are a binary of their own, because they replace the allocator.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod access_log;
mod admin;
mod architecture;
mod batch;
mod call_contexts;
mod call_trees;
mod calls;
mod cascade;
mod cgi;
mod cgi_failures;
mod code_cache;
mod command;
mod command_line;
mod compilation;
mod compiler_processes;
mod concurrency;
mod context_values;
mod dashboard;
mod dashboard_page;
mod deploy;
mod deploys;
mod descriptor_limits;
mod disconnects;
mod docs;
mod drain;
mod early_responses;
mod embedding;
mod examples;
mod failures;
mod fetch;
mod fetch_ends;
mod function_lifecycle;
mod header_limits;
mod http2;
mod http_basics;
mod http_batches;
mod instance_reset;
mod interruption;
mod isolation;
mod jobs;
mod languages;
mod logs;
mod metrics;
mod mounts;
mod new;
mod planted_code;
mod program;
mod reload;
mod remote_calls;
mod sandbox;
mod schedules;
mod shell;
mod shutdown;
mod signals;
mod slow_clients;
mod soak;
mod ssrf;
mod streams;
mod task_groups;
mod thread_limits;
mod tls;
mod top;
mod traces;
mod up;
mod usage;
mod versions;
