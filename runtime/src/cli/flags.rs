//! The flags and variables of the settings that the [schema](crate::schema)
//! declares. clap reads a flag before its variable.

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::schema::{Partial, Schema, Setting, ValueError};

impl<S: Schema> Args for Partial<S> {
    fn augment_args(command: Command) -> Command {
        command.args(S::SETTINGS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag<S: Schema>(setting: &'static Setting<S>) -> Arg {
    // Parsing a flag yields a partial value with this one setting.
    let parser = OsStringValueParser::new().try_map(move |text| {
        let mut parsed = Partial::<S>::default();
        parsed.set(setting, text)?;
        Ok::<_, ValueError>(parsed)
    });
    Arg::new(setting.name)
        .long(setting.flag())
        .env(setting.variable())
        .value_name((setting.form)().placeholder)
        .help(format!("{} [default: {}]", setting.help(), (setting.default)()))
        .value_parser(parser)
}

impl<S: Schema> FromArgMatches for Partial<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut partial = Self::default();
        partial.update_from_arg_matches(matches)?;
        Ok(partial)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in S::SETTINGS {
            if let Some(value) = matches.get_one::<Self>(setting.name) {
                self.merge(value);
            }
        }
        Ok(())
    }
}
