//! The files that cargo has built a module from: the `.d` file next to it, in
//! the format of make.

use std::fs;
use std::path::{Path, PathBuf};

/// The files that a module was built from. Empty if it was never built.
pub(crate) fn files(module: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(module.with_extension("d")).unwrap_or_default();
    text.lines().flat_map(|line| parse(line).skip(1)).collect()
}

/// The words of a line, in which a backslash escapes a blank. The first one is
/// the module, with a colon.
fn parse(line: &str) -> impl Iterator<Item = PathBuf> {
    let line = line.replace("\\ ", "\0");
    let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).map(String::from).collect();
    words.into_iter().map(|word| word.replace('\0', " ").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_module_are_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let module = folder.path().join("f.wasm");
        assert!(files(&module).is_empty());
        let text = "/t/f.wasm: /a/main.rs /a\\ b/c.txt\n";
        fs::write(folder.path().join("f.d"), text).expect("it is written");
        assert_eq!(files(&module), ["/a/main.rs", "/a b/c.txt"].map(PathBuf::from));
    }
}
