//! A runtime, and a server on a free port.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hourglass::http::{Drained, Server};
use hourglass::{Function, InvocationInfo, Runtime, RuntimeBuilder};
use http::Response;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::{guests, lines, poll};

/// After this many requests of others without output, a function is blocked.
const TURNS: usize = 200;

/// The settings of a runtime for tests: few slots, the shared code cache, and recorded output.
pub fn builder() -> RuntimeBuilder {
    lines::record();
    cached(Runtime::builder().max_in_flight(64))
}

/// Settings with the code cache that all tests share.
pub fn cached(builder: RuntimeBuilder) -> RuntimeBuilder {
    builder.cache_dir(guests::code_cache()).state_dir(guests::state_dir())
}

/// A runtime with these functions.
///
/// # Panics
/// If it cannot be built, or a function cannot be deployed.
pub fn runtime(functions: impl IntoIterator<Item = Function>) -> Runtime {
    with(builder(), functions)
}

/// A runtime with these settings and functions.
///
/// # Panics
/// As [`runtime`].
pub fn with(builder: RuntimeBuilder, functions: impl IntoIterator<Item = Function>) -> Runtime {
    let runtime = builder.build().expect("the machine allows a small runtime");
    for function in functions {
        runtime.deploy(function).expect("the function deploys");
    }
    runtime
}

/// Waits until exactly `expected` invocations are in flight.
///
/// # Panics
/// If that takes a minute.
pub async fn in_flight(runtime: &Runtime, expected: usize) {
    poll::until(|| match runtime.in_flight() {
        count if count == expected => Ok(()),
        count => Err(format!("{count} in flight, not {expected}")),
    })
    .await;
}

/// Waits until exactly `expected` invocations are listed, and returns the list. An invocation is
/// listed only after about a tick.
///
/// # Panics
/// If that takes a minute.
pub async fn listed(runtime: &Runtime, expected: usize) -> Vec<InvocationInfo> {
    poll::until(|| match runtime.invocations() {
        listed if listed.len() == expected => Ok(listed),
        listed => Err(listed),
    })
    .await
}

/// Waits until no invocation is in flight, no invocation is listed, and no context remains. The
/// context of a connection ends after its last invocation.
///
/// # Panics
/// As [`in_flight`], and if something remains for a minute.
pub async fn nothing_left(runtime: &Runtime) {
    in_flight(runtime, 0).await;
    poll::until(|| match (runtime.invocations().len(), runtime.context().children()) {
        (0, 0) => Ok(()),
        left => Err(left),
    })
    .await;
}

/// Waits until no idle instance is kept. The evictor may hold the last reference to one while it
/// scans the pool.
///
/// # Panics
/// If that takes ten seconds, which is less than an instance may be idle.
pub async fn nothing_kept(runtime: &Runtime) {
    poll::until_within(Duration::from_secs(10), || match runtime.idle_stats() {
        kept if kept.instances == 0 => Ok(()),
        kept => Err(kept),
    })
    .await;
}

/// A server that runs in the background.
#[derive(Debug)]
pub struct Host {
    /// Its address.
    pub address: SocketAddr,
    /// Its runtime.
    pub runtime: Runtime,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Drained>,
}

impl Host {
    /// Serves these functions on a free port.
    ///
    /// # Errors
    /// Those of the sockets.
    pub async fn serve(functions: impl IntoIterator<Item = Function>) -> io::Result<Self> {
        Self::start(runtime(functions), |server| server).await
    }

    /// Serves a runtime with these server settings.
    ///
    /// # Errors
    /// Those of the sockets.
    pub async fn start(
        runtime: Runtime,
        settings: impl FnOnce(Server) -> Server,
    ) -> io::Result<Self> {
        let server = settings(Server::bind("127.0.0.1:0", runtime.clone()).await?);
        let address = server.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            // A dropped sender also stops the server.
            let _ = stopped.await;
        }));
        Ok(Self { address, runtime, stop, running })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Those of the sockets.
    pub async fn client(&self) -> io::Result<Client> {
        Client::connect(self.address).await
    }

    /// Sends a GET over a new connection.
    ///
    /// # Errors
    /// Those of the sockets, and `InvalidData` if the response is not HTTP.
    pub async fn get(&self, target: &str) -> io::Result<Response<Vec<u8>>> {
        self.client().await?.get(target).await
    }

    /// Waits until a function that prints a line in a loop is blocked, and returns how often it has
    /// printed it. There is no event for it: the function counts as blocked if it prints nothing
    /// while others are served many times.
    ///
    /// # Panics
    /// If it prints the line `most` times, or that takes a minute.
    pub async fn held_up(&self, function: &str, line: &str, most: usize) -> usize {
        let held_up = async {
            let (mut client, mut printed, mut turns) = (self.client().await?, 0, 0);
            while printed == 0 || turns < TURNS {
                client.get("/").await?;
                let now = lines::count(function, line);
                assert!(now < most, "{function} has printed {line:?} {now} times and goes on");
                turns = if now == printed { turns + 1 } else { 0 };
                printed = now;
            }
            io::Result::Ok(printed)
        };
        let in_time = tokio::time::timeout(Duration::from_secs(60), held_up).await;
        let in_time = in_time.unwrap_or_else(|_| panic!("{function} is not held up"));
        in_time.expect("the server answers")
    }

    /// Stops the server. The handle returns how it ended.
    #[must_use]
    pub fn stop(self) -> JoinHandle<Drained> {
        // On an error the server has ended, which the handle reports.
        let _ = self.stop.send(());
        self.running
    }
}
