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
use crate::{guests, lines};

/// How many turns of others a function that is not held up can't miss.
const TURNS: usize = 200;

/// The settings of a runtime for tests: few slots, and the code cache that all tests share.
pub fn builder() -> RuntimeBuilder {
    lines::record();
    cached(Runtime::builder().max_in_flight(64))
}

/// The same settings, with the code cache that all tests share.
pub fn cached(builder: RuntimeBuilder) -> RuntimeBuilder {
    builder.cache_dir(guests::code_cache()).state_dir(guests::state_dir())
}

/// A runtime with these functions.
///
/// # Panics
/// If it can't be made, or one of them can't be deployed.
pub fn runtime(functions: impl IntoIterator<Item = Function>) -> Runtime {
    with(builder(), functions)
}

/// A runtime of these settings with these functions.
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

/// Waits until exactly so many invocations are in flight. There is no event for it.
///
/// # Panics
/// If that takes a minute.
pub async fn in_flight(runtime: &Runtime, expected: usize) {
    let reached = async {
        while runtime.in_flight() != expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), reached).await;
    assert!(in_time.is_ok(), "{} in flight, not {expected}", runtime.in_flight());
}

/// Waits until exactly so many invocations are listed, and gives the list. They enter it only after
/// about a tick, and there is no event for it.
///
/// # Panics
/// If that takes a minute.
pub async fn listed(runtime: &Runtime, expected: usize) -> Vec<InvocationInfo> {
    let reached = async {
        loop {
            let listed = runtime.invocations();
            if listed.len() == expected {
                return listed;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), reached).await;
    in_time.unwrap_or_else(|_| panic!("{:?}, not {expected}", runtime.invocations()))
}

/// Waits until nothing is in flight, and checks that nothing is left of what was.
///
/// # Panics
/// As [`in_flight`], and if something is left.
pub async fn nothing_left(runtime: &Runtime) {
    in_flight(runtime, 0).await;
    assert_eq!(runtime.invocations().len(), 0);
    assert_eq!(runtime.context().children(), 0);
}

/// Waits until no instance is kept. There is no event for it: whoever looks through the idle ones
/// at that moment may be the last to let go of them.
///
/// # Panics
/// If that takes ten seconds, which is less than an instance may be idle.
pub async fn nothing_kept(runtime: &Runtime) {
    let reached = async {
        while runtime.kept().instances != 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), reached).await;
    assert!(in_time.is_ok(), "{:?}", runtime.kept());
}

/// A server that runs in the background.
#[derive(Debug)]
pub struct Host {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it is in front of.
    pub runtime: Runtime,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Drained>,
}

impl Host {
    /// Serves these functions, on a free port.
    ///
    /// # Errors
    /// Those of the sockets.
    pub async fn serve(functions: impl IntoIterator<Item = Function>) -> io::Result<Self> {
        Self::start(runtime(functions), |server| server).await
    }

    /// Serves a runtime by a server with settings.
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
            // An error is a sender that was dropped, which also means to stop.
            let _ = stopped.await;
        }));
        Ok(Self { address, runtime, stop, running })
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// Those of the sockets.
    pub async fn client(&self) -> io::Result<Client> {
        Client::connect(self.address).await
    }

    /// One GET over a connection of its own.
    ///
    /// # Errors
    /// Those of the sockets, and an answer that is no HTTP.
    pub async fn get(&self, target: &str) -> io::Result<Response<Vec<u8>>> {
        self.client().await?.get(target).await
    }

    /// Waits until a function that prints a line again and again does so no more, as it is held up,
    /// and tells how often it has. There is no event for it; what shows it is that others get their
    /// turns over and over, and it does not take its own.
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

    /// Tells the server to stop; the handle is for how it ended.
    #[must_use]
    pub fn stop(self) -> JoinHandle<Drained> {
        // An error is a server that has ended, which the handle tells.
        let _ = self.stop.send(());
        self.running
    }
}
