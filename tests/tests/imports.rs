//! The house: which module of the runtime may know which, and what must not be named where.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::Command;

use hourglass_tests::guests::repository;

/// The modules from top to bottom. Each may import those below it and, where several stand on one
/// floor, those beside it.
const FLOORS: [&[&str]; 8] = [
    &["main"],
    &["cli"],
    &["http"],
    &["runtime"],
    &["invocation"],
    // A function is linked against the ABI, whose state knows the function.
    &["function", "abi"],
    &["engine", "outbound", "admission"],
    &[
        "live",
        "log",
        "task",
        "error",
        "outcome",
        "limits",
        "bounds",
        "bulk",
        "environment",
        "message",
        "trace",
        "headers",
        "mounts",
        "room",
        "pace",
        "escape",
    ],
];

/// Below all of them, and with nobody beside them.
const GROUND: [&str; 3] = ["context", "cores", "build"];

/// A source file of the runtime.
struct Source {
    /// Its path inside of `runtime/src`.
    path: String,
    text: String,
}

impl Source {
    /// The module at the crate's root that it belongs to.
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Its lines of code, without comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines().map(str::trim_start);
        lines.filter(|line| !line.starts_with("//"))
    }

    /// Whether its code names something, as a path does: `name::`.
    fn names(&self, name: &str) -> bool {
        let is_start = |line: &str, at: usize| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':')
        };
        let path = format!("{name}::");
        self.code().any(|line| line.match_indices(&path).any(|(at, _)| is_start(line, at)))
    }
}

fn sources() -> Vec<Source> {
    let root = repository().join("runtime/src");
    let mut sources = Vec::new();
    read(&root, &root, &mut sources);
    assert!(sources.len() > 30, "the sources are elsewhere");
    sources
}

fn read(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, sources);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            sources.push(Source { path, text });
        }
    }
}

fn floor(room: &str) -> usize {
    let floor = FLOORS.iter().position(|rooms| rooms.contains(&room));
    floor.unwrap_or_else(|| panic!("`{room}` stands on no floor: give it one, here and in lib.rs"))
}

/// What stands behind every `crate::` in a line.
fn siblings(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn each_module_knows_only_those_below_it() {
    for source in sources().iter().filter(|source| source.room() != "lib") {
        let room = source.room();
        for line in source.code() {
            for sibling in siblings(line) {
                // The program is a user of the library, and may use its front door.
                let outside = room == "main" || room == "cli" && !is_module(sibling);
                if outside || sibling == room {
                    continue;
                }
                assert!(is_module(sibling), "{}: import it from its module: {line}", source.path);
                let allowed = !GROUND.contains(&room)
                    && (sibling == "context"
                        || sibling == "cores"
                        || sibling == "build" && room == "cli"
                        || !GROUND.contains(&sibling) && floor(sibling) >= floor(room));
                assert!(allowed, "{}: {room} must not know {sibling}: {line}", source.path);
            }
        }
    }
}

fn is_module(name: &str) -> bool {
    GROUND.contains(&name) || FLOORS.iter().any(|rooms| rooms.contains(&name))
}

#[test]
fn every_module_has_its_floor() {
    for source in sources() {
        let room = source.room();
        assert!(room == "lib" || is_module(room), "{}: give `{room}` a floor here", source.path);
    }
}

/// Only these may name a thing.
fn only(rooms: &[&str], thing: &str) {
    let mut named = 0;
    for source in sources().iter().filter(|source| source.names(thing)) {
        let allowed = rooms.contains(&source.room()) || rooms.contains(&&*source.path);
        assert!(allowed, "{} must not name {thing}", source.path);
        named += 1;
    }
    assert!(named > 0, "nobody names {thing}: this test looks for the wrong thing");
}

#[test]
fn only_the_front_names_the_http_server_and_only_the_way_out_the_client() {
    for server in ["matchit", "tokio_rustls"] {
        only(&["http"], server);
    }
    for either in ["hyper", "hyper_util", "rustls"] {
        only(&["http", "outbound"], either);
    }
    only(&["outbound"], "hyper_rustls");
}

#[test]
fn only_four_rooms_and_the_linkers_owner_name_the_engine() {
    only(&["engine", "function", "invocation", "abi", "runtime"], "wasmtime");
    only(&["abi"], "wasmtime_wasi");
}

#[test]
fn only_an_outcome_knows_a_status_for_a_failure() {
    let mut known = Vec::new();
    for source in sources() {
        let above = ["http", "cli", "main"].contains(&source.room());
        if !above && source.code().any(|line| line.contains("StatusCode")) {
            known.push(source.path);
        }
    }
    // The others read the status that the guest gives, and the one that another host does.
    known.sort();
    let read = ["abi/wire.rs", "outbound/fetch.rs", "outbound/redirect.rs", "outcome.rs"];
    assert_eq!(known, read);
}

#[test]
fn nobody_but_the_program_uses_anyhow() {
    only(&["cli"], "anyhow");
}

#[test]
fn every_file_says_what_it_is() {
    for source in sources() {
        assert!(source.text.starts_with("//! "), "{} opens without a word", source.path);
    }
}

#[test]
fn the_library_needs_neither_server_nor_command_line() {
    let packages = |arguments: &[&str]| {
        let cargo = Command::new(env!("CARGO"))
            .current_dir(repository())
            .args(["tree", "--locked", "-p", "hourglass", "-e", "normal", "--prefix", "none"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&cargo.stderr);
        assert!(cargo.status.success(), "{said}");
        let tree = String::from_utf8(cargo.stdout).unwrap();
        tree.lines()
            .filter_map(|line| line.split(' ').next())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (whole, server, library) = (
        packages(&[]),
        packages(&["--no-default-features", "--features", "server"]),
        packages(&["--no-default-features"]),
    );
    let has = |packages: &[String], name: &str| packages.iter().any(|package| package == name);
    for name in ["clap", "toml", "indicatif", "cargo_metadata", "tracing-subscriber"] {
        assert!(has(&whole, name) && !has(&server, name) && !has(&library, name), "{name}");
    }
    for name in ["hyper", "hyper-util", "matchit", "rustls"] {
        assert!(has(&whole, name) && has(&server, name) && !has(&library, name), "{name}");
    }
    assert!(has(&library, "wasmtime"));
}

#[test]
fn every_fixture_is_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (root, mut tests) = (folder.join("tests"), Vec::new());
    read(&root, &root, &mut tests);
    let tests: String = tests.into_iter().map(|test| test.text).collect();
    let mut fixtures = 0;
    for entry in fs::read_dir(folder.join("guests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(tests.contains(&format!(", \"{name}\")")), "no test uses the guest `{name}`");
        fixtures += 1;
    }
    assert!(fixtures > 0);
}
