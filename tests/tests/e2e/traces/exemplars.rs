//! Metrics that lead to traces.

use std::future::pending;

use anyhow::{Context as _, Result};
use hourglass::http::Admin;
use hourglass_tests::client::Client;
use hourglass_tests::guests::function;
use http::Request;

use super::{SAMPLED, Traced, UNSAMPLED};

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_names_the_latest_exported_trace() -> Result<()> {
    let functions = [function("x-caller", "caller").calls(["x-echo"]), function("x-echo", "echo")];
    let traced = Traced::sampled(0.0, functions).await?;
    let admin = Admin::bind("127.0.0.1:0", traced.host.runtime.clone()).await?;
    let address = admin.local_addr()?;
    tokio::spawn(admin.run(pending()));
    let scrape = async |accept: &str| -> Result<String> {
        let request = Request::get("/metrics").header("host", address.to_string());
        let request = request.header("accept", accept).body("")?;
        let response = Client::connect(address).await?.request(&request).await?;
        Ok(String::from_utf8(response.into_body())?)
    };
    let open = "application/openmetrics-text";
    traced.get("/x-caller/call/x-echo", &[("traceparent", UNSAMPLED)]).await?;
    assert!(!scrape(open).await?.contains("trace_id"));
    traced.get("/x-caller/call/x-echo", &[("traceparent", SAMPLED)]).await?;
    let text = scrape(open).await?;
    assert!(!scrape("text/plain").await?.contains("trace_id"));
    for function in ["x-caller", "x-echo"] {
        let labels = format!("function=\"{function}\",outcome=\"response\",phase=\"run\"}}");
        let lines = text.lines().filter(|line| line.contains(&labels) && line.contains(" # {"));
        let [line] = &*lines.collect::<Vec<_>>() else { panic!("{function}: {text}") };
        let (sample, exemplar) = line.split_once(" # ").context("an exemplar")?;
        let (trace, numbers) = exemplar.split_once("} ").context("a value")?;
        assert_eq!(trace, format!("{{trace_id=\"{}\"", &SAMPLED[3..35]));
        let (value, at) = numbers.split_once(' ').context("a time")?;
        let bound = sample.split('"').nth(1).context("a bound")?;
        let (value, bound): (f64, f64) = (value.parse()?, bound.parse()?);
        assert!(value <= bound && value > bound / 2.0, "{line}");
        assert!(at.parse::<f64>()? > 1.7e9, "{line}");
    }
    assert!(text.ends_with("# EOF\n"));
    Ok(())
}
