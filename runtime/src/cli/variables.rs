//! The environment variables `HOURGLASS_...`. An empty one is an error; one
//! that no flag reads causes a warning.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::nearest::nearest;
use crate::escape::OneLine;

const PREFIX: &str = "HOURGLASS_";

/// A variable that no flag reads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    name: String,
    /// The known variable that resembles it.
    nearest: Option<String>,
}

/// Returns the variables that no flag of the program reads, for a warning.
///
/// # Errors
/// A variable that a flag reads is empty: it is unclear whether it is set.
pub(crate) fn check<P: CommandFactory>() -> Result<Vec<Unknown>, clap::Error> {
    let mut command = P::command();
    let variables: Vec<_> = env::vars_os().collect();
    look_at(&variables, &known(&command)).map_err(|name| {
        let text = format!("the variable {name} is empty: give it a value, or unset it");
        command.error(ErrorKind::ValueValidation, text)
    })
}

/// Warns about unknown variables. They are not an error: the environment may
/// also be meant for other programs.
pub(crate) fn warn(unknown: &[Unknown]) {
    for Unknown { name, nearest } in unknown {
        let name = OneLine(name);
        match nearest {
            Some(nearest) => {
                tracing::warn!("{name} is not a setting; write {nearest}, or unset it")
            }
            None => tracing::warn!(
                "{name} is not a setting; `hourglass serve --help` lists them; unset this one"
            ),
        }
    }
}

/// The variables of the flags of all commands.
fn known(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    let mut variables: BTreeSet<_> = own.map(str::to_owned).collect();
    variables.extend(command.get_subcommands().flat_map(known));
    variables
}

fn look_at(
    variables: &[(OsString, OsString)],
    known: &BTreeSet<String>,
) -> Result<Vec<Unknown>, String> {
    // Kubernetes sets variables for every service, and one may be called
    // `hourglass`.
    let has_service = variables.iter().any(|(name, _)| name == "HOURGLASS_SERVICE_HOST");
    let mut unknown = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy();
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if known.contains(&*name) {
            if value.is_empty() {
                return Err(name.into_owned());
            }
            continue;
        }
        if has_service && (rest.starts_with("SERVICE_") || rest.starts_with("PORT")) {
            continue;
        }
        let known = known.iter().filter_map(|other| other.strip_prefix(PREFIX));
        let nearest = nearest(rest, known).map(|nearest| format!("{PREFIX}{nearest}"));
        unknown.push(Unknown { name: name.into_owned(), nearest });
    }
    Ok(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(variables: &[(&str, &str)]) -> Result<Vec<(String, Option<String>)>, String> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let known = ["HOURGLASS_TIMEOUT", "HOURGLASS_LISTEN", "HOURGLASS_MAX_CALLS"];
        let unknown = look_at(&variables, &known.map(str::to_owned).into())?;
        Ok(unknown.into_iter().map(|Unknown { name, nearest }| (name, nearest)).collect())
    }

    #[test]
    fn an_unknown_variable_is_reported_with_the_nearest_one() {
        for (name, nearest) in [
            ("HOURGLASS_TIMEOT", Some("HOURGLASS_TIMEOUT")),
            ("HOURGLASS_LISTEN_", Some("HOURGLASS_LISTEN")),
            ("HOURGLASS_MAXCALLS", Some("HOURGLASS_MAX_CALLS")),
            ("HOURGLASS_", None),
            ("HOURGLASS_QQQ", None),
        ] {
            let expected = vec![(name.to_owned(), nearest.map(str::to_owned))];
            assert_eq!(look(&[(name, "1"), ("OTHER", "")]), Ok(expected));
        }
        assert_eq!(look(&[("HOURGLASS_TIMEOUT", "1s")]), Ok(vec![]));
    }

    #[test]
    fn an_empty_variable_is_refused() {
        assert_eq!(look(&[("HOURGLASS_LISTEN", "")]), Err("HOURGLASS_LISTEN".to_owned()));
    }

    #[test]
    fn variables_of_kubernetes_are_not_reported() {
        let set = [("HOURGLASS_PORT_80_TCP", "x"), ("HOURGLASS_SERVICE_HOST", "10.0.0.1")];
        assert_eq!(look(&set), Ok(vec![]));
        assert_eq!(look(&set[..1]).map(|unknown| unknown.len()), Ok(1));
    }
}
