//! TLS: protocol negotiation, streaming, and certificates that change.

use std::fs;
use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use hourglass::Function;
use hourglass::http::Tls;
use hourglass_tests::client::Client;
use hourglass_tests::guests::{function, module};
use hourglass_tests::host::{self, Host};
use hourglass_tests::http2::{self, piece};
use hourglass_tests::program::{self, Serving};
use hourglass_tests::tls::{Pair, Trust};
use hourglass_tests::{LONG, lines};
use rustix::process::Signal;

async fn serve(functions: impl IntoIterator<Item = Function>) -> Result<(Host, Pair, Trust)> {
    let (pair, trust) = Pair::new()?;
    let tls = Tls::from_files(&pair.certificate, &pair.key)?;
    let host = Host::start(host::runtime(functions), |server| server.tls(tls)).await?;
    Ok((host, pair, trust))
}

#[tokio::test]
async fn alpn_selects_the_http_version() -> Result<()> {
    let (host, _pair, trust) = serve([function("hello", "hello")]).await?;
    for versions in [&["h2"][..], &["http/1.1", "h2"]] {
        let stream = trust.connect(host.address, versions).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut client = http2::Client::over(stream).await?;
        assert!(client.get("/hello/tls").await?.body().starts_with(b"hello tls, "));
    }
    for versions in [&["http/1.1"][..], &[]] {
        let mut client = Client::over(trust.connect(host.address, versions).await?);
        for _ in 0..2 {
            assert!(client.get("/hello/tls").await?.body().starts_with(b"hello tls, "));
        }
    }
    assert!(trust.connect(host.address, &["spdy/3"]).await.is_err());
    Ok(())
}

#[tokio::test]
async fn bodies_of_any_length_round_trip() -> Result<()> {
    let (host, _pair, trust) = serve([function("echoes", "stream").timeout(LONG)]).await?;
    let body: Vec<u8> = (0..5_u32 << 20).map(|at| (at % 251) as u8).collect();
    let request = |target: &str| http::Request::post(target).body(body.clone());
    let mut client = http2::Client::over(trust.connect(host.address, &["h2"]).await?).await?;
    let answer = client.request(request(&http2::url("/echoes/echo"))?).await?;
    assert!(*answer.body() == body);
    // A client that sends everything before it reads.
    let mut client = Client::over(trust.connect(host.address, &[]).await?);
    let counted = client.request(&request("/echoes/count")?).await?;
    assert_eq!(counted.body(), format!("{} bytes", body.len()).as_bytes());
    Ok(())
}

#[tokio::test]
async fn a_client_that_sends_more_than_is_read_gets_its_response() -> Result<()> {
    let (host, _pair, trust) = serve([function("tls-small", "echo").request_body(1_000)]).await?;
    let mut client = Client::over(trust.connect(host.address, &[]).await?);
    let request = http::Request::post("/tls-small").body(vec![b'x'; 8 << 20])?;
    assert_eq!(client.request(&request).await?.status(), 413);
    Ok(())
}

#[tokio::test]
async fn a_disconnect_ends_its_function() -> Result<()> {
    let (host, _pair, trust) =
        serve([function("tls-gone", "stuck").timeout(LONG).grace(LONG)]).await?;
    let mut client = Client::over(trust.connect(host.address, &[]).await?);
    client.send("GET /tls-gone/print HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    lines::told("tls-gone", "begun").await;
    drop(client);
    lines::told("tls-gone", "cause: client-disconnected").await;
    assert_eq!(host.runtime.shutdown(LONG).await, 0);
    Ok(())
}

#[tokio::test]
async fn an_aborted_response_is_not_taken_for_complete() -> Result<()> {
    let late = function("tls-late", "stream").timeout(Duration::from_secs(2));
    let (host, _pair, trust) = serve([late.grace(Duration::ZERO)]).await?;
    let mut client = Client::over(trust.connect(host.address, &[]).await?);
    client.send("GET /tls-late/wait HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    client.head().await?;
    assert_eq!(client.piece().await?.unwrap(), b"a line\n");
    assert_eq!(client.piece().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);

    let mut client = http2::Client::over(trust.connect(host.address, &["h2"]).await?).await?;
    let mut body = client.start(http2::get("/tls-late/wait")).await?.into_body();
    assert_eq!(piece(&mut body).await?.unwrap(), "a line\n");
    assert!(piece(&mut body).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_renewed_certificate_is_used_at_once() -> Result<()> {
    let (host, pair, old) = serve([function("hello", "hello")]).await?;
    let mut before = Client::over(old.connect(host.address, &[]).await?);
    let new = pair.renew()?;
    assert!(new.is_of(host.address).await?);
    assert!(!old.is_of(host.address).await?);
    assert_eq!(before.get("/hello").await?.status(), 200, "existing connections are not affected");
    Ok(())
}

#[tokio::test]
async fn an_invalid_certificate_keeps_the_old_one() -> Result<()> {
    let (host, pair, good) = serve([function("hello", "hello")]).await?;
    let (other, _) = Pair::new()?;
    let breakages: [&dyn Fn() -> std::io::Result<()>; 4] = [
        &|| fs::write(&pair.key, "no key"),
        &|| fs::copy(&other.key, &pair.key).map(drop),
        &|| fs::write(&pair.certificate, ""),
        &|| fs::remove_file(&pair.certificate),
    ];
    for breaks in breakages {
        breaks()?;
        for _ in 0..2 {
            assert!(good.is_of(host.address).await?);
        }
    }
    assert!(pair.renew()?.is_of(host.address).await?, "the files are read again");
    Ok(())
}

#[test]
fn an_invalid_certificate_error_names_file_and_reason() -> Result<()> {
    let ((pair, _), (other, _)) = (Pair::new()?, Pair::new()?);
    let missing = pair.key.with_file_name("missing.pem");
    let broken = pair.key.with_file_name("broken.pem");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n")?;
    for (certificate, key, file, why) in [
        (&missing, &pair.key, &missing, "can't be read"),
        (&pair.certificate, &missing, &missing, "can't be read"),
        (&pair.key, &pair.key, &pair.key, "no certificate"),
        (&pair.certificate, &pair.certificate, &pair.certificate, "no private key"),
        (&broken, &pair.key, &broken, "no PEM file"),
        (&pair.certificate, &other.key, &other.key, "is not that of the first certificate"),
    ] {
        let said = Tls::from_files(certificate, key).unwrap_err().to_string();
        assert!(said.contains(file.to_str().unwrap()) && said.contains(why), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_without_a_handshake_is_disconnected() -> Result<()> {
    let (pair, _) = Pair::new()?;
    let tls = Tls::from_files(&pair.certificate, &pair.key)?;
    let runtime = host::runtime([function("hello", "hello")]);
    let host =
        Host::start(runtime, |server| server.tls(tls).head_timeout(Duration::from_millis(300)))
            .await?;
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for begins in [&b""[..], hello, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"]
    {
        let mut client = host.client().await?;
        client.send(begins).await?;
        client.ended().await?;
    }
    Ok(())
}

/// The output of `curl`, if an installed one supports this.
fn curl(arguments: &[&str]) -> Option<String> {
    let version = Command::new("curl").arg("--version").output().ok()?;
    let able = String::from_utf8_lossy(&version.stdout).contains("HTTP2");
    let output = able.then(|| Command::new("curl").args(arguments).output())?.ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn the_program_serves_https() -> Result<()> {
    let (pair, trust) = Pair::new()?;
    let [certificate, key] = [&pair.certificate, &pair.key].map(|path| path.to_str().unwrap());
    let hello = module("hello").to_str().unwrap();
    let arguments = ["serve", hello, "--listen", "127.0.0.1:0", "--tls-cert", certificate];
    let command = |arguments: &[&str]| {
        program::command(env!("CARGO_BIN_EXE_hourglass-under-test"), arguments)
    };
    let said = command(&arguments).output()?;
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("`--tls-key FILE`"), "{said:?}");

    let serving = Serving::start(command(&arguments).env("HOURGLASS_TLS_KEY", key))?;
    let mut client = Client::over(trust.connect(serving.address, &[]).await?);
    assert_eq!(client.get("/hello").await?.status(), 200);
    let url = format!("https://localhost:{}/hello/curl", serving.address.port());
    for version in ["--http1.1", "--http2"] {
        let format = ["-w", "%{http_version}"];
        let all = [&["-sS", version, "--cacert", certificate, &url][..], &format].concat();
        if let Some(said) = curl(&all) {
            let number = if version == "--http2" { "2" } else { "1.1" };
            assert!(said.starts_with("hello curl, ") && said.ends_with(number), "{said}");
        }
    }
    fs::write(&pair.key, "no key")?;
    assert!(trust.is_of(serving.address).await?);
    let told = serving.told("can't be used");
    assert!(told.contains(key) && told.contains("no private key"), "{told}");
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended()?.code(), Some(0));
    Ok(())
}
