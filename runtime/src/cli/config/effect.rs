//! Keys that have no effect beside others: each is a mistake, and the error says
//! which one to remove.

use std::ops::Range;

use super::{ConfigError, FunctionTable, Source};

/// Fails where a function on another host has a key that holds only for those
/// of this one. `url` is where it says that it is on another host.
pub(super) fn beside_url(
    source: &Source,
    table: &FunctionTable,
    url: Range<usize>,
) -> Result<(), ConfigError> {
    if let Some(file) = &table.file {
        return Err(source.error(file.span(), "a function has a `file` or a `url`, not both"));
    }
    if let Some(route) = table.routes.first() {
        let reason = "a function with a `url` has no routes: only functions call it";
        return Err(source.error(route.span(), reason));
    }
    if let Some(span) = table.env.first().or_else(|| table.secrets.first()) {
        let reason = "a function with a `url` has its settings where it runs";
        return Err(source.error(span, reason));
    }
    if let Some(host) = table.allow_hosts.first() {
        let reason = "a function with a `url` reaches other hosts from where it runs";
        return Err(source.error(host.span(), reason));
    }
    if let Some(span) = table.mounts.first() {
        let reason = "a function with a `url` has its folders where it runs";
        return Err(source.error(span, reason));
    }
    if let Some(public) = table.public.as_ref().filter(|public| *public.get_ref()) {
        let reason = "a function with a `url` is called by functions alone; remove `public`";
        return Err(source.error(public.span(), reason));
    }
    if let Some(key) = only_here(table) {
        let reason = format!(
            "`{key}` has no effect on a function with a `url`; set it where the function runs, and \
             remove it here"
        );
        return Err(source.error(url, reason));
    }
    Ok(())
}

/// The first key that says how a function is run.
fn only_here(table: &FunctionTable) -> Option<&'static str> {
    let keys = [
        ("grace", table.grace.is_some()),
        ("memory", table.memory.is_some()),
        ("request_body", table.request_body.is_some()),
        ("response_body", table.response_body.is_some()),
        ("instances", table.instances.is_some()),
        ("calls", !table.calls.is_empty()),
        ("max_calls", table.max_calls.is_some()),
        ("max_fetches", table.max_fetches.is_some()),
        ("fetches_at_once", table.fetches_at_once.is_some()),
        ("fetch_body", table.fetch_body.is_some()),
        ("detach", table.detach.is_some()),
    ];
    keys.into_iter().find_map(|(key, is_set)| is_set.then_some(key))
}

/// Fails where a limit of zero forbids what another key allows.
pub(super) fn of_limits(
    source: &Source,
    table: &FunctionTable,
    max_depth: Option<u32>,
) -> Result<(), ConfigError> {
    for (limit, value, key, allowed) in [
        ("max_calls", table.max_calls, "calls", &table.calls),
        ("max_depth", max_depth, "calls", &table.calls),
        ("max_fetches", table.max_fetches, "allow_hosts", &table.allow_hosts),
    ] {
        if let (Some(0), Some(first)) = (value, allowed.first()) {
            let reason = format!(
                "`{key}` has no effect with `{limit} = 0`; remove one of the two, or raise `{limit}`"
            );
            return Err(source.error(first.span(), reason));
        }
    }
    Ok(())
}
