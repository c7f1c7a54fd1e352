//! The tables of `docs/configuration.md`, generated from the schema.

use clap::CommandFactory as _;

use super::*;
use crate::cli::Args;
use crate::cli::config::{self, Config};
use crate::schema::{Schema, Setting};

/// A generated table is enclosed by these lines; the first one names it.
const BEGIN: &str = "<!-- settings: ";
const END: &str = "<!-- end -->";

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md"))
}

fn page() -> String {
    std::fs::read_to_string(path()).expect("the page exists")
}

/// The rows of the table with this name.
fn rows(name: &str) -> String {
    match name {
        "server" => rows_of::<ServerSettings>(),
        "clients" => rows_of::<ClientSettings>(),
        "function" => rows_of::<Limits>() + &rows_of::<InstanceSettings>(),
        "jobs" => rows_of::<JobsSettings>(),
        "function jobs" => rows_of::<JobSettings>(),
        "usage" => rows_of::<UsageSettings>(),
        "compiler" => rows_of::<CompilerSettings>(),
        "cache" => rows_of::<CodeCacheSettings>(),
        "access log" => rows_of::<AccessLogSettings>(),
        "otlp" => rows_of::<OtlpSettings>(),
        other => panic!("no table is called `{other}`"),
    }
}

fn rows_of<S: Schema>() -> String {
    S::SETTINGS.iter().map(row).collect()
}

fn row<S>(setting: &Setting<S>) -> String {
    let placeholder = (setting.form)().placeholder.replace('|', "\\|");
    let range = (setting.range)();
    format!(
        "| `{}` | `--{} {placeholder}` | {} | {} | {}. |\n",
        setting.name,
        setting.flag(),
        (setting.default)(),
        if range.is_empty() { "any" } else { &range },
        setting.help(),
    )
}

/// The page with up-to-date tables.
fn generated(page: &str) -> String {
    let mut parts = page.split(BEGIN);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->").expect("the line ends");
        let (_, rest) = rest.split_once(END).expect("the table ends");
        text += &format!(
            "{BEGIN}{name} -->\n| setting | flag | default | values | meaning |\n\
             |---|---|---|---|---|\n{}{END}{rest}",
            rows(name)
        );
    }
    text
}

#[test]
fn the_tables_of_the_page_are_up_to_date() {
    let (page, generated) = (page(), generated(&page()));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path(), generated).expect("the page is written");
        return;
    }
    assert!(
        page == generated,
        "docs/configuration.md is out of date; update it with \
         `UPDATE_DOCS=1 cargo test --workspace --lib -- cli::settings`"
    );
}

#[test]
fn the_page_has_every_setting_key_and_variable() {
    let page = generated(&page());
    for table in [
        "server",
        "clients",
        "usage",
        "jobs",
        "function",
        "function jobs",
        "compiler",
        "cache",
        "access log",
        "otlp",
    ] {
        assert!(page.contains(&format!("{BEGIN}{table} -->")), "{table}");
    }
    for key in config::keys().concat() {
        assert!(page.contains(&format!("`{key}")), "{key}");
    }
    let mut command = Args::command();
    command.build();
    let commands = command.get_subcommands().flat_map(clap::Command::get_arguments);
    for argument in commands.chain(command.get_arguments()) {
        let Some(variable) = argument.get_env().and_then(|name| name.to_str()) else { continue };
        // The page explains how a setting's variable is named.
        let key = variable.trim_start_matches("HOURGLASS_").to_lowercase();
        assert!(page.contains(&format!("| `{key}` |")) || page.contains(variable), "{variable}");
    }
}

#[test]
fn the_example_of_the_page_is_a_good_file() {
    let page = page();
    let (_, rest) = page.split_once("```toml hourglass.toml\n").expect("there is an example");
    let (example, _) = rest.split_once("```").expect("it ends");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(config::FILE_NAME), example).expect("it is written");
    let config = Config::find(folder.path()).expect("a good file");
    config.check_routes(config.functions.keys().map(String::as_str)).expect("good routes");
}
