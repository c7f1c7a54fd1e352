//! What may be said of a function before it is deployed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Function, Instances};
#[cfg(feature = "cli")]
use crate::environment::Environment;
use crate::limits::Limits;
#[cfg(feature = "cli")]
use crate::mounts::Mounts;

impl Function {
    /// Sets [`Limits::timeout`]. Default 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets [`Limits::grace`]. Default 100 milliseconds.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// Sets [`Limits::memory`] in bytes. Default 128 MiB.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.limits.memory = bytes;
        self
    }

    /// Sets [`Limits::request_body`] in bytes. Default 10 MiB.
    #[must_use]
    pub fn request_body(mut self, bytes: u64) -> Self {
        self.limits.request_body = bytes;
        self
    }

    /// Sets [`Limits::response_body`] in bytes. Default: no limit.
    #[must_use]
    pub fn response_body(mut self, bytes: u64) -> Self {
        self.limits.response_body = bytes;
        self
    }

    /// Sets [`Limits::max_calls`]. Default 1,000.
    #[must_use]
    pub fn max_calls(mut self, most: u32) -> Self {
        self.limits.max_calls = most;
        self
    }

    /// Sets [`Limits::max_fetches`]. Default 1,000.
    #[must_use]
    pub fn max_fetches(mut self, most: u32) -> Self {
        self.limits.max_fetches = most;
        self
    }

    /// Sets [`Limits::fetches_at_once`]. Default 64.
    #[must_use]
    pub fn fetches_at_once(mut self, most: u32) -> Self {
        self.limits.fetches_at_once = most;
        self
    }

    /// Sets [`Limits::fetch_body`] in bytes. Default 10 MiB.
    #[must_use]
    pub fn fetch_body(mut self, bytes: u64) -> Self {
        self.limits.fetch_body = bytes;
        self
    }

    /// Sets [`Limits::detach`]. Default zero.
    #[must_use]
    pub fn detach(mut self, detach: Duration) -> Self {
        self.limits.detach = detach;
        self
    }

    /// Sets all limits at once.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets where its instances may come from. Default [`Instances::Reset`].
    #[must_use]
    pub fn instances(mut self, instances: Instances) -> Self {
        self.instances = instances;
        self
    }

    /// Names the functions that it may call, in place of those named before.
    /// Default: none. They need not be deployed yet, and one that is not when
    /// it is called is [`Outcome::NotFound`](crate::Outcome::NotFound).
    #[must_use]
    pub fn calls<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.calls = names.into_iter().map(Into::into).collect();
        self
    }

    /// Names the hosts that it may reach with `Context::fetch` of the SDK, in
    /// place of those named before. Default: none.
    ///
    /// An entry is a name (`api.example.com`), all names below one
    /// (`*.example.com`), an address (`10.0.0.7`), a range of them
    /// (`10.0.0.0/8`), or `*` for any name and any public address. In front may
    /// stand the one scheme that it is for (`https://`), behind it the one port
    /// (`:8443`); without, it is for all.
    ///
    /// An address that is not public (loopback, link-local, private, reserved)
    /// is reached only where it is named as an address or a range, also by a
    /// name that leads there; and one by which a machine gets its credentials
    /// only where it is named alone. Each address is looked at as it is
    /// connected to, for every redirect anew. This machine's own public addresses
    /// are public ones.
    ///
    /// An entry that names no host is an error when the function is deployed.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn allow_hosts<H: Into<Box<str>>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.way_out.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Names the values of its context that go along as `baggage` when it
    /// fetches, for everybody on the way to read. Default: none. What is left
    /// of the budget, the step of the trace and the request's id always do. A
    /// name that baggage can't have is an error when the function is deployed.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn fetch_baggage<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.way_out.baggage = names.into_iter().map(Into::into).collect();
        self
    }

    /// Gives it a setting, in place of one of that name: a variable of its
    /// environment, which `Context::config` of the SDK reads as well. Default:
    /// it has none, and none of the host's.
    ///
    /// The value is never logged and never shown, so it may be a secret. A name
    /// that no environment can have is an error when the function is deployed;
    /// so is one of a request's own variables, such as `HTTP_HOST`, for a
    /// function that finds its request in its environment as CGI scripts do.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.set(name.into(), value.into());
        self
    }

    /// Gives it all of its settings at once.
    #[cfg(feature = "cli")]
    pub(crate) fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Lets it read a folder of the host's, which it finds at an absolute path
    /// of its own, such as `/data`, with all that is beneath. A relative `folder`
    /// is one of the process's working directory. Default: it reads no file at
    /// all.
    ///
    /// It can change nothing there, and neither a `..` nor a link leads it out;
    /// an absolute link leads nowhere. It reads plain files and folders, and
    /// opens nothing else. The folder is opened once, when the function is
    /// deployed, as a mount is: another that is put in its place is seen when
    /// the function is deployed again. What changes inside of it is seen at
    /// once.
    ///
    /// An invocation has at most 32 files open, and all guests together a
    /// quarter of what the process may. Of a folder eight calls at once wait for
    /// the disk, and others for those; one that waits fails when its
    /// invocation's context is done.
    ///
    /// A folder that is not there, and a path that is not absolute or is taken,
    /// are errors when the function is deployed:
    /// [`MountFolder`](crate::DeployError::MountFolder) and
    /// [`MountPath`](crate::DeployError::MountPath).
    #[must_use]
    pub fn mount(mut self, path: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        self.mounts.add(path.into(), folder.into());
        self
    }

    /// Gives it all of its folders at once.
    #[cfg(feature = "cli")]
    pub(crate) fn mounts(mut self, mounts: Mounts) -> Self {
        self.mounts = mounts;
        self
    }
}
