//! The open connections of operators. Their number is bounded; an idle one is
//! closed to make room for the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{AbortHandle, JoinSet};

/// The most connections open at once.
const MAX_OPEN: usize = 64;

/// The open connections. Dropping this closes them.
#[derive(Default)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    /// Oldest first.
    open: Vec<OpenConnection>,
}

struct OpenConnection {
    task: AbortHandle,
    state: Arc<ConnectionState>,
}

/// The state of one connection.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    /// Whether its request has arrived.
    begun: AtomicBool,
    busy: AtomicBool,
}

/// Keeps a connection open for longer than its usual lifetime, until it is
/// dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<ConnectionState>);

impl ConnectionState {
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.store(true, Ordering::Relaxed);
        Busy(self.clone())
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
    }
}

impl Connections {
    /// Serves one more connection. If there are too many, the oldest one
    /// without a request is closed, or, if each has a request, the oldest.
    pub(super) fn add<F>(&mut self, serve: impl FnOnce(Arc<ConnectionState>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        self.forget_ended();
        if self.open.len() >= MAX_OPEN {
            let begun = |one: &OpenConnection| one.state.begun.load(Ordering::Relaxed);
            let silent = self.open.iter().position(|one| !begun(one));
            self.open.remove(silent.unwrap_or(0)).task.abort();
            tracing::debug!("an operator's connection was closed for a newer one");
        }
        let state = Arc::new(ConnectionState::default());
        let task = self.tasks.spawn(serve(state.clone()));
        self.open.push(OpenConnection { task, state });
    }

    /// Waits until a connection ends. Without connections it waits forever.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(_ended) => self.forget_ended(),
            None => std::future::pending().await,
        }
    }

    fn forget_ended(&mut self) {
        self.open.retain(|one| !one.task.is_finished());
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Adds a connection that never ends by itself, and sends its number when
    /// it is dropped.
    fn add(connections: &mut Connections, number: usize, ended: &mpsc::UnboundedSender<usize>) {
        struct Told(usize, mpsc::UnboundedSender<usize>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.1.send(self.0);
            }
        }
        let told = Told(number, ended.clone());
        connections.add(|state| async move {
            // Capture the whole value, not its number alone.
            let told = told;
            if told.0 < 2 {
                state.begin();
            }
            std::future::pending::<()>().await;
        });
    }

    #[tokio::test]
    async fn the_oldest_without_a_request_makes_room() {
        let (mut connections, (tell, mut told)) =
            (Connections::default(), mpsc::unbounded_channel());
        for number in 0..MAX_OPEN {
            add(&mut connections, number, &tell);
            tokio::task::yield_now().await;
        }
        for number in MAX_OPEN..2 * MAX_OPEN - 2 {
            add(&mut connections, number, &tell);
            assert_eq!(
                told.recv().await,
                Some(number + 2 - MAX_OPEN),
                "the first two have requests"
            );
            tokio::task::yield_now().await;
        }
        assert_eq!(connections.open.len(), MAX_OPEN);
        drop(connections);
        drop(tell);
        let mut rest = 0;
        while told.recv().await.is_some() {
            rest += 1;
        }
        assert_eq!(rest, MAX_OPEN);
    }
}
