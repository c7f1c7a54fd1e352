//! The deployment files in `examples/deploy`: dashboards and alerts have data from a live host, files
//! match their schemas, and numbers that depend on each other agree.
//!
//! Some checks need a program that is not a part of the repository. `.ci/deploy-tools` gets them.
//! Without one, its check prints that and is skipped.
//!
//! # Layout
//! - `live`: all queries of dashboards, alerts and autoscalers, asked of a Prometheus that scrapes a
//!   host. `prometheus` is that Prometheus.
//! - `dashboards`: the structure of the dashboards.
//! - `schemas`: the checks of other programs.
//! - `numbers`: numbers of several files that depend on each other.
//! - `references`: names by which manifests refer to each other.
//! - `start`: the program starts with the configurations.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use hourglass_tests::guests::repository;
use hourglass_tests::tools::tool;

mod dashboards;
mod live;
mod numbers;
mod prometheus;
mod references;
mod schemas;
mod start;

/// A deployment file.
fn path(name: &str) -> PathBuf {
    repository().join("examples/deploy").join(name)
}

/// The text of a deployment file.
fn text(name: &str) -> Result<String> {
    fs::read_to_string(path(name)).with_context(|| name.to_owned())
}

/// `hourglass.toml` for Kubernetes, from its `ConfigMap`.
fn kubernetes_config() -> Result<String> {
    let text = text("kubernetes/config.yaml")?;
    let (_, block) = text.split_once("hourglass.toml: |\n").context("there is a block")?;
    let (block, _) = block.split_once("\n---").context("a second document follows")?;
    Ok(block.lines().map(|line| format!("{}\n", line.trim_start())).collect())
}

/// The values after each `key` in a file of lines or of YAML.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let rests = text.split(key).skip(1);
    rests
        .filter_map(|rest| Some(rest.split([',', '}', '\n']).next()?.trim().trim_matches('"')))
        .collect()
}

/// Runs a command that must succeed, and returns its output.
fn succeed(command: &mut Command) -> Result<String> {
    let ended = command.output().with_context(|| format!("{command:?}"))?;
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(ended.status.success(), "{command:?}: {}\n{said}", ended.status);
    Ok(said)
}

/// Replaces a text that must be there.
fn replace(text: &str, from: &str, to: &str) -> Result<String> {
    ensure!(text.contains(from), "no {from:?} in\n{text}");
    Ok(text.replace(from, to))
}
