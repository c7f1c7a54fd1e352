//! Finding, reading and resolving a file.

use std::fs;

use super::*;
use crate::cli::config::tests::{error, folder_with};

#[test]
fn a_directory_without_a_file_has_an_empty_configuration() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::find(folder.path()).expect("no file is no error");
    assert!(config.functions.is_empty() && config.server.names().count() == 0);
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("no/such/hourglass.toml")).expect_err("it is not there");
    assert_eq!(error.to_string(), "no/such/hourglass.toml can't be read");
}

#[test]
fn a_file_that_can_not_be_read_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let link = folder.path().join(FILE_NAME);
    std::os::unix::fs::symlink("gone", link).expect("a link is made");
    let said = Config::find(folder.path()).expect_err("it leads nowhere").to_string();
    assert!(said.contains("can't be read"), "{said}");
}

#[test]
fn a_module_is_relative_to_the_file() {
    let folder = folder_with("[function.f]\nfile = \"f.wasm\"\n");
    let module = folder.path().join("f.wasm");
    fs::write(&module, "").expect("the module is written");
    let config = Config::find(folder.path()).expect("a good file");
    assert_eq!(config.module(&config.functions["f"]).expect("it is there"), Some(module));
}

#[test]
fn a_missing_module_is_refused_with_its_line() {
    let said = error("[function.f]\ntimeout = \"1s\"\nfile = \"gone.wasm\"\n");
    assert!(said.starts_with("hourglass.toml:3:8: there is no file gone.wasm"), "{said}");
    assert!(said.ends_with("3 | file = ..."), "{said}");
}

#[test]
fn a_route_clash_is_refused_with_its_line() {
    let said =
        error("[function.b]\nroutes = [\"/{x}\"]\n[function.a]\nroutes = [\"/ok\",\n  \"/{y}\"]\n");
    assert!(said.starts_with("hourglass.toml:5:3: the route `/{y}` can't be used"), "{said}");
    assert!(said.contains("/{x}"), "{said}");
    let said = error("[function.a]\nroutes = [\"images\"]\n");
    assert!(said.starts_with("hourglass.toml:2:11: the route `images` can't be used"), "{said}");
}

#[test]
fn a_route_that_matches_paths_of_another_function_is_refused() {
    for (text, line) in [
        ("[function.a]\nroutes = [\"/b\"]\n[function.b]\n", Some(2)),
        ("[function.a]\nroutes = [\"/b/x\"]\n[function.b]\n", Some(2)),
        ("[function.b]\n[function.a]\nroutes = [\"/{*all}\"]\n", Some(3)),
        ("[function.a]\nroutes = [\"/b\"]\n[function.b]\npublic = false\n", None),
        ("[function.a]\nroutes = [\"/{*all}\"]\n[function.b]\nroutes = [\"/b\"]\n", None),
        ("[function.a]\nroutes = [\"/a/{x}\"]\npublic = true\n", None),
    ] {
        let config = Config::find(folder_with(text).path()).expect("a good file");
        let checked = config.check_routes(config.functions.keys().map(String::as_str));
        match (checked, line) {
            (Ok(()), None) => {}
            (Err(error), Some(line)) => {
                let said = error.to_string();
                assert!(said.contains(&format!("hourglass.toml:{line}:")), "{said}");
                assert!(said.contains("`routes = [\"/b\", \"/b/{*path}\"]`"), "{said}");
            }
            (checked, _) => panic!("{text:?}: {checked:?}"),
        }
    }
}

#[test]
fn a_token_is_read_from_its_file() {
    let folder = folder_with("admin_token_file = \"token\"\n");
    let unused = Config::find(folder.path()).expect("a good file").unused_token();
    assert!(unused.expect("no `admin`").to_string().contains("`admin = "));
    let config = Config::find(folder.path()).expect("a good file");
    let said = |config: &Config| config.admin_token().expect_err("it is bad").to_string();
    assert!(said(&config).contains("hourglass.toml:1:20: "), "{}", said(&config));
    assert!(said(&config).contains("token can't be read"), "{}", said(&config));
    fs::write(folder.path().join("token"), "short\n").expect("it is written");
    assert!(said(&config).contains("token is not a token: write at least"), "{}", said(&config));
    fs::write(folder.path().join("token"), "0123456789abcdef\n").expect("it is written");
    assert!(config.admin_token().expect("a good token").is_some());
}
