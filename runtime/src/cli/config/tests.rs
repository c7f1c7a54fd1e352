//! Whole files, good and bad. Every error names the file and the line.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Config, FILE_NAME};
use crate::function::InstancePolicy;

/// A directory with a configuration of this text.
pub(super) fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(FILE_NAME), text).expect("the file is written");
    folder
}

/// The error of a file with this text, without the name of its directory.
pub(super) fn error(text: &str) -> String {
    let folder = folder_with(text);
    let used = |config: &Config| {
        config.functions.values().try_for_each(|function| {
            config.module(function)?;
            config.resources(function).map(drop)
        })
    };
    let error = match Config::find(folder.path()) {
        Ok(config) => used(&config).expect_err("the file is bad"),
        Err(error) => error,
    };
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_whole_file_is_read() {
    let folder = folder_with(
        r#"
        listen = "0.0.0.0:80"
        drain = "1m30s"
        max_in_flight = 5
        call_share = 0.25
        idle_memory = "1GiB"
        cache = "code"
        compile_timeout = "5s"
        compile_memory = "1GiB"
        max_functions = 7
        baggage = ["tenant"]
        admin = "127.0.0.1:9090"
        tls_cert = "chain.pem"
        tls_key = "/keys/key.pem"
        head_timeout = "5s"
        body_idle = "10s"
        body_rate = "1KiB"
        response_memory = "64MiB"
        header_bytes = "8KiB"
        header_count = 50

        [function.thumbnail]
        file = "built/thumbnail.wasm"
        timeout = "2s"
        grace = "50ms"
        memory = "64MiB"
        request_body = 1024
        response_body = "1GiB"
        instances = "new"
        calls = ["ocr", "thumbnail"]
        max_calls = 7
        allow_hosts = ["*.example.com", "10.0.0.7:8080"]
        baggage = ["tenant"]
        max_fetches = 8
        fetches_at_once = 9
        fetch_body = "1MiB"
        detach = "30s"
        routes = ["/images/{id}", { path = "/scans/{*path}", baggage = ["tenant", "user"] }]

        [function.thumbnail.env]
        QUALITY = "80"

        [function.thumbnail.secrets]
        HOME_OF_TESTS = { env = "CARGO_MANIFEST_DIR" }

        [function."v1.2"]
        "#,
    );
    let config = Config::find(folder.path()).expect("a good file");
    let server = config.server.values();
    assert_eq!((&*server.listen, server.drain), ("0.0.0.0:80", Duration::from_secs(90)));
    assert_eq!((server.max_in_flight, server.call_share), (Some(5), 0.25));
    assert_eq!(server.idle_memory, 1 << 30);
    assert_eq!(server.admin.as_deref(), Some("127.0.0.1:9090"));
    let compiler = config.compiler.values();
    assert_eq!(compiler.compile_timeout, Duration::from_secs(5));
    assert_eq!((compiler.compile_memory, compiler.max_functions), (1 << 30, 7));
    let warning = config.ignored_cache().expect("the file names a cache").to_string();
    assert!(warning.contains(":17: `cache` is ignored here"), "{warning}");
    assert!(warning.contains("--cache DIR"), "{warning}");
    assert!(config.admin_token().expect("none is no error").is_none());
    let clients = config.clients.values();
    assert_eq!(clients.tls_cert, Some(folder.path().join("chain.pem")));
    assert_eq!(clients.tls_key.as_deref(), Some(Path::new("/keys/key.pem")));
    assert_eq!(clients.head_timeout, Duration::from_secs(5));
    assert_eq!(clients.body_idle, Duration::from_secs(10));
    assert_eq!((clients.body_rate, clients.response_memory), (1024, 64 << 20));
    assert_eq!((clients.header_bytes, clients.header_count), (8 << 10, 50));
    assert_eq!(config.functions.len(), 2);
    let options = &config.functions["thumbnail"].options;
    let limits = options.limits.values();
    assert_eq!(limits.timeout, Duration::from_secs(2));
    assert_eq!(limits.grace, Duration::from_millis(50));
    assert_eq!(limits.memory, 64 << 20);
    assert_eq!((limits.request_body, limits.response_body), (1024, 1 << 30));
    assert_eq!(options.instances.values().instances, InstancePolicy::NewEachTime);
    assert_eq!((limits.max_calls, limits.max_fetches, limits.fetches_at_once), (7, 8, 9));
    assert_eq!((limits.fetch_body, limits.detach), (1 << 20, Duration::from_secs(30)));
    let function = &config.functions["thumbnail"];
    assert_eq!(function.calls().collect::<Vec<_>>(), ["ocr", "thumbnail"]);
    let hosts: Vec<_> = function.allow_hosts.iter().map(|host| host.get_ref()).collect();
    assert_eq!(hosts, ["*.example.com", "10.0.0.7:8080"]);
    assert_eq!(function.baggage().collect::<Vec<_>>(), ["tenant"]);
    let (environment, _) = config.resources(&config.functions["thumbnail"]).expect("a good table");
    let text: Vec<u8> = environment.variables().flatten().flatten().copied().collect();
    let expected = concat!("HOME_OF_TESTS=", env!("CARGO_MANIFEST_DIR"), "\0QUALITY=80\0");
    assert_eq!(String::from_utf8_lossy(&text), expected);
    assert_eq!(format!("{environment:?}"), r#"{"HOME_OF_TESTS", "QUALITY"}"#);
    assert_eq!(config.functions["v1.2"].options.limits.names().count(), 0);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_and_the_known_ones() {
    let said = error("listen = \"127.0.0.1:1\"\nlisten_on = \"x\"\n");
    assert!(
        said.starts_with("hourglass.toml:2:1: unknown key `listen_on`: write `listen`"),
        "{said}"
    );
    assert!(said.contains("`max_in_flight`"), "{said}");
    let said = error("[function.f]\n\ntimeuot = \"1s\"\n");
    assert!(
        said.starts_with("hourglass.toml:3:1: unknown key `timeuot`: write `timeout`"),
        "{said}"
    );
    assert!(said.contains("`timeout`"), "{said}");
}

#[test]
fn a_bad_value_is_refused_with_its_line_and_what_to_write() {
    for (text, start, allowed) in [
        ("drain = \"10 seconds\"", "hourglass.toml:1:9: `10 seconds`", "`1m30s`"),
        ("\ndrain = 10", "hourglass.toml:2:9: invalid type: integer `10`", "1m30s"),
        ("[function.f]\nmemory = \"64MB\"", "hourglass.toml:2:10: `64MB`", "`64MiB`"),
        ("[function.f]\nmemory = -1", "hourglass.toml:2:10: `-1` is not a size", "64MiB"),
        ("listen = \"8080\"", "hourglass.toml:1:10: `8080`", "`127.0.0.1:8080`"),
        ("listen = 8080", "hourglass.toml:1:10: invalid type: integer `8080`", "127.0.0.1:8080"),
        ("max_in_flight = 0", "hourglass.toml:1:17: `0` is not allowed", "from 1 to 4294967295"),
        (
            "[function.f]\nroutes = \"/a\"",
            "hourglass.toml:2:10: invalid type: string",
            "[\"/images",
        ),
        (
            "[function.f]\ncalls = \"price\"",
            "hourglass.toml:2:9: invalid type: string",
            "`calls = [\"price\"]`",
        ),
        (
            "[function.f]\nallow_hosts = \"a\"",
            "hourglass.toml:2:15: invalid type: string",
            "`allow_hosts = [\"api.example.com\"]`",
        ),
        (
            "baggage = \"a\"",
            "hourglass.toml:1:11: invalid type: string",
            "`baggage = [\"tenant\"]`",
        ),
        ("[function.f]\nurl = 7", "hourglass.toml:2:7: invalid type: integer", "https://host"),
        ("timeout = \"1s\"", "hourglass.toml:1:1: unknown key `timeout`", "`[function.NAME]`"),
        ("calls = [\"a\"]", "hourglass.toml:1:1: unknown key `calls`", "`[function.NAME]`"),
        (
            "cache_size = \"1GiB\"",
            "hourglass.toml:1:1: unknown key `cache_size`",
            "--cache-size or HOURGLASS_CACHE_SIZE",
        ),
        (
            "[function.f]\nmounts = { \"/a\" = \"none\" }",
            "hourglass.toml:2:12: none can't be mounted",
            "create the directory",
        ),
        (
            "[function.f]\nroutes = [\"/a\", 7]",
            "hourglass.toml:2:17: invalid type: integer `7`",
            "/images/{id}",
        ),
        ("[function.f]\nroutes = [{}]", "hourglass.toml:2:11: missing key `path`", ""),
        (
            "[function.f]\nroutes = [{ path = \"/a\", bagage = [] }]",
            "hourglass.toml:2:26: unknown key `bagage`",
            "`baggage`",
        ),
        (
            "[function.f]\nroutes = [{ path = \"/a\", baggage = [\"route.a\"] }]",
            "hourglass.toml:2:11: the baggage `route.a` can't be let in",
            "",
        ),
        ("\nbaggage = [\"principal\"]", "hourglass.toml:2:11: the baggage `principal`", ""),
        ("[function.f]\ncalls = [\"a b\"]", "hourglass.toml:2:10: `a b` can't be", "1 to 64"),
        ("[function.f]\nurl = \"ftp://h/f\"", "hourglass.toml:2:7: `ftp://h/f`", "https://host"),
        ("[function.f]\nbaggage = []", "hourglass.toml:2:11: `baggage` has no effect", "route"),
        (
            "[function.f]\nurl = \"http://h/f\"\nfile = \"f.wasm\"",
            "hourglass.toml:3:8: a function has",
            "not both",
        ),
        (
            "[function.f]\nurl = \"http://h/f\"\nroutes = [\"/f\"]",
            "hourglass.toml:3:11: a function with a `url`",
            "",
        ),
        (
            "[function.f]\nallow_hosts = [\"a.example\", \"a.example/x\"]",
            "hourglass.toml:2:29: `a.example/x` names no host",
            "10.0.0.0/8",
        ),
        (
            "[function.f]\nurl = \"http://h/f\"\nallow_hosts = [\"*\"]",
            "hourglass.toml:3:16: a function with a `url`",
            "where it runs",
        ),
        ("[function.f.env]\nA = 1", "hourglass.toml:2:5: a value in this place", "in quotes"),
        ("[function.f.env]\nA = \"\\u0000\"", "hourglass.toml:2:5: `A` can't be a setting", ""),
        ("[function.f.secrets]\nA = \"hush\"", "hourglass.toml:2:5: ", "file"),
        (
            "[function.f.secrets]\nA = { env = \"HOURGLASS_NO_SUCH\" }",
            "hourglass.toml:2:5: the variable HOURGLASS_NO_SUCH is not set",
            "",
        ),
        (
            "[function.f.secrets]\nA = { file = \"none\" }",
            "hourglass.toml:2:5: none can't be read",
            "name the secret's file",
        ),
        (
            "[function.f.env]\nA = \"\"\n[function.f.secrets]\nA = { file = \"a\" }",
            "hourglass.toml:4:5: `A` is a setting and a secret",
            "",
        ),
        (
            "[function.f]\nurl = \"http://h/f\"\n[function.f.secrets]\nA = { env = \"A\" }",
            "hourglass.toml:4:5: a function with a `url`",
            "where it runs",
        ),
        ("[function.\"a b\"]", "hourglass.toml:1:11: `a b` can't be a function's name", "a-z"),
        ("drain = \"1s\"\ndrain = \"2s\"", "hourglass.toml:2:1: duplicate key", ""),
        ("drain = quick", "hourglass.toml:1:9: string values must be quoted", "string"),
    ] {
        let said = error(text);
        assert!(said.starts_with(start), "{text:?}: {said}");
        assert!(said.contains(allowed), "{text:?}: {said}");
    }
}

#[test]
fn a_value_without_effect_is_refused_with_what_to_write() {
    for (text, instead) in [
        ("[function.f]\ntimeout = \"0s\"", "`10s`"),
        ("[function.f]\ntimeout = \"99999h\"", "8760h"),
        ("[function.f]\nmemory = \"8GiB\"", "64KiB to 4GiB"),
        ("[function.f]\nmemory = 0", "64KiB to 4GiB"),
        ("[function.f]\nmemory = \"1KiB\"", "64KiB to 4GiB"),
        ("[function.f]\nresponse_body = 0", "`10MiB`"),
        ("[function.f]\nfetch_body = \"0KiB\"", "`10MiB`"),
        ("[function.f]\nfetches_at_once = 0", "from 1 to 4294967295"),
        ("[function.f]\nfetches_at_once = \"8\"", "from 1 to 4294967295"),
        ("head_timeout = \"0s\"", "`10s`"),
        ("body_idle = \"0ms\"", "`10s`"),
        ("response_memory = 0", "`10MiB`"),
        ("[function.f]\nroutes = [\"/a/:id\"]", "`{id}`"),
        ("[function.f]\nroutes = [\"/a/*\"]", "`{*path}`"),
        ("[function.f]\nroutes = [\"/a/...\"]", "`{*path}`"),
        ("[function.f]\nroutes = [\"/a?x\"]", "`/a`"),
        ("[function.f]\nroutes = [\"/a#x\"]", "`/a`"),
        ("[function.f]\nroutes = [\"a\"]", "`/a`"),
        ("[function.f]\nroutes = [\"/a//b\"]", "a single `/`"),
        ("[function.f]\nroutes = [\"/a%20b\"]", "`{id}`"),
        ("[function.f]\nroutes = [\"/a\", \"/a\"]", "keep one of the two"),
        ("[function.f]\npublic = false\nroutes = [\"/a\"]", "`public = false`"),
        ("[function.f]\nurl = \"http://h/f\"\npublic = true", "remove `public`"),
        ("[function.f]\npublic = \"no\"", "`public = false`"),
        ("call_share = \"0.5\"", "without quotes"),
        ("call_share = 0", "such as 0.5"),
        ("[function.f]\nroutes = [\"/{a}/{a}\"]", "a name of its own"),
        ("[function.f]\nurl = \"http://user:pass@h/f\"", "are not sent"),
        ("max_in_flight = 0", "from 1 to 4294967295"),
        ("max_in_flight = \"9\"", "from 1 to 4294967295"),
        ("max_functions = 0", "from 1 to 4294967295"),
        ("max_depth = -1", "from 0 to 4294967295"),
        ("max_depth = 4294967296", "from 0 to 4294967295"),
        ("header_count = \"9\"", "from 16 to 256"),
        ("[function.f]\nmax_calls = \"9\"", "from 0 to 4294967295"),
        ("[function.f]\ncalls = [\"g\"]\nmax_calls = 0", "raise `max_calls`"),
        ("max_depth = 0\n[function.f]\ncalls = [\"g\"]", "raise `max_depth`"),
        ("[function.f]\nallow_hosts = [\"a.example\"]\nmax_fetches = 0", "raise `max_fetches`"),
    ] {
        let said = error(text);
        assert!(said.starts_with("hourglass.toml:"), "{text:?}: {said}");
        assert!(said.contains(instead), "{text:?}: {said}");
    }
}

#[test]
fn an_empty_path_is_refused() {
    for text in [
        "tls_cert = \"\"",
        "tls_key = \"\"",
        "admin_token_file = \"\"",
        "[function.f]\nfile = \"\"",
        "[function.f]\nmounts = { \"/a\" = \"\" }",
        "[function.f.secrets]\nA = { file = \"\" }",
    ] {
        let said = error(text);
        assert!(said.starts_with("hourglass.toml:"), "{text:?}: {said}");
        assert!(said.contains("an empty path") || said.contains("file = \"PATH\""), "{said}");
    }
}

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
