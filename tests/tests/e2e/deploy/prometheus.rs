//! A Prometheus that scrapes a host, with the files of `examples/deploy/prometheus`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hourglass_tests::client::Client;
use hourglass_tests::program::Started;
use serde_json::Value;
use tempfile::TempDir;

use super::{replace, text};

/// How long a test waits for a scrape, or an evaluation.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// A running Prometheus. It is killed on drop.
pub(super) struct Prometheus {
    address: SocketAddr,
    _started: Started,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it with the configuration of the example, for this host and with shorter intervals.
    pub(super) async fn start(program: &Path, host: SocketAddr, token: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        configure(folder.path(), &host.to_string(), token)?;
        let mut command = Command::new(program);
        command.current_dir(folder.path()).args(["--config.file=prometheus.yml"]);
        command.args(["--web.listen-address=127.0.0.1:0", "--storage.tsdb.path=data"]);
        let started = Started::new(&mut command)?;
        let log = started.told("msg=\"Listening on\"");
        let address = log.trim_end().rsplit_once("address=").context("it logs its address")?.1;
        let this = Self { address: address.parse()?, _started: started, _folder: folder };
        let ready = async || Ok((this.get("/-/ready").await?.0 == 200).then_some(()));
        this.until("it is ready", ready).await?;
        Ok(this)
    }

    /// The samples that a query has now: their labels and values.
    pub(super) async fn query(&self, query: &str) -> Result<Vec<(Value, f64)>> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.api(&format!("/api/v1/query?query={encoded}")).await?;
        ensure!(data["resultType"] == "vector", "{query}: {data}");
        let samples = data["result"].as_array().context("there is a result")?.iter();
        let samples = samples.map(|sample| {
            let value = sample["value"][1].as_str().context("a sample has a value")?;
            Ok((sample["metric"].clone(), value.parse()?))
        });
        samples.collect()
    }

    /// Waits until a query has a sample with such a value, and returns all samples.
    pub(super) async fn until_some(
        &self,
        query: &str,
        is_expected: impl Fn(f64) -> bool,
    ) -> Result<Vec<(Value, f64)>> {
        self.until(query, async || {
            let samples = self.query(query).await?;
            Ok(samples.iter().any(|(_, value)| is_expected(*value)).then_some(samples))
        })
        .await
    }

    /// The alert rules, once all have been evaluated.
    pub(super) async fn rules(&self) -> Result<Vec<Value>> {
        self.until("all rules are evaluated", async || {
            let data = self.api("/api/v1/rules").await?;
            let groups = data["groups"].as_array().context("there are groups")?.iter();
            let rules = groups.filter_map(|group| group["rules"].as_array()).flatten();
            let rules: Vec<_> = rules.cloned().collect();
            Ok(rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules))
        })
        .await
    }

    async fn until<T>(&self, what: &str, state: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
        let reached = async {
            loop {
                if let Some(value) = state().await? {
                    return Ok(value);
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        reached.with_context(|| format!("not within {PATIENCE:?}: {what}"))?
    }

    /// The data of a response of its API.
    async fn api(&self, target: &str) -> Result<Value> {
        let (status, body) = self.get(target).await?;
        let mut answer: Value = serde_json::from_slice(&body)?;
        ensure!(status == 200 && answer["status"] == "success", "{status}: {answer}");
        Ok(answer["data"].take())
    }

    async fn get(&self, target: &str) -> Result<(u16, Vec<u8>)> {
        let answer = Client::connect(self.address).await?.get(target).await?;
        Ok((answer.status().as_u16(), answer.into_body()))
    }
}

/// Writes the configuration of the example to a folder, for one host. The labels are those that
/// a host gets in Kubernetes.
pub(super) fn configure(folder: &Path, host: &str, token: &str) -> Result<()> {
    let targets = r#"targets: ["hourglass-1.internal:9090", "hourglass-2.internal:9090"]"#;
    let target = format!(
        "targets: [\"{host}\"]\n        labels: {{ namespace: default, pod: hourglass-0 }}"
    );
    let config = replace(&text("prometheus/prometheus.yml")?, targets, &target)?;
    let config = replace(&config, "/etc/prometheus/hourglass-token", "token")?;
    let config = replace(&config, "_interval: 15s", "_interval: 1s")?;
    fs::write(folder.join("prometheus.yml"), config)?;
    fs::write(folder.join("alerts.yml"), text("prometheus/alerts.yml")?)?;
    fs::write(folder.join("token"), token)?;
    Ok(())
}
