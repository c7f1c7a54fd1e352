//! The threads that serve connections, one per core.
//!
//! Each has its own event loop. A connection stays on its thread, and the
//! thread on its core. A request that completes immediately then wakes no other
//! thread, contends for no lock, and finds its core's caches warm: this is
//! worth a quarter more requests per second. Longer work must not stay there:
//! see [`request`](super::request).

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::cores;

/// Threads that serve connections. Dropping this ends them, and the connections
/// they still serve.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    handle: Handle,
    /// Each of its open connections holds a clone.
    open: Arc<()>,
    /// Ends its thread when dropped; `None` if the caller's event loop serves.
    thread: Option<Thread>,
}

struct Thread {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Workers {
    /// Starts `count` threads, or fewer if the system refuses them.
    pub(super) fn start(count: usize) -> Self {
        let mut workers = Vec::new();
        for number in 0..count {
            match Worker::start(number, count) {
                Ok(worker) => workers.push(worker),
                Err(error) => tracing::warn!(%error, "a thread for connections did not start"),
            }
        }
        if workers.is_empty() {
            workers.push(Worker { handle: Handle::current(), open: Arc::default(), thread: None });
        }
        Self(workers)
    }

    /// Serves a connection on the thread with the fewest connections.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let fewest = self.0.iter().min_by_key(|worker| Arc::strong_count(&worker.open));
        if let Some(worker) = fewest {
            let open = worker.open.clone();
            worker.handle.spawn(async move {
                connection.await;
                drop(open);
            });
        }
    }

    /// Ends the threads and waits for them.
    pub(super) async fn end(self) {
        let threads: Vec<_> = self.0.into_iter().filter_map(|worker| worker.thread).collect();
        for Thread { stop, ended } in threads {
            drop(stop);
            // Receiving fails if the thread has ended.
            let _ = ended.await;
        }
    }
}

impl Worker {
    fn start(number: usize, count: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ending, ended) = oneshot::channel();
        thread::Builder::new().name(format!("hourglass-io-{number}")).spawn(move || {
            cores::stay(number, count);
            // Receiving fails if the sender was dropped, which means stop.
            let _ = runtime.block_on(stopped);
            // Dropping the runtime would wait for blocking tasks: a file on a
            // hung disk must not delay the host's shutdown.
            runtime.shutdown_background();
            let _ = ending.send(());
        })?;
        Ok(Self { handle, open: Arc::default(), thread: Some(Thread { stop, ended }) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_blocks_does_not_keep_them_from_their_end() {
        let (workers, (begins, begun)) = (Workers::start(1), oneshot::channel());
        let (hold, held) = mpsc::channel::<()>();
        workers.spawn(async move {
            let blocked = tokio::task::spawn_blocking(move || {
                let _ = begins.send(());
                let _ = held.recv();
            });
            let _ = blocked.await;
        });
        begun.await.expect("it begins");
        let ended = tokio::time::timeout(Duration::from_secs(60), workers.end()).await;
        drop(hold);
        ended.expect("no task waits for the blocked thread");
    }
}
