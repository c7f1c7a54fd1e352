//! A function on another host, as the file names it.

use super::units::Period;
use super::{ConfigError, FunctionTable, Source, effect};
use crate::http::Remote;
use crate::limits::Limits;
use crate::runtime::Runtime;

/// A function on another host.
#[derive(Debug)]
pub(crate) struct RemoteConfig {
    remote: Remote,
    timeout: Option<Period>,
}

impl RemoteConfig {
    /// What the table says, where it has a `url`.
    pub(super) fn resolve(
        source: &Source,
        table: &FunctionTable,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(url) = &table.url else {
            return match &table.baggage {
                Some(baggage) if table.allow_hosts.is_empty() => Err(source.error(
                    baggage.span(),
                    "only what goes to another host needs this here; to let baggage in, write it \
                     into a route, or at the top of the file",
                )),
                _ => Ok(None),
            };
        };
        effect::beside_url(source, table, url.span())?;
        let remote = Remote::new(url.get_ref()).map_err(|error| source.error(url.span(), error))?;
        let baggage = table.baggage.as_ref().map(|names| names.get_ref().clone());
        let remote = remote.baggage(baggage.unwrap_or_default());
        Ok(Some(Self { remote, timeout: table.timeout }))
    }

    /// Lets the functions of a runtime call it. A `timeout` on the command line
    /// comes before the file's.
    pub(crate) fn provide(
        &self,
        runtime: &Runtime,
        name: &str,
        timeout: Option<Period>,
    ) -> anyhow::Result<()> {
        let timeout = timeout.or(self.timeout).map_or(Limits::default().timeout, |time| time.0);
        Ok(self.remote.clone().provide(runtime, name, timeout)?)
    }
}
