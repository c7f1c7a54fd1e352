//! The dashboards of Grafana. No Grafana runs here: their structure is checked as far as its
//! documentation describes it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result};
use hourglass_tests::guests::repository;
use serde_json::Value;

use super::text;

pub(super) const DASHBOARDS: [&str; 2] = ["grafana/overview.json", "grafana/function.json"];

/// The columns of Grafana's grid.
const COLUMNS: u64 = 24;

fn dashboard(name: &str) -> Result<Value> {
    serde_json::from_str(&text(name)?).with_context(|| name.to_owned())
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// The panels of a dashboard that show data.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(dashboard, "panels").iter().filter(|panel| panel["type"] != "row")
}

/// A query of a panel.
pub(super) struct Query {
    /// The title of the panel.
    pub(super) panel: String,
    pub(super) text: String,
    /// The labels that the legend shows.
    pub(super) labels: Vec<String>,
}

/// The queries of a dashboard.
pub(super) fn queries(name: &str) -> Result<Vec<Query>> {
    let dashboard = dashboard(name)?;
    let mut queries = Vec::new();
    for panel in panels(&dashboard) {
        for target in list(panel, "targets") {
            let legend = target["legendFormat"].as_str().context("a query has a legend")?;
            let labels = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
            queries.push(Query {
                panel: panel["title"].to_string(),
                text: target["expr"].as_str().context("there is a query")?.to_owned(),
                labels: labels.map(str::to_owned).collect(),
            });
        }
    }
    Ok(queries)
}

/// Each variable of a dashboard that is filled from a label: its name, the metric, and the label.
pub(super) fn variables(name: &str) -> Result<Vec<(String, String, String)>> {
    let dashboard = dashboard(name)?;
    let variables = list(&dashboard["templating"], "list").iter();
    let variables = variables.filter(|variable| variable["type"] == "query").map(|variable| {
        let query = variable["query"]["query"].as_str().context("a variable has a query")?;
        let values = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (metric, label) =
            values.and_then(|values| values.rsplit_once(", ")).context("values")?;
        Ok((variable["name"].to_string(), metric.to_owned(), label.to_owned()))
    });
    variables.collect()
}

#[test]
fn panels_are_complete_and_do_not_overlap() -> Result<()> {
    for name in DASHBOARDS {
        let dashboard = dashboard(name)?;
        let mut cells = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in list(&dashboard, "panels") {
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            let place = format!("{name}: {}", panel["title"]);
            assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{place}");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "{place} overlaps another panel");
            }
            assert!(ids.insert(panel["id"].as_u64()), "{place}: its id is taken");
        }
        let count = panels(&dashboard).count();
        assert!(count >= 20, "{name}: {count} panels");
        for panel in panels(&dashboard) {
            let place = format!("{name}: {}", panel["title"]);
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{place} has no unit");
            let targets = list(panel, "targets");
            let names: BTreeSet<_> = targets.iter().map(|of| of["refId"].as_str()).collect();
            assert!(!targets.is_empty() && names.len() == targets.len(), "{place}: {names:?}");
            for source in targets.iter().chain([panel]).map(|of| &of["datasource"]["uid"]) {
                assert_eq!(source, "${datasource}", "{place}");
            }
        }
    }
    Ok(())
}

#[test]
fn every_name_is_documented() -> Result<()> {
    let mut queries = vec![("alerts".to_owned(), text("prometheus/alerts.yml")?)];
    for name in DASHBOARDS {
        queries.extend(self::queries(name)?.into_iter().map(|query| (query.panel, query.text)));
    }
    let page = |name: &str| fs::read_to_string(repository().join("docs").join(name));
    let pages = page("metrics.md")? + &page("http.md")?;
    let code: BTreeSet<_> = pages.split('`').skip(1).step_by(2).collect();
    for (place, query) in queries {
        let ends = ["_bucket", "_sum", "_count"];
        for metric in metrics(&query) {
            let base = ends.iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric);
            assert!(code.contains(base) || code.contains(metric), "{place}: {metric}");
        }
        for value in label_values(&query) {
            assert!(code.contains(value), "{place}: {value}");
        }
    }
    Ok(())
}

/// The names of metrics in a text.
fn metrics(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    words.filter(|word| word.starts_with("hourglass_") || word.starts_with("process_"))
}

/// The values of labels that the host chooses, in the selectors of a text.
fn label_values(text: &str) -> impl Iterator<Item = &str> {
    const LABELS: [&str; 5] = ["cause", "outcome", "phase", "reason", "source"];
    let selectors = text.split('"').collect::<Vec<_>>();
    let pairs = selectors.windows(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>();
    let of_host = |before: &str| {
        let label = before.trim_end_matches(['=', '~', '!']);
        label.len() < before.len() && LABELS.iter().any(|name| label.ends_with(name))
    };
    pairs
        .into_iter()
        .filter(move |(before, _)| of_host(before))
        .flat_map(|(_, values)| values.split('|'))
}
