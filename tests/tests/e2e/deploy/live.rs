//! Every query, asked of a Prometheus that scrapes a host.

use std::future::pending;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hourglass::http::Admin;
use hourglass_tests::guests::function;
use hourglass_tests::host::{self, Host};
use hourglass_tests::{LONG, lines};
use serde_json::Value;

use super::dashboards::{self, DASHBOARDS, Query};
use super::prometheus::Prometheus;
use super::{text, tool};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The function whose values the dashboard of one function shows.
const SHOWN: &str = "scraped-stuck";

/// A host whose functions end in different ways.
async fn host() -> Result<Host> {
    let held = function("scraped-held", "stuck").timeout(LONG);
    let stuck = function(SHOWN, "stuck").timeout(Duration::from_millis(50));
    let runtime = host::with(
        host::builder().max_in_flight(2),
        [
            function("scraped-echo", "echo"),
            function("scraped-fail", "fail"),
            function("scraped-caller", "caller").calls(["scraped-echo"]),
            stuck.grace(Duration::from_millis(20)),
            held,
        ],
    );
    Ok(Host::start(runtime, |server| server).await?)
}

/// Requests with several outcomes. `round` counts from 1.
async fn traffic(host: &Host, round: usize) -> Result<()> {
    for (path, status) in [
        ("/scraped-echo", 200),
        ("/scraped-caller/call/scraped-echo", 200),
        ("/scraped-fail/panic", 500),
        ("/scraped-fail/3", 500),
        ("/scraped-stuck/spin", 504),
        ("/nothing", 404),
    ] {
        assert_eq!(host.get(path).await?.status(), status, "{path}");
    }
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = host.client().await?;
        client.send("GET /scraped-held/sleep HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        clients.push(client);
    }
    lines::told_times("scraped-held", "begun", 2 * round).await;
    assert_eq!(host.get("/scraped-echo").await?.status(), 503);
    drop(clients);
    host::in_flight(&host.runtime, 0).await;
    Ok(())
}

#[tokio::test]
async fn every_query_has_data() -> Result<()> {
    let Some(program) = tool("prometheus") else { return Ok(()) };
    let host = host().await?;
    let admin = Admin::bind("127.0.0.1:0", host.runtime.clone()).await?.token(TOKEN.parse()?);
    let address = admin.local_addr()?;
    tokio::spawn(admin.run(pending()));

    // A rate needs two scrapes, with traffic in between.
    traffic(&host, 1).await?;
    let prometheus = Prometheus::start(&program, address, TOKEN).await?;
    scraped(&prometheus, &host).await?;
    traffic(&host, 2).await?;
    scraped(&prometheus, &host).await?;

    for name in DASHBOARDS {
        dashboard(&prometheus, name).await.context(name)?;
    }
    for (name, query) in autoscalers()? {
        has_data(&prometheus, &query).await.context(name)?;
    }
    alerts(&prometheus).await
}

/// Checks that each panel has data and each label of its legend, and that variables have values.
async fn dashboard(prometheus: &Prometheus, name: &str) -> Result<()> {
    for Query { panel, text, labels } in dashboards::queries(name)? {
        let samples = has_data(prometheus, &text).await.context(panel)?;
        for label in labels {
            let labeled = samples.iter().all(|sample| sample[&label].is_string());
            ensure!(labeled, "{text} has no label {label}: {samples:?}");
        }
    }
    for (variable, metric, label) in dashboards::variables(name)? {
        let samples = has_data(prometheus, &metric).await.context(variable)?;
        ensure!(samples.iter().all(|sample| sample[&label].is_string()), "{metric} has no {label}");
    }
    Ok(())
}

/// Checks that each alert can be evaluated, and that one sees what the traffic did.
async fn alerts(prometheus: &Prometheus) -> Result<()> {
    let rules = prometheus.rules().await?;
    for rule in &rules {
        let query = rule["query"].as_str().context("a rule has a query")?;
        ensure!(rule["health"] == "ok", "{rule}");
        prometheus.query(query).await.context(rule["name"].to_string())?;
        if rule["name"] == "HourglassRejects" {
            has_data(prometheus, query).await?;
        }
    }
    ensure!(rules.len() >= 10, "there are {} rules", rules.len());
    Ok(())
}

/// Waits until Prometheus knows all invocations.
async fn scraped(prometheus: &Prometheus, host: &Host) -> Result<()> {
    let metrics = host.runtime.metrics();
    let outcomes = metrics.functions.iter().flat_map(|function| &function.outcomes);
    let ended: u64 = outcomes.map(|outcome| outcome.invocations).sum();
    let sum = "sum(hourglass_invocations_total)";
    prometheus.until_some(sum, |value| value == ended as f64).await.map(drop)
}

/// Waits until a query has a number, and returns the labels of its samples. A scrape that takes too
/// long on a busy machine leaves a gap.
async fn has_data(prometheus: &Prometheus, query: &str) -> Result<Vec<Value>> {
    let query = filled(query);
    let samples = prometheus.until_some(&query, |value| !value.is_nan()).await?;
    Ok(samples.into_iter().map(|(labels, _)| labels).collect())
}

/// A query with a value for each variable.
fn filled(query: &str) -> String {
    let query = query.replace("$__rate_interval", "5m").replace("$function", SHOWN);
    query.replace("$job", "hourglass").replace("$instance", ".*")
}

/// The queries of the autoscalers, by file.
fn autoscalers() -> Result<[(&'static str, String); 2]> {
    let query = |name, key| {
        let text = text(name)?;
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(key));
        let quoted = line.and_then(|line| line.strip_prefix(": '")?.strip_suffix('\''));
        anyhow::Ok((name, quoted.context("there is a query")?.to_owned()))
    };
    let keda = query("kubernetes/keda/scaled-object.yaml", "query")?;
    let (name, template) = query("kubernetes/hpa/prometheus-adapter-values.yaml", "metricsQuery")?;
    // As the adapter fills it.
    let template = template.replace("<<.Series>>", "hourglass_in_flight");
    let matchers = r#"namespace="default",pod=~"hourglass-0""#;
    let template = template.replace("<<.LabelMatchers>>", matchers).replace("<<.GroupBy>>", "pod");
    Ok([keda, (name, template)])
}
