//! The lines are real output of cargo, shortened where it is irrelevant.

use super::*;

const GOOD: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///home/me/good#0.1.0","manifest_path":"/home/me/good/Cargo.toml","target":{"kind":["bin"],"crate_types":["bin"],"name":"good","src_path":"/home/me/good/src/main.rs","edition":"2024","doc":true,"doctest":false,"test":true},"profile":{"opt_level":"3","debuginfo":0,"debug_assertions":false,"overflow_checks":false,"test":false},"features":[],"filenames":["/home/me/target/wasm32-wasip1/release/good.wasm"],"executable":"/home/me/target/wasm32-wasip1/release/good.wasm","fresh":true}"#;

const LIBRARY: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///home/me/sdk#hourglass-sdk@0.1.0","manifest_path":"/home/me/sdk/Cargo.toml","target":{"kind":["lib"],"crate_types":["lib"],"name":"hourglass_sdk","src_path":"/home/me/sdk/src/lib.rs","edition":"2024","doc":true,"doctest":true,"test":true},"profile":{"opt_level":"3","debuginfo":0,"debug_assertions":false,"overflow_checks":false,"test":false},"features":[],"filenames":["/home/me/target/wasm32-wasip1/release/deps/libhourglass_sdk-d2d571449c2a0054.rlib"],"executable":null,"fresh":true}"#;

const WARNING: &str = r#"{"reason":"compiler-message","package_id":"path+file:///home/me/warns#0.1.0","manifest_path":"/home/me/warns/Cargo.toml","target":{"kind":["bin"],"crate_types":["bin"],"name":"warns","src_path":"/home/me/warns/src/main.rs","edition":"2024","doc":true,"doctest":false,"test":true},"message":{"rendered":"warning: unused variable: `x`\n --> warns/src/main.rs:1:16\n\n","$message_type":"diagnostic","children":[],"level":"warning","message":"unused variable: `x`","spans":[],"code":{"code":"unused_variables","explanation":null}}}"#;

const ERROR: &str = r#"{"reason":"compiler-message","package_id":"path+file:///home/me/bad#0.1.0","manifest_path":"/home/me/bad/Cargo.toml","target":{"kind":["bin"],"crate_types":["bin"],"name":"bad","src_path":"/home/me/bad/src/main.rs","edition":"2024","doc":true,"doctest":false,"test":true},"message":{"rendered":"error[E0308]: mismatched types\n --> bad/src/main.rs:1:25\n\n","$message_type":"diagnostic","children":[],"level":"error","message":"mismatched types","spans":[],"code":{"code":"E0308","explanation":null}}}"#;

const NOTE: &str = r#"{"reason":"compiler-message","package_id":"path+file:///home/me/bad#0.1.0","manifest_path":"/home/me/bad/Cargo.toml","target":{"kind":["bin"],"crate_types":["bin"],"name":"bad","src_path":"/home/me/bad/src/main.rs","edition":"2024","doc":true,"doctest":false,"test":true},"message":{"rendered":"For more information about this error, try `rustc --explain E0308`.\n","$message_type":"diagnostic","children":[],"level":"failure-note","message":"For more information about this error, try `rustc --explain E0308`.","spans":[],"code":null}}"#;

const LIBRARY_ERROR: &str = r#"{"reason":"compiler-message","package_id":"path+file:///home/me/shared#0.1.0","manifest_path":"/home/me/shared/Cargo.toml","target":{"kind":["lib"],"crate_types":["lib"],"name":"shared","src_path":"/home/me/shared/src/lib.rs","edition":"2024","doc":true,"doctest":true,"test":true},"message":{"rendered":"error[E0425]: cannot find value `y` in this scope\n","$message_type":"diagnostic","children":[],"level":"error","message":"cannot find value `y` in this scope","spans":[],"code":{"code":"E0425","explanation":null}}}"#;

fn package(name: &str) -> PackageId {
    PackageId { repr: format!("path+file:///home/me/{name}#0.1.0") }
}

fn read(lines: &[&str]) -> Messages {
    let mut messages = Messages::default();
    for line in lines {
        messages.read(line);
    }
    messages
}

#[test]
fn a_module_is_news_and_found_by_its_program() {
    let mut messages = Messages::default();
    assert_eq!(messages.read(LIBRARY), None);
    assert_eq!(messages.read(GOOD), Some(Notice::Module(package("good"), "good".to_owned())));
    let module = PathBuf::from("/home/me/target/wasm32-wasip1/release/good.wasm");
    assert_eq!(messages.outcome(&package("good"), "good"), Ok(module));
}

#[test]
fn warnings_are_news_and_other_lines_are_not() {
    let mut messages = Messages::default();
    let text = "warning: unused variable: `x`\n --> warns/src/main.rs:1:16\n\n".to_owned();
    assert_eq!(messages.read(WARNING), Some(Notice::Warning(text)));
    assert_eq!(messages.read(NOTE), None);
    assert_eq!(messages.read(r#"{"reason":"build-finished","success":false}"#), None);
    assert_eq!(messages.read("not from cargo"), None);
}

#[test]
fn a_program_that_fails_has_the_compilers_words_about_it_alone() {
    let messages = read(&[GOOD, ERROR, NOTE, LIBRARY_ERROR]);
    let text = "error[E0308]: mismatched types\n --> bad/src/main.rs:1:25\n\n".to_owned();
    assert_eq!(messages.outcome(&package("bad"), "bad"), Err(text));
    assert!(messages.outcome(&package("good"), "good").is_ok());
}

#[test]
fn a_program_whose_library_fails_has_the_words_about_the_library() {
    let messages = read(&[ERROR, LIBRARY_ERROR]);
    let text = Err("error[E0425]: cannot find value `y` in this scope\n".to_owned());
    assert_eq!(messages.outcome(&package("needs"), "needs"), text);
    // Its own library, next to another program that is broken.
    assert_eq!(messages.outcome(&package("shared"), "program"), text);
}

#[test]
fn without_the_compilers_words_there_are_cargos() {
    let mut messages = read(&[]);
    messages.read_stderr("    Updating the index");
    messages.read_stderr("error: no matching package named `missing` found");
    messages.read_stderr("error: could not compile `bad` (bin \"bad\") due to 1 previous error");
    let text = "error: no matching package named `missing` found".to_owned();
    assert_eq!(messages.outcome(&package("needs"), "needs"), Err(text));
    assert_eq!(read(&[]).outcome(&package("needs"), "needs"), Err("it did not say why".to_owned()));
}
