//! The program: its output, its exit codes, and signals.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::Result;
use hourglass_tests::client::{self, Client};
use hourglass_tests::guests::{module, repository};
use hourglass_tests::program::{self, Serving, Started};
use hourglass_tests::{modules, poll, process};
use http::Method;
use rustix::process::Signal;
use serde_json::Value;

fn hourglass(arguments: &[&str]) -> Command {
    program::command(env!("CARGO_BIN_EXE_hourglass-under-test"), arguments)
}

/// The output and the exit status of a command.
struct Said {
    status: ExitStatus,
    out: String,
    err: String,
}

fn say(command: &mut Command) -> Result<Said> {
    let output = command.output()?;
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    Ok(Said { status: output.status, out, err })
}

/// Runs a command that must fail, and returns its error output.
fn fails(arguments: &[&str]) -> Result<String> {
    let said = say(&mut hourglass(arguments))?;
    assert_eq!(said.status.code(), Some(1), "{}", said.err);
    assert_eq!(said.out, "");
    Ok(said.err)
}

fn path(module: &Path) -> &str {
    module.to_str().unwrap()
}

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
    let missing = say(hourglass(&arguments).env_remove("NOSY_TOKEN"))?;
    assert_eq!(missing.status.code(), Some(1));
    assert!(missing.err.contains("hourglass.toml:7:9: the variable NOSY_TOKEN"), "{}", missing.err);
    let said = say(hourglass(&arguments).env("NOSY_TOKEN", "correct horse"))?;
    let expected = r#"{"GREETING": "hi", "KEY": "hunter2", "TOKEN": "correct horse"}"#;
    assert!(said.out.contains(expected), "{}{}", said.out, said.err);
    assert!(!said.err.contains("hunter2") && !said.err.contains("correct"), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn the_program_serves_and_drains_on_a_signal() -> Result<()> {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let files = [path(module("hello")), path(module("echo"))];
        let mut command = hourglass(&["serve", files[0], files[1], "--listen", "127.0.0.1:0"]);
        let serving = Serving::start(&mut command)?;
        let mut client = Client::connect(serving.address).await?;
        let answer = client.get("/hello/program").await?;
        assert!(answer.body().starts_with(b"hello program, "));

        // A request in flight at the signal still gets its response.
        client.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n").await?;
        assert_eq!(client.interim().await?, 100);
        serving.signal(signal);
        client::refused(serving.address).await;
        client.send("last").await?;
        assert_eq!(client.answer(&Method::POST).await?.body(), b"last");
        assert_eq!(serving.ended()?.code(), Some(0), "{signal:?}");
    }
    Ok(())
}

#[tokio::test]
async fn invocations_beyond_the_drain_period_are_canceled() -> Result<()> {
    let stuck = path(module("stuck"));
    let mut command = hourglass(&["serve", stuck, "--listen", "127.0.0.1:0"]);
    command.args(["--timeout", "10m", "--grace", "10ms", "--drain", "50ms"]);
    let serving = Serving::start(&mut command)?;
    let mut client = Client::connect(serving.address).await?;
    client.send("GET /stuck/spin HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    serving.told("begun");
    serving.signal(Signal::TERM);
    let answer = client.answer(&Method::GET).await?;
    assert_eq!(answer.status(), 503);
    let problem: Value = serde_json::from_slice(answer.body())?;
    assert_eq!(problem["cause"], "shutdown");
    assert_eq!(serving.ended()?.code(), Some(0));
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

    let hello = path(module("hello"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let said = fails(&["serve", hello, "--listen", &address])?;
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");

    let said = say(&mut hourglass(&["serve", hello, "--colour"]))?;
    assert_eq!(said.status.code(), Some(2));
    assert!(said.err.contains("--colour"), "{}", said.err);
    Ok(())
}

#[test]
fn invoke_runs_a_function_once() -> Result<()> {
    let said = say(&mut hourglass(&["invoke", path(module("echo")), "--data", "a body"]))?;
    assert!(said.status.success(), "{}", said.err);
    assert_eq!(said.out, "a body");

    let header = ["--header", "x-tenant: acme", "--path", "/echo?a=b", "--json"];
    let mut command = hourglass(&["invoke", path(module("metadata"))]);
    let said = say(command.args(header))?;
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
    let said = say(&mut hourglass(&["check", hello]))?;
    assert!(said.status.success(), "{}", said.err);
    assert!(said.out.contains("would deploy; its instances are reset in place"), "{}", said.out);
    let said = say(&mut hourglass(&["check", "--instances", "new", hello]))?;
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
    let said = say(&mut hourglass(&["check", hello, path(&other)]))?;
    assert_eq!(said.status.code(), Some(1));
    assert!(said.out.contains("hourglass_v9") && said.out.contains("rebuild it"), "{}", said.out);
    Ok(())
}

/// A separate crate that depends on the SDK, with the versions of this repository.
fn new_crate(folder: &Path, name: &str, main: &str) -> Result<()> {
    let folder = folder.join(name);
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/main.rs"), main)?;
    fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nhourglass-sdk = \
         {{ path = {:?} }}\n[profile.release]\ndebug = \"line-tables-only\"\n",
        repository().join("guest-sdk")
    );
    Ok(fs::write(folder.join("Cargo.toml"), manifest)?)
}

/// `up` in a folder with a function that does not build: its compiler errors are printed, and the
/// other function is served.
#[tokio::test]
async fn up_builds_and_serves_functions() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = "fn main() { hourglass_sdk::serve(|_: &hourglass_sdk::Context, _| \"built\") }";
    new_crate(folder.path(), "good", good)?;
    new_crate(folder.path(), "bad", "fn main() { let number: u32 = \"text\"; }")?;
    // Reuses the build artifacts of this repository.
    let release = module("hello").parent().unwrap();
    let target = release.ancestors().nth(2).unwrap();
    let mut command = hourglass(&["up", path(folder.path()), "--listen", "127.0.0.1:0"]);
    command.env("CARGO_TARGET_DIR", target).env("CARGO_NET_OFFLINE", "true");
    let serving = Serving::start(&mut command)?;
    let said = serving.told("`bad` does not build");
    let said = said + &serving.told("mismatched types");
    assert!(said.contains("error[E0308]"), "{said}");
    let mut client = Client::connect(serving.address).await?;
    assert_eq!(client.get("/good").await?.body(), b"built");
    assert_eq!(client.get("/bad").await?.status(), 404);
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended()?.code(), Some(0));
    Ok(())
}

/// A command that serves `hello`, and blocks during startup after its first log line.
fn starting(folder: &Path) -> Result<Command> {
    // Opening a FIFO without a writer blocks, so the startup lasts until the test ends it.
    let fifo = folder.join("slow.wasm");
    let made = Command::new("mkfifo").arg(&fifo).status()?;
    assert!(made.success());
    let mut command = hourglass(&["serve", path(&fifo)]);
    // An unknown variable makes it log a line before it reads anything.
    command.env("HOURGLASS_TIMEOT", "1s");
    Ok(command)
}

#[test]
fn a_signal_during_startup_ends_the_program() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = starting(folder.path())?;
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let started = Started::new(&mut command)?;
        started.told("write HOURGLASS_TIMEOUT");
        started.signal(signal);
        assert_eq!(started.ended()?.code(), Some(code), "{signal:?}");
    }
    Ok(())
}

#[test]
fn a_signal_during_startup_ends_the_init_process() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let command = starting(folder.path())?;
    let can = Command::new("unshare").args(["--pid", "--fork", "true"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        println!("skipped: a process namespace needs `unshare` and its rights");
        return Ok(());
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child"]).arg(command.get_program());
    unshare.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => unshare.env(name, value),
            None => unshare.env_remove(name),
        };
    }
    let started = Started::new(&mut unshare)?;
    started.told("write HOURGLASS_TIMEOUT");
    let children = format!("/proc/{0}/task/{0}/children", started.id());
    let child: i32 = fs::read_to_string(children)?.trim().parse()?;
    rustix::process::kill_process(rustix::process::Pid::from_raw(child).unwrap(), Signal::TERM)?;
    assert_eq!(started.ended()?.code(), Some(143));
    Ok(())
}

#[test]
fn a_signal_ends_the_builds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    new_crate(folder.path(), "slow", "fn main() {}")?;
    // A `cargo` that never ends and has a child process. Both write their ids.
    let cargo = folder.path().join("cargo");
    let ids = folder.path().join("ids");
    let script = format!(
        "#!/bin/sh\nmkfifo {0:?}.wait\nsh -c 'echo $$ >> {0:?}; read x < {0:?}.wait' &\n\
         echo $$ >> {0:?}\necho started >&2\nread x < {0:?}.wait\n",
        ids.to_str().unwrap()
    );
    let script = script.replace('"', "");
    fs::write(&cargo, script)?;
    fs::set_permissions(&cargo, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut command = hourglass(&["up", path(folder.path())]);
    let started = Started::new(command.env("CARGO", &cargo))?;
    let both = poll::until_blocking(|| {
        let ids = fs::read_to_string(&ids).unwrap_or_default();
        let ids: Vec<u32> = ids.lines().filter_map(|id| id.parse().ok()).collect();
        if ids.len() == 2 { Ok(ids) } else { Err(ids) }
    });
    started.signal(Signal::TERM);
    assert_eq!(started.ended()?.code(), Some(143));
    poll::until_blocking(|| match both.iter().find(|id| process::is_running(**id)) {
        Some(id) => Err(format!("process {id} goes on")),
        None => Ok(()),
    });
    Ok(())
}

#[test]
fn names_from_a_module_are_escaped_on_the_terminal() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut module = modules::Module::with_memory(1);
    module.import(
        "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31mOK would deploy",
        "x\nfake line: would deploy\u{202e}\u{9b}2J",
        modules::takes(0),
    );
    module.code(0, |_| ());
    let file = folder.path().join("esc\u{1b}[2J\nx.wasm");
    fs::write(&file, module.finish())?;
    for command in ["check", "serve", "invoke"] {
        let said = say(&mut hourglass(&[command, path(&file)]))?;
        assert_eq!(said.status.code(), Some(1), "{command}");
        let all = said.out + &said.err;
        let is_bad = |char: char| char.is_control() && char != '\n' || char == '\u{202e}';
        assert!(!all.contains(is_bad), "{command}: {all:?}");
        assert!(all.lines().count() <= 2, "{command}: {all}");
    }
    Ok(())
}

#[test]
fn a_command_line_error_suggests_a_fix() -> Result<()> {
    for (arguments, variable, instead) in [
        (&["--timeout", "0s"][..], None, "`10s`"),
        (&["--memory", "8GiB"], None, "64KiB to 4GiB"),
        (&["--memory", "1KiB"], None, "64KiB to 4GiB"),
        (&["--response-body", "0"], None, "`10MiB`"),
        (&["--fetches-at-once", "0"], None, "from 1 to 4294967295"),
        (&["--head-timeout", "0s"], None, "`10s`"),
        (&["--log", "verbose"], None, "error, warn, info, debug and trace"),
        (&[], Some(("HOURGLASS_LOG", "hourglas=debug")), "error, warn, info, debug and trace"),
        (&[], Some(("HOURGLASS_TIMEOUT", "0s")), "`10s`"),
        (&[], Some(("HOURGLASS_TIMEOUT", "")), "HOURGLASS_TIMEOUT is empty"),
        (&[], Some(("HOURGLASS_TLS_CERT", "")), "HOURGLASS_TLS_CERT is empty"),
        (&["--max-in-flight", "0"], None, "from 1 to 4294967295"),
        (&["--max-functions", "0"], None, "from 1 to 4294967295"),
        (&["--admin-token", "hush"], None, "at least 16"),
        (&[], Some(("HOURGLASS_ADMIN_TOKEN", "hush")), "HOURGLASS_ADMIN_TOKEN"),
    ] {
        let mut command = hourglass(&["serve", "none.wasm"]);
        let said = say(command.args(arguments).envs(variable))?;
        assert_eq!(said.status.code(), Some(2), "{arguments:?} {variable:?}: {}", said.err);
        assert!(said.err.contains(instead), "{arguments:?} {variable:?}: {}", said.err);
        assert!(!said.err.contains("hush"), "{}", said.err);
    }
    for (arguments, instead) in [
        (["-X", "get"], "write `GET`"),
        (["--method", "Post"], "write `POST`"),
        (["--method", "a b"], "such as `GET`"),
        (["--path", "hello"], "write `/hello`"),
        (["--path", "http://h/a"], "begins with `/`"),
        (["--path", "/a#b"], "`%23`"),
        (["--path", "/a b"], "`%20`"),
    ] {
        let said = say(hourglass(&["invoke", "none.wasm"]).args(arguments))?;
        assert_eq!(said.status.code(), Some(2), "{arguments:?}: {}", said.err);
        assert!(said.err.contains(instead), "{arguments:?}: {}", said.err);
    }
    Ok(())
}

#[test]
fn arguments_are_escaped_on_the_terminal() -> Result<()> {
    let value = "\u{9b}2J\u{202e}\u{1b}[2Jx";
    let said = say(&mut hourglass(&["serve", "none.wasm", "--timeout", value]))?;
    assert_eq!(said.status.code(), Some(2));
    assert!(said.err.contains("is not a time"), "{}", said.err);
    let is_bad = |char: char| char.is_control() && char != '\n' || char == '\u{202e}';
    assert!(!said.err.contains(is_bad), "{:?}", said.err);
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
    Ok(())
}
