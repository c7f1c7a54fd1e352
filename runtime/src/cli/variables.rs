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

/// Returns a warning for each variable that no flag of the program reads. They
/// are not an error: the environment may also be meant for other programs.
///
/// # Errors
/// A variable that a flag reads is empty: it is unclear whether it is set.
pub(crate) fn check<P: CommandFactory>() -> Result<Vec<String>, clap::Error> {
    let mut command = P::command();
    let variables: Vec<_> = env::vars_os().collect();
    warnings(&variables, &known(&command)).map_err(|name| {
        let text = format!("the variable {name} is empty: give it a value, or unset it");
        command.error(ErrorKind::ValueValidation, text)
    })
}

/// The variables of the flags of all commands.
fn known(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    let mut variables: BTreeSet<_> = own.map(str::to_owned).collect();
    variables.extend(command.get_subcommands().flat_map(known));
    variables
}

/// The warnings, or the name of a known variable that is empty.
fn warnings(
    variables: &[(OsString, OsString)],
    known: &BTreeSet<String>,
) -> Result<Vec<String>, String> {
    // Kubernetes sets variables for every service, and one may be called
    // `hourglass`.
    let has_service = variables.iter().any(|(name, _)| name == "HOURGLASS_SERVICE_HOST");
    let mut warnings = Vec::new();
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
        let instead = match nearest(rest, known) {
            Some(nearest) => format!("write {PREFIX}{nearest}, or unset it"),
            None => "`hourglass serve --help` lists them; unset this one".to_owned(),
        };
        warnings.push(format!("{} is not a setting; {instead}", OneLine(name)));
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let known = ["HOURGLASS_TIMEOUT", "HOURGLASS_LISTEN", "HOURGLASS_MAX_CALLS"];
        warnings(&variables, &known.map(str::to_owned).into())
    }

    #[test]
    fn an_unknown_variable_is_reported_with_the_nearest_one() {
        for (name, instead) in [
            ("HOURGLASS_TIMEOT", "write HOURGLASS_TIMEOUT, or unset it"),
            ("HOURGLASS_LISTEN_", "write HOURGLASS_LISTEN, or unset it"),
            ("HOURGLASS_MAXCALLS", "write HOURGLASS_MAX_CALLS, or unset it"),
            ("HOURGLASS_", "`hourglass serve --help` lists them; unset this one"),
            ("HOURGLASS_QQQ", "`hourglass serve --help` lists them; unset this one"),
        ] {
            let expected = vec![format!("{name} is not a setting; {instead}")];
            assert_eq!(check(&[(name, "1"), ("OTHER", "")]), Ok(expected));
        }
        assert_eq!(check(&[("HOURGLASS_TIMEOUT", "1s")]), Ok(vec![]));
    }

    #[test]
    fn an_empty_variable_is_refused() {
        assert_eq!(check(&[("HOURGLASS_LISTEN", "")]), Err("HOURGLASS_LISTEN".to_owned()));
    }

    #[test]
    fn variables_of_kubernetes_are_not_reported() {
        let set = [("HOURGLASS_PORT_80_TCP", "x"), ("HOURGLASS_SERVICE_HOST", "10.0.0.1")];
        assert_eq!(check(&set), Ok(vec![]));
        assert_eq!(check(&set[..1]).map(|warnings| warnings.len()), Ok(1));
    }
}
