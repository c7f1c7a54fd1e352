//! Keys that have no effect in combination with others. Each is a mistake, and
//! the error says which one to remove.

use std::ops::Range;

use super::file::FunctionTable;
use super::{ConfigError, Source};

/// Fails if a function on another host has a key that applies only to functions
/// of this host. `url` is the place of its URL.
pub(super) fn with_url(
    source: &Source,
    table: &FunctionTable,
    url: Range<usize>,
) -> Result<(), ConfigError> {
    let public = table.public.as_ref().filter(|public| *public.get_ref());
    let env = table.env.first().or_else(|| table.secrets.first());
    for (key, reason) in [
        (
            table.file.as_ref().map(|file| file.span()),
            "a function has a `file` or a `url`, not both",
        ),
        (
            table.routes.first().map(|route| route.span()),
            "a function with a `url` has no routes: only functions call it",
        ),
        (env, "a function with a `url` has its settings where it runs"),
        (
            table.allow_hosts.first().map(|host| host.span()),
            "a function with a `url` reaches other hosts from where it runs",
        ),
        (table.mounts.first(), "a function with a `url` has its directories where it runs"),
        (
            public.map(|public| public.span()),
            "only functions call a function with a `url`; remove `public`",
        ),
    ] {
        if let Some(span) = key {
            return Err(source.error(span, reason));
        }
    }
    match only_here(table) {
        None => Ok(()),
        Some(key) => {
            let reason = format!(
                "`{key}` has no effect on a function with a `url`; set it where the function runs, \
                 and remove it here"
            );
            Err(source.error(url, reason))
        }
    }
}

/// The first key that affects how a function is run. The timeout is not one: it
/// also applies to calls of functions on other hosts.
fn only_here(table: &FunctionTable) -> Option<&'static str> {
    let options = &table.options;
    let mut keys = options.limits.names().filter(|key| *key != "timeout");
    keys.next()
        .or_else(|| options.instances.names().next())
        .or_else(|| (!table.calls.is_empty()).then_some("calls"))
}

/// Fails if a limit of zero forbids what another key allows.
pub(super) fn with_limits(
    source: &Source,
    table: &FunctionTable,
    max_depth: u32,
) -> Result<(), ConfigError> {
    let limits = table.options.limits.values();
    for (limit, value, key, allowed) in [
        ("max_calls", limits.max_calls, "calls", &table.calls),
        ("max_depth", max_depth, "calls", &table.calls),
        ("max_fetches", limits.max_fetches, "allow_hosts", &table.allow_hosts),
    ] {
        if let (0, Some(first)) = (value, allowed.first()) {
            let reason = format!(
                "`{key}` has no effect with `{limit} = 0`; remove one of the two, or raise `{limit}`"
            );
            return Err(source.error(first.span(), reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::cli::config::tests::error;

    #[test]
    fn a_key_without_effect_on_another_host_is_refused() {
        for key in [
            "grace = \"1s\"",
            "memory = \"1MiB\"",
            "request_body = 1",
            "response_body = 1",
            "instances = \"new\"",
            "calls = [\"g\"]",
            "max_calls = 1",
            "max_fetches = 1",
            "fetches_at_once = 1",
            "fetch_body = 1",
            "detach = \"1s\"",
        ] {
            let said = error(&format!("[function.f]\nurl = \"http://h/f\"\n{key}"));
            let name = key.split(' ').next().unwrap_or_default();
            assert!(
                said.starts_with(&format!("hourglass.toml:2:7: `{name}` has no effect")),
                "{said}"
            );
            assert!(said.contains("where the function runs"), "{said}");
        }
    }
}
