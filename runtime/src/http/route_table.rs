//! The routes in force, which can be replaced while a server uses them.
//!
//! A request reads the routes and looks its function up while it holds its core's
//! lock. A change holds the locks of all cores, so that it can also change
//! functions: no request finds a path of the new routes and a function from
//! before, or the reverse.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::routes::Routes;
use crate::cores::PerCore;

/// Routes that can be replaced while a [`Server`](super::Server) uses them. Cheap
/// to clone; the clones are one table.
///
/// ```
/// use hourglass::http::{RouteTable, Routes};
///
/// let table = RouteTable::from(Routes::new());
/// // let server = server.routes(table.clone());
/// let mut routes = Routes::new();
/// routes.add("/images/{id}", "thumbnail")?;
/// table.replace(routes);
/// # Ok::<(), hourglass::http::RouteError>(())
/// ```
#[derive(Clone)]
pub struct RouteTable(Arc<PerCore<RwLock<Arc<Routes>>>>);

/// Keeps the routes from being replaced.
pub(crate) struct RoutesGuard<'a>(RwLockReadGuard<'a, Arc<Routes>>);

impl RouteTable {
    /// Replaces the routes. Requests that have begun keep their function.
    pub fn replace(&self, routes: Routes) {
        self.replace_with(routes, || ());
    }

    /// Replaces the routes together with what `change` changes. Requests wait for
    /// it, so it should be fast.
    pub(crate) fn replace_with<T>(&self, routes: Routes, change: impl FnOnce() -> T) -> T {
        let routes = Arc::new(routes);
        // In the same order on every core, so that two changes do not wait for
        // each other.
        let locks = self.0.in_order();
        let mut all: Vec<_> =
            locks.map(|core| core.write().unwrap_or_else(PoisonError::into_inner)).collect();
        let changed = change();
        all.iter_mut().for_each(|core| **core = routes.clone());
        changed
    }

    /// The routes. The guard should be held for a short time, and on one thread.
    pub(crate) fn read(&self) -> RoutesGuard<'_> {
        RoutesGuard(self.0.here().read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for RouteTable {
    fn default() -> Self {
        Routes::default().into()
    }
}

impl From<Routes> for RouteTable {
    fn from(routes: Routes) -> Self {
        let routes = Arc::new(routes);
        Self(Arc::new(PerCore::new(|_, _| RwLock::new(routes.clone()))))
    }
}

impl Deref for RoutesGuard<'_> {
    type Target = Routes;

    fn deref(&self) -> &Routes {
        &self.0
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RouteTable").field(&*self.read()).finish()
    }
}
