//! Parses cargo's build output and groups it by function.

use std::collections::HashMap;
use std::path::PathBuf;

use cargo_metadata::diagnostic::DiagnosticLevel;
use cargo_metadata::{Artifact, CompilerMessage, Message, PackageId};

use super::command;

/// The output of one call of cargo.
#[derive(Default)]
pub(crate) struct Messages {
    /// The module of each program, by package and name.
    modules: HashMap<(PackageId, String), PathBuf>,
    errors: Vec<CompilerError>,
    stderr: String,
}

/// An error of the compiler, and the target it belongs to.
struct CompilerError {
    package: PackageId,
    /// The program's name; `None` for a library or a build script, whose
    /// failure stops every program that needs it.
    program: Option<String>,
    messages: String,
}

/// A message to report immediately.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A program of this package and name is built, or was up to date.
    Module(PackageId, String),
    /// A warning of the compiler.
    Warning(String),
}

impl Messages {
    /// Reads one line of cargo's standard output.
    pub(crate) fn read(&mut self, line: &str) -> Option<Notice> {
        match serde_json::from_str(line).ok()? {
            Message::CompilerArtifact(artifact) => self.artifact(artifact),
            Message::CompilerMessage(message) => self.diagnostic(message),
            _ => None,
        }
    }

    /// Reads one line of cargo's standard error.
    pub(crate) fn read_stderr(&mut self, line: &str) {
        // It only says that there were errors, which are reported on their own.
        if !line.starts_with("error: could not compile")
            && !line.starts_with("warning: build failed")
        {
            self.stderr.extend([line, "\n"]);
        }
    }

    fn artifact(&mut self, artifact: Artifact) -> Option<Notice> {
        if !artifact.target.is_bin() {
            return None;
        }
        let module =
            artifact.filenames.into_iter().find(|file| file.extension() == Some("wasm"))?;
        let key = (artifact.package_id, artifact.target.name);
        self.modules.insert(key.clone(), module.into_std_path_buf());
        Some(Notice::Module(key.0, key.1))
    }

    fn diagnostic(&mut self, message: CompilerMessage) -> Option<Notice> {
        let messages = message.message.rendered?;
        match message.message.level {
            DiagnosticLevel::Error | DiagnosticLevel::Ice => {
                let program = message.target.is_bin().then_some(message.target.name);
                self.errors.push(CompilerError { package: message.package_id, program, messages });
                None
            }
            DiagnosticLevel::Warning => Some(Notice::Warning(messages)),
            _ => None,
        }
    }

    /// The module of a program, or the messages that explain its absence: the
    /// compiler's about the program, or else all messages about the crates that
    /// it may depend on.
    pub(crate) fn outcome(&self, package: &PackageId, program: &str) -> Result<PathBuf, String> {
        if let Some(module) = self.modules.get(&(package.clone(), program.to_owned())) {
            return Ok(module.clone());
        }
        let mut messages = self.messages(|error| {
            let is_of_program = error.program.as_deref().is_none_or(|name| name == program);
            error.package == *package && is_of_program
        });
        if messages.is_empty() {
            messages = self.messages(|error| error.program.is_none());
            if messages.is_empty() || self.stderr.lines().any(|line| line.starts_with("error")) {
                messages.push_str(&command::summary(&self.stderr, 100));
            }
        }
        Err(messages)
    }

    fn messages(&self, about: impl Fn(&CompilerError) -> bool) -> String {
        self.errors
            .iter()
            .filter(|error| about(error))
            .map(|error| error.messages.as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests;
