//! What a new function starts as.

use toml::Value;

/// The bindings of other languages, which are copied.
macro_rules! binding {
    ($path:literal) => {
        include_str!(concat!("../../../../guest-sdk/bindings/", $path))
    };
}

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("templates/", $path))
    };
}

/// What a new function starts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Template {
    /// Says hello, and how much time is left
    Hello,
    /// A REST API, with JSON in and out
    Rest,
    /// A response that is sent piece by piece: one event each second
    Stream,
    /// A request to another host
    Fetch,
    /// Hello in C
    C,
    /// Hello in Go
    Go,
    /// Hello in Zig
    Zig,
}

/// What the placeholders `{{...}}` stand for.
pub(super) struct Values<'a> {
    pub(super) name: &'a str,
    /// The directory of the SDK, for a function in Rust.
    pub(super) sdk: Option<&'a str>,
}

/// A file: its path and its text.
type File = (&'static str, &'static str);

const RUST: [File; 3] = [
    ("Cargo.toml", template!("rust/Cargo.toml.in")),
    ("README.md", template!("rust/README.md")),
    (".gitignore", template!("rust/gitignore")),
];

const WASM: [File; 3] = [
    ("README.md", template!("wasm/README.md")),
    ("test.sh", template!("wasm/test.sh")),
    (".gitignore", template!("wasm/gitignore")),
];

impl Template {
    /// Whether it is in Rust, with the SDK.
    pub(super) fn is_rust(self) -> bool {
        matches!(self, Self::Hello | Self::Rest | Self::Stream | Self::Fetch)
    }

    /// Its files, and their texts.
    pub(super) fn files(self, values: &Values<'_>) -> Vec<(&'static str, String)> {
        let common = if self.is_rust() { RUST } else { WASM };
        let files = common.iter().chain(self.own_files());
        files.map(|(path, text)| (*path, self.filled(text, values))).collect()
    }

    fn own_files(self) -> &'static [File] {
        match self {
            Self::Hello => &[("src/main.rs", template!("rust/hello.rs"))],
            Self::Rest => &[("src/main.rs", template!("rust/rest.rs"))],
            Self::Stream => &[("src/main.rs", template!("rust/stream.rs"))],
            Self::Fetch => &[
                ("src/main.rs", template!("rust/fetch.rs")),
                ("hourglass.toml", template!("rust/fetch.toml")),
            ],
            Self::C => &[
                ("main.c", template!("c/main.c")),
                ("build.sh", template!("c/build.sh")),
                ("hourglass.h", binding!("c/hourglass.h")),
            ],
            Self::Go => &[
                ("main.go", template!("go/main.go")),
                ("go.mod", template!("go/go.mod.in")),
                ("build.sh", template!("go/build.sh")),
                ("hourglass/hourglass.go", binding!("go/hourglass/hourglass.go")),
            ],
            Self::Zig => &[
                ("main.zig", template!("zig/main.zig")),
                ("build.sh", template!("zig/build.sh")),
                ("hourglass.zig", binding!("zig/hourglass.zig")),
            ],
        }
    }

    fn filled(self, text: &str, values: &Values<'_>) -> String {
        let (language, compiler, bindings) = self.language();
        let dependencies = match self {
            Self::Rest => "serde = { version = \"1\", features = [\"derive\"] }\n",
            _ => "",
        };
        text.replace("{{name}}", values.name)
            .replace("{{sdk}}", &Value::from(values.sdk.unwrap_or_default()).to_string())
            .replace("{{dependencies}}", dependencies)
            .replace("{{about}}", self.about())
            .replace("{{language}}", language)
            .replace("{{compiler}}", compiler)
            .replace("{{bindings}}", bindings)
            .replace("{{curl}}", &self.curl(values.name))
    }

    fn about(self) -> &'static str {
        match self {
            Self::Hello => "Says hello, and how much time is left.",
            Self::Rest => "A REST API: items to read, and orders to create.",
            Self::Stream => "Sends an event each second, until its client or its time is gone.",
            Self::Fetch => "Fetches a page of another host, and says how long it is.",
            Self::C | Self::Go | Self::Zig => {
                "Says hello, how much time is left, and how much it was sent."
            }
        }
    }

    /// The language, its compiler, and the file with the context.
    fn language(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::C => ("C", "clang, lld and wasi-libc", "hourglass.h"),
            Self::Go => ("Go", "Go 1.24 or later", "hourglass/hourglass.go"),
            Self::Zig => ("Zig", "Zig 0.17", "hourglass.zig"),
            Self::Hello | Self::Rest | Self::Stream | Self::Fetch => ("Rust", "cargo", "the SDK"),
        }
    }

    /// A request to try.
    fn curl(self, name: &str) -> String {
        let url = format!("http://127.0.0.1:8080/{name}");
        match self {
            Self::Hello | Self::C | Self::Go | Self::Zig => format!("curl {url}/Ada"),
            Self::Rest => format!("curl {url}/items/2"),
            Self::Stream => format!("curl -N {url}"),
            Self::Fetch => format!("curl {url}"),
        }
    }

    /// The commands that test and serve it.
    pub(super) fn steps(self, name: &str) -> [String; 3] {
        let [test, serve] = match self.is_rust() {
            true => ["cargo test".to_owned(), "hourglass up".to_owned()],
            false => ["./test.sh".to_owned(), format!("hourglass serve {name}.wasm")],
        };
        [test, serve, self.curl(name)]
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn each_template_is_filled() {
        for template in Template::value_variants() {
            let values = Values { name: "greet", sdk: Some("/a \"b\"/\\sdk") };
            let files = template.files(&values);
            for (path, text) in &files {
                assert!(!text.contains("{{"), "{template:?}: {path}: {text}");
            }
            let manifest = files.iter().find(|(path, _)| *path == "Cargo.toml");
            assert_eq!(manifest.is_some(), template.is_rust());
            let Some((_, manifest)) = manifest else { continue };
            let manifest: toml::Table = manifest.parse().expect("a good manifest");
            assert_eq!(manifest["package"]["name"].as_str(), Some("greet"));
            let sdk = &manifest["dependencies"]["hourglass-sdk"]["path"];
            assert_eq!(sdk.as_str(), values.sdk);
        }
    }
}
