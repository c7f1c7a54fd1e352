//! Keys that have no effect in combination with others. Each is a mistake, and
//! the error says which one to remove.

use std::ops::Range;

use toml::Spanned;

use super::Source;
use super::function::FunctionConfig;

/// Fails if a function on another host has a key that applies only to functions
/// of this host. `url` is the place of its URL.
pub(super) fn with_url(
    source: &Source,
    function: &FunctionConfig,
    url: Range<usize>,
) -> anyhow::Result<()> {
    let public = function.public.as_ref().filter(|public| *public.get_ref());
    let file = function.file.as_ref().map(Spanned::span);
    let route = function.routes.first().map(Spanned::span);
    let host = function.allow_hosts.first().map(Spanned::span);
    let schedule = function.schedule.as_ref().map(|schedule| schedule.pattern.span());
    let mount = function.mounts.first().map(|(path, _)| path.span());
    for (key, reason) in [
        (file, "a function has a `file` or a `url`, not both"),
        (route, "a function with a `url` has no routes: only functions call it"),
        (function.environment.first(), "a function with a `url` has its settings where it runs"),
        (host, "a function with a `url` reaches other hosts from where it runs"),
        (schedule, "a function with a `url` has its schedule where it runs"),
        (mount, "a function with a `url` has its directories where it runs"),
        (public.map(Spanned::span), "only functions call a function with a `url`; remove `public`"),
    ] {
        if let Some(span) = key {
            return Err(source.error(span, reason));
        }
    }
    let Some(key) = only_here(function) else { return Ok(()) };
    let reason = format!(
        "`{key}` has no effect on a function with a `url`; set it where the function runs, and \
         remove it here"
    );
    Err(source.error(url, reason))
}

/// The first key that affects how a function is run. The timeout is not one: it
/// also applies to calls of functions on other hosts.
fn only_here(function: &FunctionConfig) -> Option<&'static str> {
    let options = &function.options;
    let mut keys = options.limits.names().filter(|key| *key != "timeout");
    keys.next()
        .or_else(|| options.instances.names().next())
        .or_else(|| options.jobs.names().next())
        .or_else(|| function.batch.is_some().then_some("batch"))
        .or_else(|| function.is_async.is_some().then_some("async"))
        .or_else(|| function.retry_after.is_some().then_some("job_retry_after"))
        .or_else(|| (!function.calls.is_empty()).then_some("calls"))
}

/// Fails if a function of this host has baggage for other hosts, and may reach
/// none.
pub(super) fn without_hosts(source: &Source, function: &FunctionConfig) -> anyhow::Result<()> {
    match &function.baggage {
        Some(baggage) if function.allow_hosts.is_empty() => Err(source.error(
            baggage.span(),
            "`baggage` has no effect here without `allow_hosts`; to accept baggage of requests, \
             write it into a route, or at the top of the file",
        )),
        _ => Ok(()),
    }
}

/// Fails if a limit of zero forbids what another key allows.
pub(super) fn with_limits(
    source: &Source,
    function: &FunctionConfig,
    max_depth: u32,
) -> anyhow::Result<()> {
    let limits = function.options.limits.values();
    for (limit, value, key, allowed) in [
        ("max_calls", limits.max_calls, "calls", &function.calls),
        ("max_depth", max_depth, "calls", &function.calls),
        ("max_fetches", limits.max_fetches, "allow_hosts", &function.allow_hosts),
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
