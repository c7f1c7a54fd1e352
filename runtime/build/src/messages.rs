//! Reads what cargo says while it builds, and sorts it by function.

use std::collections::HashMap;
use std::path::PathBuf;

use cargo_metadata::diagnostic::DiagnosticLevel;
use cargo_metadata::{Artifact, CompilerMessage, Message, PackageId};

use super::command;

/// What one call of cargo said.
#[derive(Default)]
pub(crate) struct Messages {
    /// The module of each program, by package and name.
    modules: HashMap<(PackageId, String), PathBuf>,
    errors: Vec<CompilerError>,
    stderr: String,
}

/// An error in the compiler's words, and what it was compiling.
struct CompilerError {
    package: PackageId,
    /// The program's name; `None` for a library or a build script, which stop
    /// every program that needs them.
    program: Option<String>,
    words: String,
}

/// What of a line the reader may want to know at once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A program of this package and name is built, or was already.
    Module(PackageId, String),
    /// The compiler warns.
    Warning(String),
}

impl Messages {
    /// Takes in one line of cargo's standard output.
    pub(crate) fn read(&mut self, line: &str) -> Option<News> {
        match serde_json::from_str(line).ok()? {
            Message::CompilerArtifact(artifact) => self.artifact(artifact),
            Message::CompilerMessage(message) => self.diagnostic(message),
            _ => None,
        }
    }

    /// Takes in one line of cargo's standard error.
    pub(crate) fn read_stderr(&mut self, line: &str) {
        // Says only that there were errors, and those come by themselves.
        if !line.starts_with("error: could not compile")
            && !line.starts_with("warning: build failed")
        {
            command::push_line(&mut self.stderr, line);
        }
    }

    fn artifact(&mut self, artifact: Artifact) -> Option<News> {
        if !artifact.target.is_bin() {
            return None;
        }
        let module =
            artifact.filenames.into_iter().find(|file| file.extension() == Some("wasm"))?;
        let key = (artifact.package_id, artifact.target.name);
        self.modules.insert(key.clone(), module.into_std_path_buf());
        Some(News::Module(key.0, key.1))
    }

    fn diagnostic(&mut self, message: CompilerMessage) -> Option<News> {
        let words = message.message.rendered?;
        match message.message.level {
            DiagnosticLevel::Error | DiagnosticLevel::Ice => {
                let program = message.target.is_bin().then_some(message.target.name);
                self.errors.push(CompilerError { package: message.package_id, program, words });
                None
            }
            DiagnosticLevel::Warning => Some(News::Warning(words)),
            _ => None,
        }
    }

    /// The module of a program, or the words that say why there is none: the
    /// compiler's about the program, or else whatever was said about the crates
    /// that it may depend on.
    pub(crate) fn outcome(&self, package: &PackageId, program: &str) -> Result<PathBuf, String> {
        if let Some(module) = self.modules.get(&(package.clone(), program.to_owned())) {
            return Ok(module.clone());
        }
        let mut words = self.words(|error| error.package == *package && error.stops(program));
        if words.is_empty() {
            words = self.words(|error| error.program.is_none());
            if words.is_empty() || self.stderr.lines().any(|line| line.starts_with("error")) {
                words.push_str(&command::telling(&self.stderr, 100));
            }
        }
        Err(words)
    }

    fn words(&self, about: impl Fn(&CompilerError) -> bool) -> String {
        self.errors.iter().filter(|error| about(error)).map(|error| error.words.as_str()).collect()
    }
}

impl CompilerError {
    /// Whether it keeps this program of its own package from being made.
    fn stops(&self, program: &str) -> bool {
        self.program.as_deref().is_none_or(|name| name == program)
    }
}

#[cfg(test)]
mod tests;
