//! The names that a new function may have: those that are good for a function
//! and for a crate.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::escape::OneLine;

/// As for functions in general.
const LONGEST: usize = 64;

/// Names of crates that cargo, the compiler or a template use themselves, and
/// keywords, with `_` for `-`.
#[rustfmt::skip]
const RESERVED: [&str; 57] = [
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "build", "const",
    "continue", "core", "crate", "deps", "do", "dyn", "else", "enum", "examples", "extern",
    "false", "final", "fn", "for", "gen", "hourglass_sdk", "if", "impl", "in", "incremental",
    "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "proc_macro",
    "pub", "ref", "return", "serde", "static", "std", "struct", "super", "test", "trait",
    "true", "try", "type", "unsafe", "use", "where", "while",
];

/// The name of a function in a directory.
pub(super) fn of(directory: &Path) -> anyhow::Result<&str> {
    let name = directory.file_name().with_context(|| {
        format!(
            "{} does not end with a name; give one, such as `greet`",
            OneLine(directory.display())
        )
    })?;
    let shown = OneLine(name.display());
    let Some(name) = name.to_str().filter(|name| is_plain(name)) else {
        bail!(
            "`{shown}` can't be the name of a function here; use a letter and up to {} more \
             letters, digits, `-` and `_` of ASCII",
            LONGEST - 1
        );
    };
    if RESERVED.contains(&&*name.replace('-', "_")) {
        bail!("`{shown}` is a word that Rust or cargo uses itself; give another name");
    }
    Ok(name)
}

fn is_plain(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    name.len() <= LONGEST
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::Function;

    #[test]
    fn a_good_name_is_the_last_part_of_the_path() {
        let long = "x".repeat(64);
        for name in ["greet", "G2", "a-b_c", &long] {
            assert_eq!(of(Path::new(name)).expect(name), name);
            assert_eq!(of(&Path::new("../some where").join(name)).expect(name), name);
            assert!(Function::from_bytes(name, []).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_bad_name_is_refused_with_what_to_write() {
        let long = "x".repeat(65);
        for name in ["2nd", "_x", "-x", ".x", "a b", "a.b", "größe", &long] {
            let error = of(Path::new(name)).expect_err(name).to_string();
            assert!(error.contains("use a letter and up to 63 more"), "{error}");
        }
        for name in ["fn", "test", "hourglass-sdk", "proc-macro"] {
            let error = of(Path::new(name)).expect_err(name).to_string();
            assert!(error.ends_with("give another name"), "{error}");
        }
        for name in ["", ".", "..", "/"] {
            let error = of(Path::new(name)).expect_err(name).to_string();
            assert!(error.ends_with("give one, such as `greet`"), "{error}");
        }
        assert!(RESERVED.is_sorted());
    }
}
