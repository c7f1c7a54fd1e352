//! Flags whose values are secrets.

use std::ffi::OsStr;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

/// Parses a value with `FromStr`. Unlike the errors of clap's own parsers, the
/// error does not contain the value.
#[derive(Clone)]
pub(crate) struct Unshown<T>(PhantomData<fn() -> T>);

impl<T> Default for Unshown<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> TypedValueParser for Unshown<T>
where
    T: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let parsed = match value.to_str() {
            Some(text) => text.parse().map_err(|error: T::Err| error.to_string()),
            None => Err("it is not UTF-8".to_owned()),
        };
        parsed.map_err(|reason| {
            let flag = arg.map(ToString::to_string).unwrap_or_default();
            let variable = arg.and_then(Arg::get_env).map(|name| name.to_string_lossy());
            let variable = variable.map(|name| format!(" (or {name})")).unwrap_or_default();
            let text = format!("the value of '{flag}'{variable} can't be used: {reason}\n");
            clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        })
    }
}
