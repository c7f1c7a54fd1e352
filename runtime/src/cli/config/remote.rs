//! A function on another host.

use super::file::FunctionTable;
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
        table: &FunctionTable,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(url) = &table.url else {
            return match &table.baggage {
                Some(baggage) if table.allow_hosts.is_empty() => Err(source.error(
                    baggage.span(),
                    "`baggage` has no effect here without `allow_hosts`; to accept baggage of \
                     requests, write it into a route, or at the top of the file",
                )),
                _ => Ok(None),
            };
        };
        conflicts::with_url(source, table, url.span())?;
        let remote = Remote::new(url.get_ref()).map_err(|error| source.error(url.span(), error))?;
        let baggage = table.baggage.as_ref().map(|names| names.get_ref().clone());
        let remote = remote.baggage(baggage.unwrap_or_default());
        Ok(Some(Self { remote, limits: table.options.limits.clone() }))
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
