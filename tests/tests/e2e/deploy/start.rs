//! The program starts with the configurations.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use hourglass_tests::client::Client;
use hourglass_tests::guests::module;
use hourglass_tests::program::{self, Serving, Started};
use http::Request;

use super::{kubernetes_config, replace, text};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hourglass-under-test");

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A command that serves a configuration on free ports, with the files that it names in a folder.
fn serve(config: &str, folder: &Path, token: &str) -> Result<Command> {
    let functions = folder.join("functions");
    fs::create_dir(&functions)?;
    for name in ["hello", "mandelbrot"] {
        fs::copy(module(name), functions.join(name).with_extension("wasm"))?;
    }
    fs::write(folder.join("token"), token)?;
    let file = folder.join("hourglass.toml");
    fs::write(&file, config)?;
    let file = file.to_str().context("the folder's name is text")?;
    let mut command = program::command(PROGRAM, &["serve", file]);
    // An address without `admin` of the file: the test can't know the port.
    command.env("HOURGLASS_ADMIN", "127.0.0.1:0");
    Ok(command)
}

/// The configurations, with the files of a folder.
fn configurations() -> Result<[String; 2]> {
    let unit = text("systemd/hourglass.toml")?;
    let unit = replace(&unit, "/run/credentials/hourglass.service/admin-token", "token")?;
    let pod = replace(&kubernetes_config()?, "/srv/functions", "functions")?;
    Ok([unit, replace(&pod, "/run/secrets/hourglass/token", "token")?])
}

#[tokio::test]
async fn the_configurations_serve() -> Result<()> {
    for config in configurations()? {
        let folder = tempfile::tempdir()?;
        let serving = Serving::start(&mut serve(&config, folder.path(), TOKEN)?)?;
        let hello = Client::connect(serving.address).await?.get("/hello").await?;
        assert_eq!(hello.status(), 200);
        let admin = serving.admin();
        let ready = Client::connect(admin).await?.get("/readyz").await?;
        assert_eq!(ready.status(), 200);
        // The token of the file is required, as the scrape configuration presents it.
        for (token, status) in [("another", 401), (TOKEN, 200)] {
            let request =
                Request::get("/metrics").header("authorization", format!("Bearer {token}"));
            let answer = Client::connect(admin).await?.request(&request.body("")?).await?;
            assert_eq!(answer.status(), status);
        }
    }
    Ok(())
}

#[test]
fn the_token_of_the_manifest_has_to_be_replaced() -> Result<()> {
    let manifest = text("kubernetes/config.yaml")?;
    let token = manifest.lines().find_map(|line| line.strip_prefix("  token: "));
    let folder = tempfile::tempdir()?;
    let [_, config] = configurations()?;
    let started = Started::new(&mut serve(&config, folder.path(), token.context("it has one")?)?)?;
    started.told("write at least 16 visible ASCII characters");
    assert_eq!(started.ended()?.code(), Some(1));
    Ok(())
}
