//! The checks of other programs: `promtool`, `kubernetes-validate`, `hadolint` and
//! `systemd-analyze`.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use hourglass_tests::guests::repository;

use super::prometheus::configure;
use super::{path, replace, succeed, text, tool};

/// The most exposure of the unit, in tenths, where 100 is a service without restrictions.
const EXPOSURE: &str = "15";

#[test]
fn the_alerts_pass_their_tests() -> Result<()> {
    let Some(promtool) = tool("promtool") else { return Ok(()) };
    succeed(
        Command::new(&promtool).args(["test", "rules"]).arg(path("prometheus/alerts.test.yml")),
    )?;
    let folder = tempfile::tempdir()?;
    configure(folder.path(), "127.0.0.1:9090", "token")?;
    let check = ["check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"];
    succeed(Command::new(&promtool).args(check).current_dir(folder.path()))?;
    Ok(())
}

#[test]
fn the_manifests_match_the_schemas_of_kubernetes() -> Result<()> {
    let Some(validate) = tool("kubernetes-validate") else { return Ok(()) };
    let mut files = vec![path("kubernetes/hpa/autoscaler.yaml")];
    for entry in fs::read_dir(path("kubernetes"))? {
        files.extend(Some(entry?.path()).filter(|path| path.is_file()));
    }
    for file in files {
        let said = succeed(Command::new(&validate).arg("--strict").arg(&file))?;
        ensure!(said.contains(" passed ") && !said.contains("WARN"), said);
    }
    Ok(())
}

#[test]
fn the_custom_resources_match_their_models() -> Result<()> {
    let Some(python) = tool("python-with-models") else { return Ok(()) };
    // As examples/deploy/README.md makes it.
    let head = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n\
                metadata: { name: hourglass }\nspec:\n";
    let alerts = text("prometheus/alerts.yml")?;
    let rules = alerts.lines().map(|line| format!("  {line}\n")).collect::<String>();
    let scaler = text("kubernetes/keda/scaled-object.yaml")?;
    let resources = [
        replace(&scaler, "pollingInterval", "polling")?,
        replace(&scaler, "pollingInterval: 15", "pollingInterval: often")?,
        scaler,
        text("kubernetes/prometheus-operator/service-monitor.yaml")?,
        head.to_owned() + &rules,
    ];
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), resources.join("\n---\n"))?;
    let script = repository().join("tests/tests/e2e/deploy/custom_resources.py");
    let input = Stdio::from(fs::File::open(file.path())?);
    let said = succeed(Command::new(python).arg(script).stdin(input))?;
    let lines: Vec<_> = said.lines().collect();
    let [unknown, mistyped, valid @ ..] = &lines[..] else { panic!("{said}") };
    assert_eq!(*unknown, "ScaledObject.spec.polling is unknown");
    assert!(mistyped.starts_with("ScaledObject.spec.pollingInterval: "), "{mistyped}");
    assert_eq!(valid, ["ok"; 3]);
    Ok(())
}

#[test]
fn the_containerfile_has_no_lint() -> Result<()> {
    let Some(hadolint) = tool("hadolint") else { return Ok(()) };
    let said = succeed(Command::new(hadolint).arg("--no-color").arg(path("Containerfile")))?;
    assert_eq!(said, "");
    Ok(())
}

/// `cargo build` reads whole directories, and pages that the code includes.
#[test]
fn the_image_gets_all_that_is_built() -> Result<()> {
    let image = text("Containerfile")?;
    let copied = image.lines().filter_map(|line| line.strip_prefix("COPY ")?.split_once(' '));
    let copied: Vec<_> = copied.map(|(from, _)| from).collect();
    let manifest: toml::Table = fs::read_to_string(repository().join("Cargo.toml"))?.parse()?;
    let members = manifest["workspace"]["members"].as_array().context("there are members")?;
    let members = members.iter().filter_map(|member| member.as_str()?.split('/').next());
    for folder in members.chain(["Cargo.toml", "docs"]) {
        assert!(copied.contains(&folder), "{folder} is not copied");
    }
    Ok(())
}

#[test]
fn the_unit_is_valid_and_restricted() -> Result<()> {
    let Some(analyze) = tool("systemd-analyze") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let unit = folder.path().join("hourglass.service");
    // The program is not installed here.
    let program = "/usr/local/bin/hourglass";
    fs::write(&unit, replace(&text("systemd/hourglass.service")?, program, "/bin/true")?)?;
    let said = succeed(Command::new(&analyze).args(["verify", "--man=no"]).arg(&unit))?;
    ensure!(!said.contains("hourglass.service"), said);
    let security = ["security", "--no-pager", "--offline=true", "--threshold", EXPOSURE];
    succeed(Command::new(&analyze).args(security).arg(&unit))?;
    Ok(())
}
