//! The way of telemetry to the thread that exports it: a queue that is bounded
//! in number and in bytes. A sender never waits for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{mpsc, oneshot};

/// The senders' end of a queue.
#[derive(Debug)]
pub(crate) struct ExportQueue<T> {
    sender: mpsc::Sender<Queued<T>>,
    /// The bytes that wait, and the most of them.
    waiting: Arc<AtomicUsize>,
    most: usize,
}

/// The exporter's end of a queue.
#[derive(Debug)]
pub(crate) struct ExportReceiver<T> {
    receiver: mpsc::Receiver<Queued<T>>,
    waiting: Arc<AtomicUsize>,
}

/// What comes through a queue.
#[derive(Debug)]
pub(crate) enum Queued<T> {
    /// An item, and about the bytes that it takes.
    Item(T, usize),
    /// Everything before it is to be sent now. A caller waits for that.
    Flush(oneshot::Sender<()>),
}

impl<T> ExportQueue<T> {
    /// A queue of at most `items` items and `bytes` bytes, exceeded by one item.
    pub(crate) fn new(items: usize, bytes: usize) -> (Self, ExportReceiver<T>) {
        let (sender, receiver) = mpsc::channel(items);
        let waiting = Arc::new(AtomicUsize::new(0));
        let queue = Self { sender, waiting: waiting.clone(), most: bytes };
        (queue, ExportReceiver { receiver, waiting })
    }

    /// Whether there is room for one more item.
    pub(crate) fn has_room(&self) -> bool {
        self.sender.capacity() > 0 && self.waiting.load(Relaxed) < self.most
    }

    /// Adds an item that takes about `bytes`. Returns whether there was room.
    pub(crate) fn put(&self, item: T, bytes: usize) -> bool {
        if !self.has_room() {
            return false;
        }
        self.waiting.fetch_add(bytes, Relaxed);
        let is_put = self.sender.try_send(Queued::Item(item, bytes)).is_ok();
        if !is_put {
            self.waiting.fetch_sub(bytes, Relaxed);
        }
        is_put
    }

    /// Waits until everything so far is sent, or has failed.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        // Without an exporter there is nothing to wait for.
        if self.sender.send(Queued::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

impl<T> Clone for ExportQueue<T> {
    fn clone(&self) -> Self {
        let (sender, waiting) = (self.sender.clone(), self.waiting.clone());
        Self { sender, waiting, most: self.most }
    }
}

impl<T> ExportReceiver<T> {
    /// Waits for what comes next; `None` once all senders are gone.
    pub(crate) async fn recv(&mut self) -> Option<Queued<T>> {
        let next = self.receiver.recv().await?;
        Some(self.taken(next))
    }

    /// What comes next, if it is there.
    pub(crate) fn try_recv(&mut self) -> Option<Queued<T>> {
        let next = self.receiver.try_recv().ok()?;
        Some(self.taken(next))
    }

    /// Whether all senders are gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.receiver.is_closed()
    }

    fn taken(&self, next: Queued<T>) -> Queued<T> {
        if let Queued::Item(_, bytes) = &next {
            self.waiting.fetch_sub(*bytes, Relaxed);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_in_number() {
        let (queue, mut receiver) = ExportQueue::new(3, 100);
        assert_eq!((0..5).filter(|item| queue.put(*item, 1)).count(), 3);
        assert!(matches!(receiver.try_recv(), Some(Queued::Item(0, 1))));
        assert!(queue.has_room() && queue.put(5, 1) && !queue.has_room());
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let (queue, mut receiver) = ExportQueue::new(1_000, 100);
        assert_eq!((0..100).filter(|item| queue.put(*item, 30)).count(), 4);
        while receiver.try_recv().is_some() {}
        assert_eq!(queue.waiting.load(Relaxed), 0);
        assert!(queue.put(0, 1_000) && !queue.put(1, 0));
    }

    #[tokio::test]
    async fn nothing_is_waited_for_without_an_exporter() {
        let (queue, receiver) = ExportQueue::new(1, 100);
        drop(receiver);
        queue.flush().await;
        assert!(!queue.put((), 1));
        assert_eq!(queue.waiting.load(Relaxed), 0);
    }
}
