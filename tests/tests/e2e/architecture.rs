//! The module structure of the runtime: which module may import which, and which may name a crate.

use std::fs;
use std::path::Path;
use std::process::Command;

use hourglass_tests::guests::repository;

/// A source file of the runtime.
struct Source {
    /// Its path inside `runtime/src`.
    path: String,
    text: String,
}

impl Source {
    /// The top-level module that contains it.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Its lines without comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines().map(str::trim_start);
        lines.filter(|line| !line.starts_with("//"))
    }

    /// Whether its code contains a path that starts with `name::`.
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

/// The modules of the runtime as CONTRIBUTING.md draws them: rows from top to bottom.
fn diagram() -> Vec<Vec<String>> {
    let page = fs::read_to_string(repository().join("CONTRIBUTING.md")).unwrap();
    let (_, diagram) = page.split_once("Each imports only modules of the rows below it:").unwrap();
    let rows = diagram.lines().skip_while(|line| line.is_empty());
    let rows = rows.map_while(|line| line.strip_prefix("    "));
    rows.map(|row| row.split(", ").map(str::to_owned).collect()).collect()
}

/// The names that follow `crate::` in a line.
fn siblings(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn each_module_imports_only_modules_below_it() {
    let rows = diagram();
    let row = |name: &str| rows.iter().position(|row| row.iter().any(|module| module == name));
    for source in sources().iter().filter(|source| source.module() != "lib") {
        let module = source.module();
        let own = row(module).unwrap_or_else(|| panic!("`{module}` is not in CONTRIBUTING.md"));
        for line in source.code() {
            for sibling in siblings(line).filter(|sibling| *sibling != module) {
                match row(sibling) {
                    Some(other) => assert!(
                        other > own,
                        "{}: {module} must not import {sibling}: {line}",
                        source.path
                    ),
                    // The program uses the library as an embedder does.
                    None => assert_eq!(module, "cli", "{}: {line}", source.path),
                }
            }
        }
    }
}

#[test]
fn the_diagram_lists_every_module_once() {
    let mut drawn: Vec<_> = diagram().into_iter().flatten().collect();
    let mut modules: Vec<_> = sources().iter().map(|source| source.module().to_owned()).collect();
    modules.retain(|module| module != "lib");
    modules.sort();
    modules.dedup();
    drawn.sort();
    assert_eq!(drawn, modules);
}

/// Checks that only these modules name a crate or module.
fn only(modules: &[&str], thing: &str) {
    let mut named = 0;
    for source in sources().iter().filter(|source| source.names(thing)) {
        let allowed = modules.contains(&source.module()) || modules.contains(&&*source.path);
        assert!(allowed, "{} must not name {thing}", source.path);
        named += 1;
    }
    assert!(named > 0, "nothing names {thing}: this test looks for the wrong thing");
}

#[test]
fn only_http_names_the_server_library_and_only_outbound_the_client() {
    for server in ["matchit", "tokio_rustls"] {
        only(&["http"], server);
    }
    for either in ["hyper", "hyper_util", "rustls"] {
        only(&["http", "outbound"], either);
    }
    only(&["outbound"], "hyper_rustls");
}

#[test]
fn only_five_modules_name_wasmtime() {
    only(&["engine", "function", "invocation", "guest", "runtime"], "wasmtime");
    only(&["guest"], "wasmtime_wasi");
}

#[test]
fn only_jobs_names_the_database_and_the_calendar() {
    for library in ["redb", "croner", "jiff"] {
        only(&["jobs"], library);
    }
}

#[test]
fn only_outcome_maps_failures_to_statuses() {
    let mut known = Vec::new();
    for source in sources() {
        let above = ["http", "cli", "main"].contains(&source.module());
        if !above && source.code().any(|line| line.contains("StatusCode")) {
            known.push(source.path);
        }
    }
    // The others read a status that a guest or another host returns.
    known.sort();
    let read = [
        "guest/wire.rs",
        "jobs/message.rs",
        "outbound/fetch.rs",
        "outbound/request.rs",
        "outcome.rs",
    ];
    assert_eq!(known, read);
}

#[test]
fn only_the_program_uses_anyhow_and_the_terminal() {
    only(&["cli"], "anyhow");
    only(&["cli"], "ratatui");
}

#[test]
fn every_file_starts_with_module_documentation() {
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
    for name in ["clap", "toml", "indicatif", "cargo_metadata", "ratatui", "tracing-subscriber"] {
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
