//! The settings of a function before it is deployed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Function, InstancePolicy};
use crate::limits::Limits;

/// Defines the methods that set one limit each.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $kind:ty;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $kind) -> Self {
                self.limits.$name = $name;
                self
            }
        )*
    };
}

impl Function {
    limits! {
        /// Sets [`Limits::timeout`]. Default 10 seconds.
        timeout: Duration;
        /// Sets [`Limits::grace`]. Default 100 milliseconds.
        grace: Duration;
        /// Sets [`Limits::memory`] in bytes. Default 128 MiB.
        memory: u64;
        /// Sets [`Limits::request_body`] in bytes. Default 10 MiB.
        request_body: u64;
        /// Sets [`Limits::response_body`] in bytes. Default: no limit.
        response_body: u64;
        /// Sets [`Limits::max_calls`]. Default 1,000.
        max_calls: u32;
        /// Sets [`Limits::max_fetches`]. Default 1,000.
        max_fetches: u32;
        /// Sets [`Limits::fetches_at_once`]. Default 64.
        fetches_at_once: u32;
        /// Sets [`Limits::fetch_body`] in bytes. Default 10 MiB.
        fetch_body: u64;
        /// Sets [`Limits::detach`]. Default zero.
        detach: Duration;
    }

    /// Sets all limits at once.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the permitted source of its instances. Default
    /// [`InstancePolicy::ResetInPlace`].
    #[must_use]
    pub fn instances(mut self, instances: InstancePolicy) -> Self {
        self.instances = instances;
        self
    }

    /// Sets the functions that it may call, and replaces an earlier list.
    /// Default: none. They need not be deployed yet. A call of a function that
    /// is not deployed fails with
    /// [`Outcome::NotFound`](crate::Outcome::NotFound).
    #[must_use]
    pub fn calls<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.calls = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the hosts that it may reach with `Context::fetch` of the SDK, and
    /// replaces an earlier list. Default: none.
    ///
    /// An entry is a name (`api.example.com`), all names below one
    /// (`*.example.com`), an address (`10.0.0.7`), a range of addresses
    /// (`10.0.0.0/8`), or `*` for any name and any public address. It may start
    /// with the one scheme that it allows (`https://`) and end with the one
    /// port (`:8443`); without these it allows all.
    ///
    /// An address that is not public (loopback, link-local, private, reserved)
    /// is reached only if an entry names it as an address or a range. This also
    /// applies to a name that resolves to such an address. The address of a
    /// metadata service, which hands out a machine's credentials, is reached
    /// only if an entry names that single address. Each address is checked when
    /// it is connected to, again for every redirect. This machine's own public
    /// addresses count as public.
    ///
    /// An entry that is not a valid host is an error when the function is
    /// deployed.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn allow_hosts<H: Into<Box<str>>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the values of its context that it sends as `baggage` when it
    /// fetches. Every host on the way can read them. Default: none. The
    /// remaining budget, the trace step and the request id are always sent. A
    /// name that is not valid in baggage is an error when the function is
    /// deployed.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn fetch_baggage<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.baggage = names.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a setting, and replaces an existing one of that name: a variable of
    /// its environment, which `Context::config` of the SDK reads as well.
    /// Default: it has none, and none of the host's.
    ///
    /// The value is never logged and never shown, so it may be a secret. A name
    /// that is not valid in an environment is an error when the function is
    /// deployed. So is the name of one of a request's own variables, such as
    /// `HTTP_HOST`, for a function that reads its request from its environment
    /// as CGI scripts do.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.set(name.into(), value.into());
        self
    }

    /// Lets it read a folder of the host, with everything below it, at an
    /// absolute path of its own, such as `/data`. A relative `folder` is
    /// relative to the process's working directory. Default: it reads no file
    /// at all.
    ///
    /// Access is read-only, and neither a `..` nor a link leads out of the
    /// folder; an absolute link leads nowhere. The function reads plain files
    /// and folders, and opens nothing else. The folder is opened once, when the
    /// function is deployed, as a mount is: if the folder is replaced by
    /// another one, the function sees that only when it is deployed again.
    /// Changes inside of the folder are visible at once.
    ///
    /// An invocation has at most 32 files open, and all guests together a
    /// quarter of the process's limit. In one folder, eight calls at a time
    /// wait for the disk, and further calls wait for those. A waiting call
    /// fails when its invocation's context is done.
    ///
    /// A missing folder, and a path that is not absolute or already taken, are
    /// errors when the function is deployed:
    /// [`DeployError::Mount`](crate::DeployError::Mount).
    #[must_use]
    pub fn mount(mut self, path: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        self.mounts.add(path.into(), folder.into());
        self
    }
}
