//! Names, resolved by the system.
//!
//! A lookup occupies a thread for as long as the name server takes, and can't
//! be canceled. So each function has only a few at once, and all functions
//! together leave threads for other work.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower_service::Service;

use crate::spawn;

/// The most concurrent lookups of one function.
const MOST: usize = 8;

/// The most concurrent lookups of all functions.
static ALL: Semaphore = Semaphore::const_new(64);

/// Resolves names for one function.
#[derive(Clone)]
pub(super) struct Resolver(Arc<Semaphore>);

impl Resolver {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let own = self.0.clone();
        Box::pin(async move {
            let own = own.acquire_owned().await.map_err(io::Error::other)?;
            let shared = ALL.acquire().await.map_err(io::Error::other)?;
            let looking_up = spawn::on_thread(move || {
                // Held as long as the thread runs, not only while the caller
                // waits.
                let _places = (own, shared);
                (name.as_str(), 0).to_socket_addrs()
            });
            looking_up.await?
        })
    }
}
