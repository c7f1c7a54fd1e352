//! Numbers that depend on each other agree.

use anyhow::{Context as _, Result, bail};
use toml::{Table, Value};

use super::{kubernetes_config, text, values};

/// Seconds in which clients may take their responses at the end of a drain.
const FAREWELL: f64 = 1.0;

/// The only value of a key.
fn number(text: &str, key: &str) -> Result<f64> {
    let [value] = values(text, key)[..] else { bail!("{key:?} is not there once") };
    value.parse().with_context(|| format!("{key:?}: {value}"))
}

/// Seconds of a duration such as `30s` or `500ms`.
fn seconds(value: &Value) -> Result<f64> {
    let text = value.as_str().context("a duration is a text")?;
    Ok(match text.strip_suffix("ms") {
        Some(millis) => millis.parse::<f64>()? / 1_000.0,
        None => text.strip_suffix('s').context("in seconds")?.parse()?,
    })
}

/// The configurations, and the seconds that the server has to stop.
fn configurations() -> Result<[(Table, f64); 2]> {
    let unit = number(&text("systemd/hourglass.service")?, "\nTimeoutStopSec=")?;
    let deployment = text("kubernetes/deployment.yaml")?;
    let pod = number(&deployment, "terminationGracePeriodSeconds: ")?;
    Ok([(text("systemd/hourglass.toml")?.parse()?, unit), (kubernetes_config()?.parse()?, pod)])
}

/// The defaults of `docs/configuration.md`.
fn or_default(table: &Table, key: &str) -> Result<f64> {
    let default = match key {
        "timeout" => "10s",
        _ => "100ms",
    };
    seconds(table.get(key).unwrap_or(&Value::from(default)))
}

#[test]
fn a_server_that_is_stopped_can_finish() -> Result<()> {
    for (config, stop) in configurations()? {
        let drain = seconds(&config["drain"])?;
        let functions = config["function"].as_table().context("there are functions")?;
        let mut longest = 0.0_f64;
        for function in functions.values().filter_map(Value::as_table) {
            let (timeout, grace) =
                (or_default(function, "timeout")?, or_default(function, "grace")?);
            longest = longest.max(grace);
            assert!(
                timeout + grace <= drain,
                "{function:?} may take longer than the drain of {drain} s"
            );
        }
        let delay = config.get("drain_delay").map_or(Ok(0.0), seconds)?;
        let needed = delay + drain + longest + FAREWELL;
        assert!(needed + 5.0 <= stop, "it may take {needed} s to stop, of {stop} s");
    }
    Ok(())
}

#[test]
fn the_memory_limits_are_one() -> Result<()> {
    assert_eq!(values(&text("systemd/hourglass.service")?, "\nMemoryMax="), ["4G"]);
    assert_eq!(values(&text("kubernetes/deployment.yaml")?, "limits: { memory: "), ["4Gi"]);
    let alerts = text("prometheus/alerts.yml")?;
    assert!(
        alerts.contains("process_resident_memory_bytes{job=\"hourglass\"} > 0.8 * 4 * 1024 ^ 3\n")
    );
    Ok(())
}

#[test]
fn the_autoscalers_aim_at_60_percent_of_the_limit() -> Result<()> {
    let config: Table = kubernetes_config()?.parse()?;
    let limit = config["max_in_flight"].as_integer().context("it is a number")? as f64;
    let hpa = number(&text("kubernetes/hpa/autoscaler.yaml")?, "averageValue: ")?;
    let keda = number(&text("kubernetes/keda/scaled-object.yaml")?, "threshold: ")?;
    assert_eq!([hpa, keda], [0.6 * limit; 2]);
    Ok(())
}

#[test]
fn the_image_has_the_functions_of_the_configuration() -> Result<()> {
    let (config, image) = (kubernetes_config()?.parse::<Table>()?, text("Containerfile")?);
    for (name, function) in config["function"].as_table().context("there are functions")? {
        assert_eq!(function["file"].as_str(), Some(&*format!("/srv/functions/{name}.wasm")));
        for line in
            [format!("/src/target/wasm32-wasip1/release/{name}.wasm "), format!("--package {name}")]
        {
            assert!(image.contains(&line), "{line}");
        }
    }
    assert!(image.contains(" /srv/functions/\n"));
    Ok(())
}
