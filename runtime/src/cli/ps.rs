//! `hourglass ps`: the invocations in flight in a server, as a tree.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use super::access::AccessOptions;
use super::output;
use super::table::aligned;
use crate::escape::OneLine;
use crate::http::admin::listing::Listed;
use crate::schema::Period;

/// Lists the invocations that are in flight in a server.
///
/// Each stands below the one that called for it. The server must have been
/// started with `--admin`.
#[derive(Debug, clap::Args)]
pub(crate) struct PsArgs {
    #[command(flatten)]
    server: AccessOptions,
    /// Print a JSON array, in the order of the ids
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &PsArgs) -> anyhow::Result<()> {
    let client = args.server.client(Path::new(""))?;
    let listed = super::block_on(async { Ok(client.invocations().await?) })?;
    if args.json {
        output::json(&serde_json::to_string(&listed)?)?;
    } else if listed.is_empty() {
        output::line(&format!("nothing is in flight at {}", client.address))?;
    } else {
        output::write(&table(&listed))?;
    }
    Ok(())
}

/// The invocations with their depths in the tree, each below its parent and
/// otherwise in the given order. An invocation whose parent is not in flight is
/// a root.
fn tree(listed: &[Listed]) -> Vec<(usize, &Listed)> {
    let present: HashSet<_> = listed.iter().map(|one| one.id).collect();
    let mut below: HashMap<_, Vec<_>> = HashMap::new();
    for one in listed {
        below.entry(one.parent.filter(|id| present.contains(id))).or_default().push(one);
    }
    let mut last_first = |parent| below.remove(&parent).unwrap_or_default().into_iter().rev();
    let mut left: Vec<_> = last_first(None).map(|root| (0, root)).collect();
    let mut tree = Vec::with_capacity(listed.len());
    // The stack's top is always the next invocation.
    while let Some((depth, one)) = left.pop() {
        tree.push((depth, one));
        left.extend(last_first(Some(one.id)).map(|child| (depth + 1, child)));
    }
    tree
}

/// The tree as a table with minimal column widths.
fn table(listed: &[Listed]) -> String {
    let head = ["ID", "FUNCTION", "AGE", "LEFT", "STATE", "REQUEST"].map(str::to_owned);
    let rows = tree(listed).into_iter().map(|(depth, one)| row(depth, one));
    aligned([head].into_iter().chain(rows))
}

fn row(depth: usize, one: &Listed) -> [String; 6] {
    let state = match &one.cause {
        Some(cause) => format!("ending: {}", OneLine(cause)),
        None => "running".to_owned(),
    };
    let left = one.remaining_ms.map_or_else(|| "-".to_owned(), time);
    let request = one.request_id.as_deref().unwrap_or("-");
    let function = format!("{}{}", "  ".repeat(depth), one.function);
    [
        one.id.to_string(),
        OneLine(function).to_string(),
        time(one.age_ms),
        left,
        state,
        OneLine(request).to_string(),
    ]
}

/// A duration, rounded for people.
fn time(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds}ms"),
        1_000..60_000 => format!("{}.{}s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        longer => Period::text(Duration::from_secs(longer / 1_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: u64, parent: Option<u64>) -> Listed {
        Listed { id, parent, function: format!("f{id}"), ..Listed::default() }
    }

    fn places(listed: &[Listed]) -> Vec<(usize, u64)> {
        tree(listed).into_iter().map(|(depth, one)| (depth, one.id)).collect()
    }

    #[test]
    fn each_stands_below_its_parent() {
        let listed = [
            one(1, None),
            one(2, None),
            one(3, Some(1)),
            one(4, Some(3)),
            one(5, Some(2)),
            one(6, Some(1)),
        ];
        assert_eq!(places(&listed), [(0, 1), (1, 3), (2, 4), (1, 6), (0, 2), (1, 5)]);
        assert_eq!(places(&[]), []);
    }

    #[test]
    fn one_whose_parent_is_gone_is_a_root() {
        assert_eq!(places(&[one(7, Some(3)), one(8, Some(7))]), [(0, 7), (1, 8)]);
    }

    #[test]
    fn a_long_chain_is_no_danger() {
        let chain: Vec<_> = (1..=10_000).map(|id| one(id, id.checked_sub(1))).collect();
        assert_eq!(tree(&chain).last().map(|(depth, one)| (*depth, one.id)), Some((9_999, 10_000)));
    }

    #[test]
    fn columns_are_aligned() {
        let first = Listed {
            age_ms: 61_900,
            remaining_ms: Some(2_345),
            request_id: Some("r-1\u{1b}".to_owned()),
            ..one(9, None)
        };
        let second = Listed {
            age_ms: 12,
            done: Some("canceled".to_owned()),
            cause: Some("operator".to_owned()),
            ..one(10, Some(9))
        };
        let expected = "\
ID  FUNCTION  AGE   LEFT  STATE             REQUEST
9   f9        1m1s  2.3s  running           r-1\\u{1b}
10    f10     12ms  -     ending: operator  -
";
        assert_eq!(table(&[first, second]), expected);
    }
}
