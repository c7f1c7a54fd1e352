//! Mounted folders: what a function can read, and what it cannot do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use hourglass::{DeployError, Function, InstanceReuse, MountError};
use hourglass_tests::guests::{function, module};
use hourglass_tests::host::{self, Host};
use hourglass_tests::hung::Hung;
use hourglass_tests::{LONG, lines, program};
use http::{Method, Request, Response};
use rustix::fs::{FileType, Mode};
use tempfile::TempDir;

/// A folder to mount, and one beside it that must stay unreachable.
///
/// ```text
/// outside/secret
/// data/a.txt  data/deep/b.txt  data/many/1 ...
/// data/inner -> a.txt   data/out -> ../outside   data/absolute -> (data/a.txt)
/// data/pipe
/// ```
fn folder() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    for path in ["outside", "data/deep", "data/many"] {
        fs::create_dir_all(folder.path().join(path))?;
    }
    fs::write(folder.path().join("outside/secret"), "secret")?;
    fs::write(data.join("a.txt"), "0123456789 the end")?;
    fs::write(data.join("deep/b.txt"), "deep")?;
    for number in 0..500 {
        fs::write(data.join(format!("many/a-rather-long-name-of-a-file-{number}")), "")?;
    }
    symlink("a.txt", data.join("inner"))?;
    symlink("../outside", data.join("out"))?;
    symlink("../outside/secret", data.join("deep/secret"))?;
    symlink(data.join("a.txt"), data.join("absolute"))?;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        data.join("pipe"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )?;
    Ok(folder)
}

fn reader(name: &str, folder: &Path) -> Function {
    function(name, "reader").mount("/data", folder.join("data"))
}

async fn ask(host: &Host, function: &str, what: &str) -> Result<Response<Vec<u8>>> {
    let request = Request::post(format!("/{function}")).body(what.to_owned())?;
    Ok(host.client().await?.request(&request).await?)
}

async fn answer(host: &Host, function: &str, what: &str) -> Result<String> {
    let answer = ask(host, function, what).await?;
    let body = String::from_utf8(answer.body().clone())?;
    assert_eq!(answer.status(), 200, "{what}: {body}");
    Ok(body)
}

#[tokio::test]
async fn a_function_reads_its_mounted_folder() -> Result<()> {
    let folder = folder()?;
    let host = Host::serve([reader("reads", folder.path())]).await?;
    for (what, expected) in [
        ("read /data/a.txt", "0123456789 the end"),
        // A relative path starts at the root.
        ("read data/deep/b.txt", "deep"),
        ("read /data/deep/../a.txt", "0123456789 the end"),
        ("read /data/inner", "0123456789 the end"),
        ("link /data/inner", "a.txt"),
        ("middle /data/a.txt", "7 23456e end"),
        ("list /data", "a.txt absolute deep/ inner many/ out pipe"),
        ("list /data/deep", "b.txt secret"),
        ("stat /data/a.txt", "file of 18"),
        ("stat /data/inner", "file of 18"),
        ("stat /data/pipe", "other of 0"),
    ] {
        assert_eq!(answer(&host, "reads", what).await?, expected, "{what}");
    }
    assert!(answer(&host, "reads", "stat /data/deep").await?.starts_with("folder"));
    let many = answer(&host, "reads", "list /data/many").await?;
    assert_eq!(many.split(' ').count(), 500);
    // Changes in the folder are visible at once.
    fs::write(folder.path().join("data/a.txt"), "changed")?;
    assert_eq!(answer(&host, "reads", "read /data/a.txt").await?, "changed");
    Ok(())
}

#[tokio::test]
async fn no_path_leads_out_of_a_folder() -> Result<()> {
    let folder = folder()?;
    let host = Host::serve([reader("stays", folder.path())]).await?;
    let outside = folder.path().join("outside/secret");
    for path in [
        "/data/../outside/secret",
        "/data/deep/../../outside/secret",
        "/data/out/secret",
        "/data/deep/secret",
        "/data/absolute",
        "/etc/passwd",
        "../outside/secret",
        outside.to_str().unwrap(),
        "/proc/self/environ",
    ] {
        for what in ["read", "stat"] {
            let answer = answer(&host, "stays", &format!("{what} {path}")).await?;
            assert!(answer.starts_with("error: "), "{what} {path}: {answer}");
        }
    }
    for path in ["/data/out", "/data/..", "/", ".."] {
        let answer = answer(&host, "stays", &format!("list {path}")).await?;
        assert!(answer.starts_with("error: "), "{path}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn mounts_are_read_only() -> Result<()> {
    let folder = folder()?;
    let host = Host::serve([reader("keeps", folder.path())]).await?;
    let file = folder.path().join("data/a.txt");
    let before = fs::metadata(&file)?.modified()?;
    for (what, path, why) in [
        ("write", "/data/a.txt", "Read-only"),
        ("append", "/data/a.txt", "Read-only"),
        ("create", "/data/a.txt", "Read-only"),
        ("mkdir", "/data/deep", "Read-only"),
        ("remove", "/data/a.txt", "Read-only"),
        ("rmdir", "/data/deep", "Read-only"),
        ("rename", "/data/a.txt", "Read-only"),
        ("hard-link", "/data/a.txt", "Read-only"),
        ("truncate", "/data/a.txt", "Read-only"),
        ("times", "/data/a.txt", "Read-only"),
        ("scribble", "/data/a.txt", "Bad file descriptor"),
    ] {
        let answer = answer(&host, "keeps", &format!("{what} {path}")).await?;
        assert!(answer.starts_with("error: ") && answer.contains(why), "{what}: {answer}");
    }
    assert_eq!(fs::read_to_string(&file)?, "0123456789 the end");
    assert_eq!(fs::metadata(&file)?.modified()?, before);
    assert_eq!(fs::read_dir(folder.path().join("data"))?.count(), 7);
    Ok(())
}

#[tokio::test]
async fn a_function_sees_only_its_own_folders() -> Result<()> {
    let folder = folder()?;
    let deep = folder.path().join("data/deep");
    let host = Host::serve([
        reader("first", folder.path()),
        function("second", "reader").mount("/deep", &deep).mount("/deep/again", &deep),
        function("none", "reader"),
    ])
    .await?;
    assert_eq!(answer(&host, "second", "read /deep/b.txt").await?, "deep");
    assert_eq!(answer(&host, "second", "read /deep/again/b.txt").await?, "deep");
    for (function, what) in [
        ("second", "read /data/a.txt"),
        ("first", "read /deep/b.txt"),
        ("none", "read /data/a.txt"),
        ("none", "list /"),
        ("none", "list ."),
    ] {
        let answer = answer(&host, function, what).await?;
        assert!(answer.starts_with("error: "), "{function} {what}: {answer}");
    }
    Ok(())
}

/// Instances are reset in place, and open files are closed at the end of an invocation.
#[tokio::test]
async fn a_function_with_folders_is_reset_in_place() -> Result<()> {
    let folder = folder()?;
    let host = Host::serve([]).await?;
    assert_eq!(host.runtime.deploy(reader("holds", folder.path()))?, InstanceReuse::ResetInPlace);
    for _ in 0..20 {
        let answer = answer(&host, "holds", "hold /data/a.txt").await?;
        assert!(answer.starts_with("32 ") && answer.contains("os error 33"), "{answer}");
    }
    Ok(())
}

/// All guests together may use a quarter of the process's descriptors: 25 of 100.
#[test]
fn guests_cannot_exhaust_the_hosts_descriptors() -> Result<()> {
    let folder = folder()?;
    let config = folder.path().join("hourglass.toml");
    let text = "[function.reader]\nmounts = { \"/data\" = \"data\" }\n";
    fs::write(&config, format!("{text}file = {:?}\n", module("reader")))?;
    let limited = ["-c", "ulimit -n 100; exec \"$@\"", "sh"];
    let program = env!("CARGO_BIN_EXE_hourglass-under-test");
    let output = program::command("sh", &limited)
        .args([program, "invoke", "reader", "--data", "hold /data/a.txt", "--config"])
        .arg(&config)
        .output()?;
    let said = String::from_utf8(output.stdout)?;
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("25 ") && said.contains("os error 41"), "{said}{failed}");
    Ok(())
}

#[tokio::test]
async fn a_guest_that_reads_forever_ends_on_time() -> Result<()> {
    let folder = folder()?;
    // Small enough to be read within the limit by a busy machine.
    fs::write(folder.path().join("data/large"), vec![b'x'; 1 << 20])?;
    let host =
        Host::serve([reader("large", folder.path()).timeout(Duration::from_secs(2))]).await?;
    let answer = ask(&host, "large", "forever /data/large").await?;
    assert_eq!(answer.status(), 504);
    assert!(lines::count("large", &format!("{} bytes", 1 << 20)) > 0, "it read nothing");
    host::in_flight(&host.runtime, 0).await;
    Ok(())
}

/// A file system that never answers neither delays the end of its guests nor blocks the threads
/// that read for other functions.
#[tokio::test]
async fn a_hung_file_system_does_not_delay_others() -> Result<()> {
    let Some(hung) = Hung::mount()? else { return Ok(()) };
    let folder = folder()?;
    let hangs = function("hangs", "reader").mount("/data", hung.path()).grace(LONG);
    let host = Host::serve([
        // Long enough for all of them to begin to read.
        hangs.timeout(Duration::from_secs(3)),
        reader("beside", folder.path()).timeout(LONG),
    ])
    .await?;
    // There are more reads than threads.
    for _ in 0..2 {
        let mut clients = Vec::new();
        for _ in 0..40 {
            let mut client = host.client().await?;
            let body = "read /data/file";
            let head = format!("POST /hangs HTTP/1.1\r\nhost: x\r\ncontent-length: {}", body.len());
            client.send(format!("{head}\r\n\r\n{body}")).await?;
            clients.push(client);
        }
        for mut client in clients {
            let answer = tokio::time::timeout(LONG / 10, client.answer(&Method::POST)).await?;
            // It responds within its grace period.
            assert_eq!(answer?.body(), b"error: Operation canceled (os error 11)");
        }
    }
    let list = answer(&host, "beside", "list /data/deep");
    assert_eq!(tokio::time::timeout(LONG / 10, list).await??, "b.txt secret");
    host::in_flight(&host.runtime, 0).await;
    Ok(())
}

/// A FIFO without a writer: opening it would block a thread forever.
#[tokio::test]
async fn a_pipe_is_not_opened() -> Result<()> {
    let folder = folder()?;
    let host = Host::serve([reader("pipes", folder.path())]).await?;
    for what in ["read /data/pipe", "hold /data/pipe"] {
        let answer = answer(&host, "pipes", what).await?;
        assert!(answer.contains("Not supported"), "{answer}");
    }
    Ok(())
}

#[test]
fn an_invalid_mount_is_an_error() -> Result<()> {
    let folder = folder()?;
    let runtime = host::builder().build()?;
    let mount = |path: &str, place: &str| {
        let wrong = function("wrong", "reader").mount("/fine", folder.path());
        runtime.deploy(wrong.mount(path, folder.path().join(place))).unwrap_err()
    };
    for path in ["data", "", "/data/../x", "/fine"] {
        let error = mount(path, "data");
        assert!(
            matches!(&error, DeployError::Mount(MountError::Path { path: at, .. }) if at == path),
            "{error}"
        );
    }
    for place in ["missing", "data/a.txt"] {
        let error = mount("/data", place);
        assert!(matches!(&error, DeployError::Mount(MountError::Folder { .. })), "{error}");
        assert!(error.to_string().contains(place), "{error}");
    }
    Ok(())
}

/// `/proc` contains the host's environment and memory.
#[test]
fn kernel_file_systems_are_not_mounted() -> Result<()> {
    let runtime = host::builder().build()?;
    for place in ["/", "/proc", "/proc/self", "/sys", "/sys/kernel", "/dev", "/proc/../"] {
        let wrong = function("kernels", "reader").mount("/data", place);
        let error = runtime.deploy(wrong).unwrap_err();
        let said = format!("{:#}", anyhow::Error::from(error));
        assert!(said.contains("shows the kernel's state"), "{place}: {said}");
    }
    Ok(())
}

#[test]
fn the_configuration_mounts_folders_and_errors_name_the_line() -> Result<()> {
    let folder = folder()?;
    let config = folder.path().join("hourglass.toml");
    let run = |mounts: &str| -> Result<(String, String)> {
        let text = format!("[function.reader]\nfile = {:?}\n{mounts}\n", module("reader"));
        fs::write(&config, text)?;
        let arguments = ["invoke", "reader", "--config", config.to_str().unwrap(), "--data"];
        let program = env!("CARGO_BIN_EXE_hourglass-under-test");
        let output = program::command(program, &arguments).arg("read /data/deep/b.txt").output()?;
        Ok((String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
    };
    assert_eq!(run(r#"mounts = { "/data" = "data" }"#)?.0, "deep");
    for (mounts, about) in [
        (
            r#"mounts = { "/data" = "missing" }"#,
            "missing can't be mounted at `/data`: No such file",
        ),
        (r#"mounts = { "data" = "data" }"#, "`data`: write an absolute path"),
    ] {
        let (_, said) = run(mounts)?;
        assert!(said.contains("hourglass.toml:3:12: ") && said.contains(about), "{said}");
    }
    let (_, said) = run("[function.far]\nurl = \"http://x/\"\nmounts = { \"/data\" = \"data\" }")?;
    assert!(said.contains("hourglass.toml:5:12: "), "{said}");
    Ok(())
}
