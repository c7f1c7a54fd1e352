use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::anyhow;

use super::*;

type Outcome = anyhow::Result<()>;

#[test]
fn the_error_lists_each_way_and_what_to_type() {
    let reasons = [anyhow!("a\nb").context("no luck"), anyhow!("no suite")];
    let text = |debians_own| failure(&reasons[0], &reasons[1], debians_own);
    assert!(text(false).contains("- `rustup target add`: no luck: a\n    b\n"), "{}", text(false));
    assert!(text(false).contains("- compiling it from Debian's packages: no suite\n"));
    assert!(text(false).contains("Type `rustup target add wasm32-wasip1`"));
    assert!(text(true).contains("Type `apt-get install libstd-rust-dev-wasm32`"));
}

#[test]
fn only_a_target_with_the_mark_is_removed() -> Outcome {
    let sysroot = tempfile::tempdir()?;
    let compiler = Compiler { release: "1.95.0".to_owned(), sysroot: sysroot.path().to_owned() };
    let target = compiler.rustlib().join(TARGET);
    fs::create_dir_all(&target)?;
    remove_own(&compiler)?;
    assert!(target.exists());
    fs::write(target.join(MARK), MARK_TEXT)?;
    remove_own(&compiler)?;
    assert_eq!(fs::read_dir(compiler.rustlib())?.count(), 0);
    Ok(())
}

#[test]
fn a_stage_throws_away_what_was_left_in_it_and_itself() -> Outcome {
    let rustlib = tempfile::tempdir()?;
    let left = rustlib.path().join(".hourglass/left");
    fs::create_dir_all(&left)?;
    let stage = stage(rustlib.path())?;
    assert!(stage.path().is_dir() && !left.exists());
    drop(stage);
    assert_eq!(fs::read_dir(rustlib.path())?.count(), 0);
    Ok(())
}

#[test]
fn the_lock_keeps_others_out_until_it_is_dropped() -> Outcome {
    let rustlib = tempfile::tempdir()?;
    let held = lock(rustlib.path(), &mut Progress::new(|_| ()))?;
    let other = File::open(rustlib.path())?;
    assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    drop(held);
    // Not immediately: another test that is starting a program briefly
    // holds all descriptors that are open here.
    other.lock()?;
    Ok(())
}

/// A machine with the programs that the script runs. Each suite has the packages
/// of a file; a suite without one does not exist. `cargo` records its environment.
struct Machine(TempDir);

impl Machine {
    fn new(suites: &[(&str, &str)]) -> io::Result<Self> {
        let machine = Self(tempfile::tempdir()?);
        for folder in ["bin", "suites", "work", "package/usr/src/rustc-1/library/std"] {
            fs::create_dir_all(machine.path(folder))?;
        }
        for file in ["wasm32-wasip1/crt1.o", "wasm32-wasip1/libc.a", "wasm32-wasip1/libc.imports"] {
            let file = machine.path("package/usr/lib").join(file);
            fs::create_dir_all(file.parent().unwrap_or(&file))?;
            fs::write(file, "")?;
        }
        for (suite, packages) in suites {
            fs::write(machine.path("suites").join(suite), packages)?;
        }
        let root = machine.0.path().display();
        let suite = format!("suite={root}/suites/$(cut -d' ' -f3 sources.list | head -1)");
        for (program, script) in [
            (
                "apt-get",
                format!(
                    "case $* in\n\
                     *--print-uris*) cat {root}/uris;;\n\
                     *download*) touch rust-src_1_all.deb wasi-libc_1_all.deb;;\n\
                     *) sed -i 's/ \\[[^]]*\\]//' sources.list; {suite}; [ -f $suite ] || \
                     {{ echo 'E: it does not have a Release file.'; exit 100; }};;\nesac"
                ),
            ),
            ("apt-cache", format!("{suite}; cat $suite")),
            ("dpkg-deb", format!("tar --create --directory {root}/package .")),
            (
                "cargo",
                format!(
                    "env > {root}/env; deps=target/wasm32-wasip1/release/deps; mkdir -p $deps\n\
                     touch $deps/libstd-1.rlib $deps/libsysroot-1.rlib $deps/std-1.d"
                ),
            ),
        ] {
            let file = machine.path("bin").join(program);
            fs::write(&file, format!("#!/bin/sh\n{script}\n"))?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
        let uri = |archive: &str, suite: &str| {
            format!("'http://example.org/{archive}/dists/{suite}/InRelease' {archive}_{suite} 0 \n")
        };
        let uris = uri("debian", "bookworm")
            + &uri("debian", "bookworm-updates")
            + &uri("debian-security", "bookworm-security")
            + "'http://example.org/debian/dists/bookworm/main/Packages.xz' Packages 0 \n";
        fs::write(machine.path("uris"), uris)?;
        Ok(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self) -> Result<String, CommandError> {
        let path = env::var("PATH").unwrap_or_default();
        let mut script = Command::new("bash");
        script
            .current_dir(self.path("work"))
            .args(["-c", include_str!("debian.sh"), "debian.sh", "1.95.0", TARGET, "/rustc"])
            .args([self.path("bin/cargo"), self.path("lib")])
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .envs([("CARGO_HOME", "kept"), ("CARGO_HTTP_PROXY", "kept"), ("RUSTUP_HOME", "kept")])
            .envs([("CARGO_BUILD_JOBS", "1"), ("CARGO_TARGET_DIR", "/"), ("RUSTFLAGS", "-Cx")]);
        command::output(&mut script, DEBIAN_LIMIT, &mut |_| ())
    }
}

#[test]
fn the_target_is_compiled_from_the_source_of_exactly_this_release() -> Outcome {
    let machine = Machine::new(&[
        ("testing", " rust-src | 1.95.0~beta.3+dfsg1-1~exp1 | x\n wasi-libc | 1 | x\n"),
        ("unstable", " rust-src | 1.95.0-1 | without the C library\n"),
        (
            "bookworm",
            " rust-src | 1.96.1+dfsg1-2 | x\n rust-src | 1:1.95.0+dfsg1-2~bpo13+1 | x\nwasi-libc | 1 | x\n",
        ),
    ])?;
    machine.run()?;
    let source = fs::read_to_string(machine.path("work/sources.list"))?;
    assert_eq!(source, "deb http://example.org/debian bookworm main\n");
    let mut files: Vec<_> = fs::read_dir(machine.path("lib"))?
        .chain(fs::read_dir(machine.path("lib/self-contained"))?)
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    files.sort();
    assert_eq!(files, ["crt1.o", "libc.a", "libstd-1.rlib", "self-contained"]);
    Ok(())
}

#[test]
fn the_callers_flags_do_not_reach_the_library() -> Outcome {
    let machine = Machine::new(&[("stable", "rust-src | 1.95.0-1 | x\nwasi-libc | 1 | x\n")])?;
    machine.run()?;
    let environment = fs::read_to_string(machine.path("env"))?;
    let has = |line: &str| environment.lines().any(|other| other == line);
    for kept in ["CARGO_HOME=kept", "CARGO_HTTP_PROXY=kept", "RUSTUP_HOME=kept"] {
        assert!(has(kept), "{environment}");
    }
    for set in ["RUSTC=/rustc", "RUSTC_WRAPPER=", "RUSTC_WORKSPACE_WRAPPER=", "RUSTC_BOOTSTRAP=1"] {
        assert!(has(set), "{environment}");
    }
    for gone in ["CARGO_BUILD_JOBS", "CARGO_TARGET_DIR", "-Cx"] {
        assert!(!environment.contains(gone), "{environment}");
    }
    Ok(())
}

#[test]
fn every_suite_is_looked_at_once_and_the_likely_ones_first() -> Outcome {
    let has = "rust-src | 1.94.0-1 | x\n";
    let suites = [
        "stable-backports",
        "bookworm-backports",
        "testing",
        "unstable",
        "stable",
        "bookworm",
        "bookworm-updates",
        "oldstable-backports",
        "experimental",
    ];
    let machine = Machine::new(&suites.map(|suite| (suite, has)))?;
    let error = machine.run().expect_err("it is an older release").to_string();
    let looked_at = suites.map(|suite| format!("{suite} (1.94.0)")).join(", ");
    assert!(error.ends_with(&format!("looked at {looked_at}")), "{error}");
    fs::write(machine.path("uris"), "")?;
    let error = machine.run().expect_err("there is no archive").to_string();
    assert!(error.ends_with("apt knows no package archive"), "{error}");
    Ok(())
}
