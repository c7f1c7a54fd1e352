//! Names, resolved by the system.
//!
//! A lookup occupies a thread for as long as the name server takes, and can't
//! be canceled. So each function has only a few at once, and all functions
//! together leave threads for other work.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::spawn;

/// The most concurrent lookups of one function.
const MAX_LOOKUPS: usize = 8;

/// The slots for the concurrent lookups of all functions.
static ALL: Semaphore = Semaphore::const_new(64);

type Lookup = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Resolves names for one function.
#[derive(Clone)]
pub(super) struct Resolver {
    slots: Arc<Semaphore>,
    lookup: Arc<Lookup>,
}

impl Resolver {
    /// The resolver of the system.
    pub(super) fn system() -> Self {
        Self::new(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }

    pub(super) fn new(
        lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self { slots: Arc::new(Semaphore::new(MAX_LOOKUPS)), lookup: Arc::new(lookup) }
    }

    /// Resolves a name.
    ///
    /// # Errors
    /// The system's error.
    pub(super) async fn resolve(self, name: String) -> io::Result<Vec<SocketAddr>> {
        let Self { slots, lookup } = self;
        let own = slots.acquire_owned().await.map_err(io::Error::other)?;
        let shared = ALL.acquire().await.map_err(io::Error::other)?;
        let looking_up = spawn::on_thread(move || {
            // Held as long as the thread runs, not only while the caller waits.
            let _slots = (own, shared);
            lookup(&name)
        });
        looking_up.await?
    }
}
