//! The threads that serve connections, one for each core.
//!
//! Each has an event loop to itself, and a connection stays with the thread
//! that it was given to, and the thread with its core. A request that is
//! answered at once then wakes no other thread, meets none at a lock, and finds
//! its core's caches as the last one left them: that is worth a quarter more
//! requests a second. What takes longer must not stay there: see
//! [`exchange`](super::exchange).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::cores;

/// Threads that serve connections. Dropping it ends them, and what they still
/// serve.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    handle: Handle,
    /// How many connections it has.
    open: Arc<AtomicUsize>,
    /// Ends its thread when it is dropped; where there is none, the caller's
    /// event loop serves.
    thread: Option<Thread>,
}

struct Thread {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Workers {
    /// Starts so many; fewer where the system refuses threads.
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

    /// Has a connection served by the thread that has the fewest.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let fewest = self.0.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed));
        if let Some(worker) = fewest {
            let open = Open::one(&worker.open);
            worker.handle.spawn(async move {
                connection.await;
                drop(open);
            });
        }
    }

    /// Ends the threads, and waits for that.
    pub(super) async fn end(self) {
        let threads: Vec<_> = self.0.into_iter().filter_map(|worker| worker.thread).collect();
        for Thread { stop, ended } in threads {
            drop(stop);
            // An error is a thread that has ended.
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
            // An error is a sender that was dropped, which means to stop.
            let _ = runtime.block_on(stopped);
            // To drop it would wait for what blocks on a thread of its own: a file
            // on a disk that hangs must not keep the host from its end.
            runtime.shutdown_background();
            let _ = ending.send(());
        })?;
        Ok(Self { handle, open: Arc::default(), thread: Some(Thread { stop, ended }) })
    }
}

/// One open connection, counted as long as this lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn one(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
        ended.expect("nobody waits for what blocks");
    }
}
