//! A receiver of others.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use hourglass::otlp::{Exporter, Protocol};
use hourglass_tests::guests::function;
use hourglass_tests::poll;
use hourglass_tests::tools::tool;

use super::serve;

/// Rotel, which prints what it receives.
struct Receiver(Child);

impl Receiver {
    fn start(program: &Path, output: &Path, [grpc, http]: &[String; 2]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["start", "--otlp-grpc-endpoint", grpc, "--otlp-http-endpoint", http]);
        command.args(["--exporter", "blackhole", "--debug-log", "traces"]);
        command.args(["--debug-log-verbosity", "detailed"]);
        Ok(Self(command.stdout(File::create(output)?).stderr(Stdio::null()).spawn()?))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // On an error it has exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The values of a field of all spans, in order.
fn values(text: &str, field: &str) -> Vec<String> {
    let values =
        text.lines().filter_map(|line| line.trim().strip_prefix(field)?.trim().strip_prefix(':'));
    values.map(|value| value.trim().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_others_takes_the_spans() -> Result<()> {
    let Some(program) = tool("rotel-agent") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let output = folder.path().join("received");
    // Ports that were free a moment ago: it can't choose one.
    let free =
        || Ok::<_, anyhow::Error>(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string());
    let addresses = [free()?, free()?];
    let _receiver = Receiver::start(&program, &output, &addresses)?;
    for (address, protocol) in addresses.iter().zip([Protocol::Grpc, Protocol::Http]) {
        poll::until(|| std::net::TcpStream::connect(address)).await;
        let exporter = Exporter::builder(format!("http://{address}")).protocol(protocol).start()?;
        let functions =
            [function("r-caller", "caller").calls(["r-fail"]), function("r-fail", "fail")];
        let host = serve(&exporter, functions).await?;
        assert_eq!(host.get("/r-caller/call/r-fail/7").await?.status(), 200);
        exporter.flush().await;
        let counts = host.runtime.metrics().export.context("there is an exporter")?.spans;
        assert_eq!(counts, [("sent", 4), ("failed", 0), ("dropped", 0)]);
    }
    let received = poll::until(|| {
        let text = fs::read_to_string(&output)?;
        let last = values(&text, "Status code").len() == 8;
        if last { Ok(text) } else { Err(anyhow::anyhow!(text)) }
    })
    .await;
    let names = ["GET", "r-caller", "call r-fail", "r-fail"];
    assert_eq!(values(&received, "Name"), [names, names].concat());
    let (ids, parents) = (values(&received, "ID"), values(&received, "Parent ID"));
    for first in [0, 4] {
        assert_eq!(parents[first], "");
        assert_eq!(parents[first + 1..first + 4], ids[first..first + 3]);
    }
    assert_eq!(received.matches("STATUS_CODE_ERROR").count(), 4);
    assert!(received.contains("faas.invoked_name: Str(r-fail)"), "{received}");
    Ok(())
}
