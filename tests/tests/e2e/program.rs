//! The program: its configuration, its output, and its exit codes.

use std::fs;

use anyhow::Result;
use hourglass_tests::client::Client;
use hourglass_tests::guests::module;
use hourglass_tests::modules;
use hourglass_tests::program::{Serving, Started};
use serde_json::Value;

use super::command::{fails, hourglass, path, run};

#[test]
fn settings_and_secrets_reach_only_their_function() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("key"), "hunter2\n")?;
    let config = folder.path().join("hourglass.toml");
    fs::write(
        &config,
        format!(
            "[function.nosy]\nfile = {:?}\n[function.nosy.env]\nGREETING = \"hi\"\n\
             [function.nosy.secrets]\nKEY = {{ file = \"key\" }}\nTOKEN = {{ env = \"NOSY_TOKEN\" }}\n",
            module("nosy")
        ),
    )?;
    let arguments = ["invoke", "nosy", "--config", path(&config)];
    let missing = run(hourglass(&arguments).env_remove("NOSY_TOKEN"))?;
    assert_eq!(missing.status.code(), Some(1));
    assert!(missing.err.contains("hourglass.toml:7:9: the variable NOSY_TOKEN"), "{}", missing.err);
    let said = run(hourglass(&arguments).env("NOSY_TOKEN", "correct horse"))?;
    let expected = r#"{"GREETING": "hi", "KEY": "hunter2", "TOKEN": "correct horse"}"#;
    assert!(said.out.contains(expected), "{}{}", said.out, said.err);
    assert!(!said.err.contains("hunter2") && !said.err.contains("correct"), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn a_configuration_names_functions_and_routes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hourglass.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\nlisting = false\n[function.greeter]\nfile = {:?}\nroutes = [\"/greet/{{name}}\"]\n\
         [function.named]\nfile = {:?}\nroutes = [\"/n\"]\npublic = true\n\
         [function.price]\nfile = {:?}\npublic = false\n\
         [function.small]\nfile = {:?}\nrequest_body = 3\n",
        module("metadata"),
        module("metadata"),
        module("echo"),
        module("echo"),
    );
    fs::write(&file, text)?;
    let serving = Serving::start(&mut hourglass(&["serve", path(&file)]))?;
    let mut client = Client::connect(serving.address).await?;
    for target in ["/greet/somebody", "/n", "/named", "/named/below"] {
        let shown: Value = serde_json::from_slice(client.get(target).await?.body())?;
        assert_eq!(shown["request"]["path"], target);
    }
    // Internal functions and unrouted names look like unknown ones.
    for target in
        ["/greeter", "/greeter/x", "/price", "/price/x", "/%70rice", "//price", "/none", "/"]
    {
        assert_eq!(client.get(target).await?.status(), 404, "{target}");
    }
    let list: Vec<_> = (0..5).map(|_| serving.line()).collect();
    let url = format!("  http://{}", serving.address);
    let expected = [
        format!("{url}/greet/{{name}} -> greeter"),
        format!("{url}/named -> named"),
        format!("{url}/n -> named"),
        "  internal -> price".to_owned(),
        format!("{url}/small -> small"),
    ];
    assert_eq!(list, expected);
    let post = |body: &'static str| http::Request::post("/small").body(body);
    assert_eq!(client.request(&post("123")?).await?.status(), 200);
    assert_eq!(client.request(&post("1234")?).await?.status(), 413);
    Ok(())
}

#[test]
fn a_configuration_error_names_its_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hourglass.toml");
    for (text, line, about) in [
        ("listen = \"127.0.0.1:0\"\nlisten_to = 1\n", 2, "listen_to"),
        ("\n\n[function.a]\ntimeout = \"2 parsecs\"\n", 4, "2 parsecs"),
        ("[function.a]\nfile = \"missing.wasm\"\n", 2, "missing.wasm"),
        ("[function.\"a/b\"]\n", 1, "a/b"),
        ("[function.a\n", 1, "function"),
    ] {
        fs::write(&file, text)?;
        let said = fails(&["serve", path(&file)])?;
        let place = format!("{}:{line}:", file.display());
        assert!(said.contains(&place) && said.contains(about), "{said}");
    }
    Ok(())
}

#[test]
fn an_unusable_function_is_an_error_with_a_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = folder.path().join("text.wasm");
    fs::write(&text, "(module)")?;
    let said = fails(&["serve", path(&text)])?;
    assert!(said.contains("not a core WebAssembly module"), "{said}");
    assert!(said.contains(path(&text)), "{said}");

    let missing = folder.path().join("missing.wasm");
    let said = fails(&["serve", path(&missing)])?;
    assert!(said.contains(path(&missing)), "{said}");

    let said = fails(&["serve", path(folder.path())])?;
    assert!(said.contains(&format!("`hourglass up {}`", path(folder.path()))), "{said}");
    let said = fails(&["serve", "hello"])?;
    assert!(said.contains("release/hello.wasm"), "{said}");

    let hello = path(module("hello"));
    let said = fails(&["up", hello])?;
    assert!(said.contains(&format!("`hourglass serve {hello}`")), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let said = fails(&["serve", hello, "--listen", &address])?;
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");

    let said = run(&mut hourglass(&["serve", hello, "--colour"]))?;
    assert_eq!(said.status.code(), Some(2));
    assert!(said.err.contains("--colour"), "{}", said.err);
    Ok(())
}

#[test]
fn invoke_runs_a_function_once() -> Result<()> {
    let said = run(&mut hourglass(&["invoke", path(module("echo")), "--data", "a body"]))?;
    assert!(said.status.success(), "{}", said.err);
    assert_eq!(said.out, "a body");

    let header = ["--header", "x-tenant: acme", "--path", "/echo?a=b", "--json"];
    let mut command = hourglass(&["invoke", path(module("metadata"))]);
    let said = run(command.args(header))?;
    assert!(said.status.success(), "{}", said.err);
    let report: Value = serde_json::from_str(&said.out)?;
    assert_eq!((&report["outcome"], &report["status"]), (&"response".into(), &200.into()));
    assert!(report["body"].as_str().unwrap().contains("acme"), "{report}");
    assert!(report["peak_memory_bytes"].as_u64() >= Some(1 << 20), "{report}");
    Ok(())
}

#[test]
fn a_failed_invocation_reports_how() -> Result<()> {
    let fail = path(module("fail"));
    let said = fails(&["invoke", fail, "--path", "/fail/panic"])?;
    for part in ["fail::inner", "fail::outer", "the panic's own words"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let said = fails(&["invoke", fail, "--path", "/fail/7"])?;
    assert!(said.contains("code 7"), "{said}");
    let said = fails(&["invoke", path(module("spin")), "--timeout", "50ms"])?;
    assert!(said.contains("deadline"), "{said}");
    Ok(())
}

#[test]
fn check_does_not_run_the_function() -> Result<()> {
    let hello = path(module("hello"));
    let said = run(&mut hourglass(&["check", hello]))?;
    assert!(said.status.success(), "{}", said.err);
    assert!(said.out.contains("would deploy; its instances are reset in place"), "{}", said.out);
    let said = run(&mut hourglass(&["check", "--instances", "new", hello]))?;
    assert!(
        said.out.contains("a new instance, because the setting `instances` requires it"),
        "{}",
        said.out
    );

    let folder = tempfile::tempdir()?;
    let other = folder.path().join("other.wasm");
    let mut module = modules::Module::with_memory(1);
    module.import("hourglass_v9", "request", modules::takes(2));
    module.code(0, |_| ());
    fs::write(&other, module.finish())?;
    let said = run(&mut hourglass(&["check", hello, path(&other)]))?;
    assert_eq!(said.status.code(), Some(1));
    assert!(said.out.contains("hourglass_v9") && said.out.contains("rebuild it"), "{}", said.out);
    Ok(())
}

#[test]
fn an_unknown_callee_is_reported_with_a_suggestion() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("hourglass.toml");
    let file = path(module("hello"));
    let text = format!(
        "[function.hello]\nfile = {file:?}\ncalls = [\"prise\"]\n[function.price]\nfile = {file:?}\n"
    );
    fs::write(&config, text)?;
    let started =
        Started::new(&mut hourglass(&["serve", path(&config), "--listen", "127.0.0.1:0"]))?;
    let said = started.told("names `prise`");
    assert!(said.contains("write `price`"), "{said}");
    let said = run(&mut hourglass(&["check", path(&config)]))?;
    assert!(said.status.success(), "{}", said.err);
    assert!(
        said.err.contains("names `prise`") && said.err.contains("write `price`"),
        "{}",
        said.err
    );
    Ok(())
}
