//! A function on another host.

use super::function::FunctionConfig;
use super::{ConfigError, Source, conflicts};
use crate::http::Remote;
use crate::limits::Limits;
use crate::runtime::Runtime;
use crate::schema::Partial;

/// A function on another host.
#[derive(Debug)]
pub(crate) struct RemoteConfig {
    remote: Remote,
    /// Only the timeout may be set.
    limits: Partial<Limits>,
}

impl RemoteConfig {
    /// The function, if its table has a `url`.
    pub(super) fn resolve(
        source: &Source,
        function: &FunctionConfig,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(url) = &function.url else {
            return match &function.baggage {
                Some(baggage) if function.allow_hosts.is_empty() => Err(source.error(
                    baggage.span(),
                    "`baggage` has no effect here without `allow_hosts`; to accept baggage of \
                     requests, write it into a route, or at the top of the file",
                )),
                _ => Ok(None),
            };
        };
        conflicts::with_url(source, function, url.span())?;
        let remote = Remote::new(url.get_ref()).map_err(|error| source.error(url.span(), error))?;
        let remote = remote.baggage(function.baggage());
        Ok(Some(Self { remote, limits: function.options.limits.clone() }))
    }

    /// Lets the functions of a runtime call it. The timeout of `flags` takes
    /// precedence over the file's.
    pub(crate) fn provide(
        &self,
        runtime: &Runtime,
        name: &str,
        flags: &Partial<Limits>,
    ) -> anyhow::Result<()> {
        let timeout = flags.over(&self.limits).timeout;
        Ok(self.remote.clone().provide(runtime, name, timeout)?)
    }
}
